package simulate

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
)

// patience is how long nothing may move before a run is over: longer than any client
// waits to announce again.
const patience = time.Hour

// Run simulates how a file spreads under a policy, one of [Policies]. The error is the
// context's, or says what is wrong with the options.
func Run(ctx context.Context, policy string, o Options) (*Report, error) {
	if err := o.Check(policy); err != nil {
		return nil, err
	}
	c, err := newContender(policy, &o)
	if err != nil {
		return nil, err
	}
	w, err := newWorld(&o, c)
	if err != nil {
		return nil, err
	}
	if err = w.run(ctx); err == nil {
		w.report = w.sum()
	}
	if closed := c.store.Close(); err == nil {
		err = closed
	}
	return w.report, err
}

// Compare runs several policies, as many at a time as there are processors, and
// returns their reports in order. Progress is called concurrently.
func Compare(ctx context.Context, policies []string, o Options) ([]*Report, error) {
	reports := make([]*Report, len(policies))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range policies {
		group.Go(func() (err error) {
			reports[i], err = Run(ctx, p, o)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return reports, nil
}

// run goes on tick by tick until everybody is done, or nothing moves.
func (w *world) run(ctx context.Context) error {
	second := time.Duration(0) // the next one
	for w.now <= w.o.Limit {
		if err := w.announcements(ctx); err != nil {
			return err
		}
		if w.now >= second {
			second = w.now.Truncate(time.Second) + time.Second
			if err := w.eachSecond(ctx); err != nil {
				return err
			}
			if w.over() {
				return nil
			}
		}
		for _, i := range w.order {
			h := &w.hosts[i]
			if h.state != up {
				continue
			}
			if w.now >= h.rechoke {
				h.rechoke += rechokeEvery
				w.rechoke(i)
			}
			w.serve(i)
		}
		w.gather()
		if len(w.network.flows) == 0 {
			w.now = w.idleUntil(second)
			continue
		}
		w.network.share()
		w.transfer()
		w.publish()
		w.now += w.tick
	}
	return nil
}

// announcements is what the tracker hears at a tick, and what befalls hosts.
func (w *world) announcements(ctx context.Context) error {
	if err := w.befall(ctx); err != nil {
		return err
	}
	if err := w.quitters(ctx); err != nil {
		return err
	}
	return w.startAndAnnounce(ctx)
}

// eachSecond is what happens once a second.
func (w *world) eachSecond(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("simulating %s: %w", w.tracker.name, err)
	}
	w.dialPool()
	w.countBusy()
	if w.o.Progress != nil {
		p := Progress{Policy: w.tracker.name, At: w.now, Hosts: len(w.hosts) - 1}
		for i := range w.hosts[1:] {
			if w.hosts[i+1].complete {
				p.Done++
			}
		}
		w.o.Progress(p)
	}
	return w.tend(ctx)
}

// over reports whether there is nothing to wait for: no event, and nobody that lacks
// anything, or nothing that moves.
func (w *world) over() bool {
	if len(w.events) > 0 {
		return false
	}
	still := w.now-w.moved > patience
	for i := range w.hosts {
		h := &w.hosts[i]
		if h.state == waiting || h.state == up && !h.complete && !still {
			return false
		}
	}
	return true
}

// idleUntil returns when something can happen next, where nothing flows: at an
// announce, an event, or a full second, whichever is first.
func (w *world) idleUntil(second time.Duration) time.Duration {
	next := second
	for i := range w.hosts {
		switch h := &w.hosts[i]; h.state {
		case waiting:
			next = min(next, h.starts)
		case up:
			next = min(next, h.next)
		}
	}
	if len(w.events) > 0 {
		next = min(next, w.events[0].At)
	}
	return max(next, w.now+w.tick)
}
