package document

import (
	"context"
	"log/slog"
	"time"
)

// WriteBehind calls flush, which writes what waits in memory, every so often until ctx ends. It
// takes a quarter of one core at most: where very much waits at a time, that is written less
// often. The log hears when it begins to fail, and when it is over; what is in the plural, such
// as "starts of torrents".
func WriteBehind(ctx context.Context, every time.Duration, flush func(context.Context) error, log *slog.Logger, what string) {
	next := time.NewTimer(every)
	defer next.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		began := time.Now()
		err := flush(ctx)
		next.Reset(max(every, 3*time.Since(began)))
		switch {
		case err == nil && failing:
			log.Info(what + " are written again")
			failing = false
		case err != nil && !failing && ctx.Err() == nil:
			log.Error(what+" cannot be written; they are kept in memory until they can", "error", err)
			failing = true
		}
	}
}
