package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
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
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-v.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		select {
		case <-v.wake:
		case <-ctx.Done():
			return
		}
		for gap := firstProbe; len(v.broken()) > 0; gap = min(2*gap, lastProbe) {
			if pause(ctx, gap/2+rand.N(gap)) != nil {
				return
			}
			v.probeOnce(ctx, v.broken())
		}
	}
}

// broken returns the tags that are.
func (v *server) broken() (list []byte) {
	for i := range v.breakers {
		if v.breakers[i].broken() {
			list = append(list, byte(i))
		}
	}
	return list
}

// probeOnce writes to each tag nothing new, and mends what takes that.
func (v *server) probeOnce(ctx context.Context, broken []byte) {
	ctx, cancel := context.WithTimeout(ctx, v.options.Timeout)
	defer cancel()
	commands := make([]rueidis.Completed, len(broken))
	for i, tag := range broken {
		commands[i] = probeScript.whole(v.B(), place{tag, v.keys.totals(tag)}, nil)
	}
	var fault error
	checked := false
	for i, result := range v.DoMulti(ctx, commands...) {
		err := result.Error()
		if err == nil && !checked {
			checked = true
			if err := v.checkSchema(ctx); err != nil && !transient(err) {
				fault = err // an empty server has come back, or another one
			}
		}
		if err == nil {
			err = fault
		}
		if b := v.breaker(broken[i]); err == nil {
			b.mend()
		} else {
			v.trip(b, err)
		}
	}
	if len(v.broken()) == 0 {
		v.options.Log.Info("store: Redis answers again")
	}
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
