package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"waggle/bench/population"
	"waggle/bench/process"
	"waggle/bittorrent"
)

// load is what one target is under.
type load struct {
	endpoint *endpoint
	options  Options
	workers  []worker
}

// newLoad opens what it takes to load a target with a population, which belongs to
// the load if its peers change.
func newLoad(e *endpoint, o Options, p *population.Population) (*load, error) {
	l := &load{endpoint: e, options: o}
	epoch := time.Now()
	for n := range o.Workers {
		groups := p.Groups[n*len(p.Groups)/o.Workers : (n+1)*len(p.Groups)/o.Workers]
		w, err := newWorker(&common{endpoint: e, options: o, epoch: epoch, groups: groups})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", e.target.URL, err), l.close())
		}
		l.workers = append(l.workers, w)
	}
	return l, nil
}

func newWorker(c *common) (worker, error) {
	switch c.endpoint.protocol {
	case "http":
		return newHTTPWorker(c)
	case "ws":
		return newWebSocketWorker(c)
	}
	return newUDPWorker(c)
}

func (l *load) close() error {
	var errs []error
	for _, w := range l.workers {
		errs = append(errs, w.close())
	}
	return errors.Join(errs...)
}

// count returns how many answers have come to all workers.
func (l *load) count() (n int64) {
	for _, w := range l.workers {
		n += w.count()
	}
	return n
}

// window is how many requests are under way on a socket in a closed loop, and while
// filling. Larger ones from the usual four sockets overrun a receive buffer of the
// usual size.
const window = 32

// filling is the phase in which each peer announces once.
func (l *load) filling() phase {
	return phase{name: "filling", script: (*population.Group).Fill, window: min(l.options.Window, window)}
}

// measuring is the phase that is measured, in a round from 1 up.
func (l *load) measuring(round int) phase {
	o := &l.options
	script := func(g *population.Group) population.Script { return g.Steady(l.announcing(g), uint64(round)) }
	if o.Churn > 0 {
		script = func(g *population.Group) population.Script { return g.Churn(o.Churn, uint64(round)) }
	}
	return phase{
		name:      "measuring",
		script:    script,
		duration:  o.Duration,
		announces: o.Announces,
		rate:      o.Rate / float64(o.Workers),
		spoofed:   o.Spoofed / float64(o.Workers),
		scrape:    o.Distribution.ScrapeEach,
		window:    o.Window,
	}
}

// announcing returns how many of the peers of a group announce again and again.
func (l *load) announcing(g *population.Group) int {
	all := l.options.Distribution.Peers
	return (g.Len()*(all-l.options.Idle) + all - 1) / all
}

// idling is the phase in which connections are only held.
func (l *load) idling() phase {
	return phase{name: "idle", script: func(*population.Group) population.Script { return mute{} }, duration: l.options.IdleFor, window: 1}
}

// mute is the script of peers that have nothing to say, and go on to.
type mute struct{}

func (mute) Next(*bittorrent.AnnounceRequest) (int, bool) { return 0, false }
func (mute) Lost(int)                                     {}
func (mute) Done() bool                                   { return false }

// used is what a phase has cost.
type used struct {
	generator, server time.Duration
	serverKnown       bool
	rss, anonymous    int64 // of the server, at the end
}

// do lets all workers do a phase, until ctx ends.
func (l *load) do(ctx context.Context, p phase) (*tally, used, error) {
	var stop atomic.Bool
	var busy, answering atomic.Int64
	defer context.AfterFunc(ctx, func() { stop.Store(true) })()
	busy.Store(int64(len(l.workers)))
	tallies, errs := make([]*tally, len(l.workers)), make([]error, len(l.workers))
	before, err := l.usage()
	if err != nil {
		return nil, used{}, err
	}
	var running sync.WaitGroup
	for n, w := range l.workers {
		share := p
		share.stop, share.busy, share.answering = &stop, &busy, &answering
		if p.announces > 0 {
			share.announces = p.announces*int64(n+1)/int64(len(l.workers)) - p.announces*int64(n)/int64(len(l.workers))
		}
		running.Go(func() { tallies[n], errs[n] = w.run(&share) })
	}
	running.Wait()
	for _, t := range tallies[1:] {
		tallies[0].add(t)
	}
	cost, err := l.usage()
	if errors.Join(errs...) == nil && err != nil {
		return tallies[0], used{}, err
	}
	cost.generator -= before.generator
	cost.server -= before.server
	return tallies[0], cost, errors.Join(errs...)
}

// usage returns what has been used until now.
func (l *load) usage() (u used, err error) {
	u.generator, _ = process.Self()
	if pid := l.endpoint.target.PID; pid > 0 {
		server, err := process.Of(pid)
		if err != nil {
			return u, fmt.Errorf("%s: %w", l.endpoint.target.URL, err)
		}
		u.server, u.rss, u.anonymous, u.serverKnown = server.CPU, server.RSS, server.Anonymous, true
	}
	return u, nil
}
