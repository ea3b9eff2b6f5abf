package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"waggle/swarm"
)

// server is asked. It bounds how much is asked at once and how long an answer may take,
// and asks nothing of a server that is broken.
type server struct {
	rueidis.Client
	options  *Options
	keys     *keys
	lines    *lines
	pending  atomic.Int64
	breakers []breaker // one, or one for each tag
	seed     [2]uint64 // of all trackers on the server

	wake   chan struct{} // something broke
	closed chan struct{}
	done   sync.WaitGroup
}

// retryPause is the longest that a request waits before it is tried once more.
const retryPause = 60 * time.Millisecond

func (v *server) breaker(tag byte) *breaker {
	if len(v.breakers) == 1 {
		return &v.breakers[0]
	}
	return &v.breakers[tag]
}

// try does something once or twice, of which a request to a tag's node is a part. The
// error is [swarm.ErrBusy] where the server is at fault, ctx's, or what the server said.
func (v *server) try(ctx context.Context, tag byte, once func(context.Context) error) error {
	if v.pending.Add(1) > int64(v.options.Pending) {
		v.pending.Add(-1)
		return swarm.ErrBusy
	}
	defer v.pending.Add(-1)
	breaker, began := v.breaker(tag), time.Now()
	for attempt := 1; ; attempt++ {
		if breaker.broken() {
			return swarm.ErrBusy
		}
		err := v.attempt(ctx, once)
		switch {
		case err == nil:
			return nil
		case ended(ctx, err) != nil:
			if late(ended(ctx, err)) && time.Since(began) > v.options.Timeout/2 { // who asks had less patience
				v.trip(breaker, context.DeadlineExceeded)
			}
			return ended(ctx, err)
		case errors.Is(err, swarm.ErrBusy):
			return err
		case !transient(err):
			return fmt.Errorf("redis: %w", err)
		case attempt == 2 || late(err):
			v.trip(breaker, err)
			return swarm.ErrBusy
		}
		if err := pause(ctx, retryPause/2+rand.N(retryPause/2)); err != nil {
			return err
		}
	}
}

// ended returns why who asks waits no more; nil: it does. The connection may have noticed
// a deadline just before ctx does.
func ended(ctx context.Context, err error) error {
	if deadline, ok := ctx.Deadline(); ctx.Err() == nil && ok && late(err) && time.Until(deadline) < 10*time.Millisecond {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

func (v *server) attempt(ctx context.Context, once func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, v.options.Timeout)
	defer cancel()
	return once(ctx)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func late(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// transientWords begin what a server says that cannot do its work now, and may soon.
var transientWords = []string{"LOADING", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "READONLY", "NOREPLICAS", "OOM", "MISCONF", "BUSY", "UNKILLABLE", "MOVED", "ASK"}

// transient reports whether the server, or the way to it, is at fault for now.
func transient(err error) bool {
	said, ok := rueidis.IsRedisErr(err)
	if !ok {
		return !errors.Is(err, errAnswer) && !errors.Is(err, errForeign) && !errors.Is(err, errNewer)
	}
	word, _, _ := strings.Cut(said.Error(), " ")
	return slices.Contains(transientWords, word)
}

// errAnswer is an answer that is not understood.
var errAnswer = errors.New("the server's answer is not understood: is something else than waggle writing to these keys?")

func (v *server) trip(b *breaker, err error) {
	fault := v.fault(err)
	if strings.HasPrefix(err.Error(), "READONLY") && !v.options.Cluster {
		v.lines.hangUp() // the address may lead to another server now
	}
	if b.trip(fault) {
		v.options.Log.Warn("store: announces are refused until Redis answers", "fault", fault)
		select {
		case v.wake <- struct{}{}:
		default:
		}
	}
}

func (v *server) fault(err error) string {
	return "Redis at " + strings.Join(v.options.Addresses, ",") + ": " + explain(err)
}

// explain says what is wrong, and of some faults the remedy.
func explain(err error) string {
	text := err.Error()
	switch word, _, _ := strings.Cut(text, " "); {
	case late(err):
		return "it does not answer"
	case word == "OOM":
		return "its memory is full: raise maxmemory, or lower limits of peers"
	case word == "MISCONF":
		return "it cannot save to its disk (" + text + ")"
	case word == "READONLY":
		return "it is a replica: name the address of its master"
	case word == "TRYAGAIN":
		return "the cluster is moving keys"
	}
	return text
}

// run calls a script.
func (v *server) run(ctx context.Context, s *script, at place, args ...string) (answer rueidis.RedisMessage, err error) {
	err = v.try(ctx, at.tag, func(ctx context.Context) (err error) {
		answer, err = v.Do(ctx, s.command(v.B(), at, args)).ToMessage()
		if said, ok := rueidis.IsRedisErr(err); ok && said.IsNoScript() {
			answer, err = v.Do(ctx, s.whole(v.B(), at, args)).ToMessage()
		}
		return err
	})
	return answer, err
}

// call is a script call among several.
type call struct {
	*script
	place
	args []string
}

// runAll calls scripts, all in one round trip to each node. Some may have been called
// where it fails.
func (v *server) runAll(ctx context.Context, calls []call) (answers []rueidis.RedisMessage, err error) {
	answers = make([]rueidis.RedisMessage, len(calls))
	for i := range calls {
		if v.breaker(calls[i].tag).broken() {
			return nil, swarm.ErrBusy
		}
	}
	err = v.try(ctx, calls[0].tag, func(ctx context.Context) error {
		commands := make([]rueidis.Completed, len(calls))
		for i, c := range calls {
			commands[i] = c.command(v.B(), c.place, c.args)
		}
		for i, result := range v.DoMulti(ctx, commands...) {
			c, err := calls[i], result.Error()
			if said, ok := rueidis.IsRedisErr(err); ok && said.IsNoScript() {
				result = v.Do(ctx, c.whole(v.B(), c.place, c.args))
			}
			if answers[i], err = result.ToMessage(); err != nil {
				return v.blame(c.tag, calls[0].tag, err)
			}
		}
		return nil
	})
	return answers, err
}

// blame breaks the tag that is at fault, where it is not the one of the request.
func (v *server) blame(tag, asked byte, err error) error {
	if v.breaker(tag) == v.breaker(asked) || !transient(err) {
		return err
	}
	v.trip(v.breaker(tag), err)
	return swarm.ErrBusy
}

// ask sends commands that change nothing, all in one round trip to each node, and
// returns the answers, of which nil is one. Command i goes to the node of tag(i).
func (v *server) ask(ctx context.Context, n int, tag func(int) byte, command func(rueidis.Builder, int) rueidis.Completed) (answers []rueidis.RedisMessage, err error) {
	if n == 0 {
		return nil, ctx.Err()
	}
	answers = make([]rueidis.RedisMessage, n)
	for i := range n {
		if v.breaker(tag(i)).broken() {
			return nil, swarm.ErrBusy
		}
	}
	err = v.try(ctx, tag(0), func(ctx context.Context) error {
		commands := make([]rueidis.Completed, n)
		for i := range commands {
			commands[i] = command(v.B(), i)
		}
		for i, result := range v.DoMulti(ctx, commands...) {
			var err error
			if answers[i], err = result.ToMessage(); err != nil && !rueidis.IsRedisNil(err) {
				return v.blame(tag(i), tag(0), err)
			}
		}
		return nil
	})
	return answers, err
}

// askOne sends one command that changes nothing.
func (v *server) askOne(ctx context.Context, tag byte, command func(rueidis.Builder) rueidis.Completed) (answer rueidis.RedisMessage, err error) {
	err = v.try(ctx, tag, func(ctx context.Context) (err error) {
		answer, err = v.Do(ctx, command(v.B())).ToMessage()
		if rueidis.IsRedisNil(err) {
			return nil
		}
		return err
	})
	return answer, err
}
