package document

import (
	"context"
	"log/slog"
	"time"
)

// Follow calls learn, which takes in what others have changed, every so often until ctx
// ends. The log hears when it begins to fail, and when it is over; what is in the plural,
// such as "accounts".
func Follow(ctx context.Context, every time.Duration, learn func(context.Context) error, log *slog.Logger, what string) {
	next := time.NewTicker(every)
	defer next.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		err := learn(ctx)
		switch {
		case err == nil && failing:
			log.Info("the " + what + " are up to date again")
			failing = false
		case err != nil && !failing && ctx.Err() == nil:
			log.Error("what other trackers have changed cannot be read; the "+what+" stay as they are until it can", "error", err)
			failing = true
		}
	}
}
