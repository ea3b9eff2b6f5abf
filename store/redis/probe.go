package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"waggle/swarm"
)

// How long is waited between probes of a server that is broken.
const (
	firstProbe = 100 * time.Millisecond
	lastProbe  = time.Second
)

// probe asks a broken server again and again until it answers, and then waits until it
// is broken again.
func (v *server) probe() {
	ctx, cancel := v.life()
	defer cancel()
	for {
		select {
		case <-v.wake:
		case <-ctx.Done():
			return
		}
		for gap := firstProbe; len(v.ill()) > 0; gap = min(2*gap, lastProbe) {
			if pause(ctx, gap/2+rand.N(gap)) != nil {
				return
			}
			v.probeOnce(ctx, v.ill())
		}
	}
}

// ill returns the tags with whose node something is wrong.
func (v *server) ill() (list []byte) {
	for i := range v.breakers {
		if v.breakers[i].words() != "" {
			list = append(list, byte(i))
		}
	}
	return list
}

// probeOnce writes to each tag nothing new, and mends what takes that.
func (v *server) probeOnce(ctx context.Context, ill []byte) {
	commands := make([]rueidis.Completed, len(ill))
	for i, tag := range ill {
		commands[i] = probeScript.whole(v.B(), place{tag, v.keys.totals(tag)}, nil)
	}
	within, cancel := context.WithTimeout(ctx, v.options.Timeout)
	results := v.DoMulti(within, commands...)
	cancel()
	var foreign error
	if slices.ContainsFunc(results, func(r rueidis.RedisResult) bool { return r.Error() == nil }) {
		foreign = v.markAgain(ctx)
	}
	for i, tag := range ill {
		err := results[i].Error()
		if err == nil {
			err = foreign
		}
		if err == nil {
			v.breaker(tag).mend()
		} else {
			v.trip([]byte{tag}, err)
		}
	}
	if len(v.ill()) == 0 {
		v.options.Log.Info("store: Redis answers again")
	}
}

// markAgain marks a server that may have come back empty, or may be another one now. The
// error is that it is not waggle's: while the marks cannot be reached, the rest goes on.
func (v *server) markAgain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, v.options.Timeout)
	defer cancel()
	err := v.checkSchema(ctx)
	if err == nil {
		err = v.keepSeed(ctx, v.seedText)
	}
	if err != nil && transient(err) {
		return nil
	}
	return err
}

// schema is the mark of the keys' meaning. A newer one is refused.
const (
	schemaName    = "waggle"
	schemaVersion = 1
)

// checkSchema sets the mark where there is none, and refuses what is not waggle's, or of
// a newer waggle.
func (v *server) checkSchema(ctx context.Context) error {
	key := v.keys.schema()
	err := v.Do(ctx, v.B().Set().Key(key).Value(fmt.Sprintf("%s %d", schemaName, schemaVersion)).Nx().Build()).Error()
	if err != nil && !rueidis.IsRedisNil(err) {
		return err
	}
	mark, err := v.Do(ctx, v.B().Get().Key(key).Build()).ToString()
	if said, ok := rueidis.IsRedisErr(err); ok && strings.HasPrefix(said.Error(), "WRONGTYPE") {
		return fmt.Errorf("%w: %s is not a text", errForeign, key)
	}
	if err != nil {
		return err
	}
	var name string
	var version int
	if _, err := fmt.Sscanf(mark, "%s %d", &name, &version); err != nil || name != schemaName || version < 1 {
		return fmt.Errorf("%w: %s is %.40q", errForeign, key, mark)
	}
	if version > schemaVersion {
		return fmt.Errorf("%w: %s is of schema %d, and this waggle knows %d", errNewer, key, version, schemaVersion)
	}
	return nil
}

// Healthy is documented at [swarm.Remote].
func (s *Store) Healthy() error {
	for i := range s.server.breakers {
		if words := s.server.breakers[i].words(); words != "" {
			return fmt.Errorf("%w (%s)", swarm.ErrBusy, words)
		}
	}
	return nil
}
