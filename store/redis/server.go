package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
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
	counters counters
	seedText string
	seed     [2]uint64 // of all trackers on the server; it follows from the text

	wake   chan struct{} // something broke
	closed chan struct{}
	done   sync.WaitGroup
}

// life returns a context that ends when the store is closed.
func (v *server) life() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-v.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// retryPause is the longest that a request waits before it is tried once more.
const retryPause = 60 * time.Millisecond

func (v *server) breaker(tag byte) *breaker {
	if len(v.breakers) == 1 {
		return &v.breakers[0]
	}
	return &v.breakers[tag]
}

// try does something once or twice that asks the nodes of tags. Where it fails, once
// returns the tags that are at fault, nil for all of them. The error is swarm.ErrBusy
// where the server is at fault, ctx's, or what the server said.
func (v *server) try(ctx context.Context, tags []byte, once func(context.Context) (at []byte, err error)) error {
	if v.pending.Add(1) > int64(v.options.Pending) {
		v.pending.Add(-1)
		return v.refuse()
	}
	defer v.pending.Add(-1)
	for attempt, began := 1, time.Now(); ; attempt++ {
		if slices.ContainsFunc(tags, v.broken) {
			return v.refuse()
		}
		at, err := v.attempt(ctx, once)
		if at == nil {
			at = tags
		}
		switch {
		case err == nil:
			return nil
		case ended(ctx, err) != nil:
			if late(ended(ctx, err)) && time.Since(began) > v.options.Timeout/2 { // who asks had less patience
				v.trip(at, context.DeadlineExceeded)
			}
			return ended(ctx, err)
		case !transient(err):
			return fmt.Errorf("redis: %w", err)
		case attempt == 2 || late(err) || full(err):
			v.trip(at, err)
			return v.refuse()
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

func (v *server) attempt(ctx context.Context, once func(context.Context) ([]byte, error)) (at []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, v.options.Timeout)
	defer cancel()
	at, err = once(ctx)
	v.counters.attempted(err)
	return at, err
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

// broken reports whether nothing may be asked of a tag's node.
func (v *server) broken(tag byte) bool { return v.breaker(tag).broken() }

// well returns the tags that may be asked.
func (v *server) well() []byte { return slices.DeleteFunc(allTags(), v.broken) }

// trip has the nodes of tags probed, which are at fault.
func (v *server) trip(tags []byte, err error) {
	if word(err.Error()) == "READONLY" && !v.options.Cluster {
		v.lines.hangUp() // the address may lead to another server now
	}
	f := fault{"Redis at " + strings.Join(v.options.Addresses, ",") + ": " + explain(err), full(err)}
	first, news := len(v.ill()) == 0, false
	for _, tag := range tags {
		news = v.breaker(tag).trip(f) || news
	}
	if first && news {
		v.options.Log.Warn("store: announces are refused until Redis answers", "fault", f.words)
	}
	if news {
		select {
		case v.wake <- struct{}{}:
		default:
		}
	}
}

// run calls a script.
func (v *server) run(ctx context.Context, s *script, at place, args ...string) (answer rueidis.RedisMessage, err error) {
	err = v.try(ctx, []byte{at.tag}, func(ctx context.Context) (_ []byte, err error) {
		v.counters.scripts.Add(1)
		answer, err = v.Do(ctx, s.command(v.B(), at, args)).ToMessage()
		if said, ok := rueidis.IsRedisErr(err); ok && said.IsNoScript() {
			answer, err = v.Do(ctx, s.whole(v.B(), at, args)).ToMessage()
		}
		return nil, err
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
	asked := make([]byte, len(calls))
	for i := range calls {
		asked[i] = calls[i].tag
	}
	err = v.try(ctx, asked, func(ctx context.Context) (at []byte, err error) {
		v.counters.scripts.Add(uint64(len(calls)))
		commands := make([]rueidis.Completed, len(calls))
		for i, c := range calls {
			commands[i] = c.command(v.B(), c.place, c.args)
		}
		var faults faults
		for i, result := range v.DoMulti(ctx, commands...) {
			if said, ok := rueidis.IsRedisErr(result.Error()); ok && said.IsNoScript() {
				c := calls[i]
				result = v.Do(ctx, c.whole(v.B(), c.place, c.args))
			}
			answers[i], err = result.ToMessage()
			faults.add(asked[i], err)
		}
		return faults.at, faults.err
	})
	return answers, err
}

// ask sends commands that change nothing, all in one round trip to each node, and
// returns the answers, of which nil is one. Command i goes to the node of tag(i).
func (v *server) ask(ctx context.Context, n int, tag func(int) byte, command func(rueidis.Builder, int) rueidis.Completed) (answers []rueidis.RedisMessage, err error) {
	if n == 0 {
		return nil, ctx.Err()
	}
	answers = make([]rueidis.RedisMessage, n)
	asked := make([]byte, n)
	for i := range asked {
		asked[i] = tag(i)
	}
	err = v.try(ctx, asked, func(ctx context.Context) (at []byte, err error) {
		v.counters.reads.Add(uint64(n))
		commands := make([]rueidis.Completed, n)
		for i := range commands {
			commands[i] = command(v.B(), i)
		}
		var faults faults
		for i, result := range v.DoMulti(ctx, commands...) {
			if answers[i], err = result.ToMessage(); !rueidis.IsRedisNil(err) {
				faults.add(asked[i], err)
			}
		}
		return faults.at, faults.err
	})
	return answers, err
}

// askOne sends one command that changes nothing.
func (v *server) askOne(ctx context.Context, tag byte, command func(rueidis.Builder) rueidis.Completed) (answer rueidis.RedisMessage, err error) {
	err = v.try(ctx, []byte{tag}, func(ctx context.Context) (_ []byte, err error) {
		v.counters.reads.Add(1)
		answer, err = v.Do(ctx, command(v.B())).ToMessage()
		if rueidis.IsRedisNil(err) {
			err = nil
		}
		return nil, err
	})
	return answer, err
}
