package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"waggle/bench/population"
	"waggle/bench/process"
)

// Run loads one target, or two in turn, and returns what it found. Where ctx ends, or
// a target stops to answer, the report holds the figures so far; in the second case
// there is an error as well, a [SilentError] or a [NoTrackerError]. Without a report
// there is an error: a [NoTrackerError] where nobody answers, else one of the options
// or of the system.
func Run(ctx context.Context, targets []Target, o Options) (*Report, error) {
	if len(targets) < 1 || len(targets) > 2 {
		return nil, fmt.Errorf("%d targets: want one or two", len(targets))
	}
	if err := o.Check(); err != nil {
		return nil, err
	}
	r := &run{options: o.withDefaults()}
	defer r.close()
	if err := r.open(ctx, targets); err != nil {
		return nil, err
	}
	err := r.rounds(ctx)
	if err != nil && !r.hasFigures() {
		return nil, err
	}
	return r.finish(ctx), err
}

// hasFigures tells whether anything was found yet.
func (r *run) hasFigures() bool {
	first := r.report.Results[0]
	return first.Fill != nil || len(first.Rounds) > 0
}

// run is a run of Run.
type run struct {
	options    Options
	population *population.Population
	loads      []*load
	report     Report
}

// open looks up the targets, draws the population, and opens sockets.
func (r *run) open(ctx context.Context, targets []Target) error {
	var endpoints []*endpoint
	for _, t := range targets {
		e, err := resolve(ctx, t, r.options.Remote)
		if err != nil {
			return err
		}
		if len(endpoints) > 0 && (e.protocol != endpoints[0].protocol || e.hasSources() != endpoints[0].hasSources()) {
			return fmt.Errorf("%s and %s cannot be compared: want two trackers of one protocol, both on the loopback over IPv4 or neither", targets[0].URL, t.URL)
		}
		endpoints = append(endpoints, e)
	}
	if r.options.Churn > 0 && endpoints[0].protocol == "ws" {
		return errors.New("there is no churn over WebSocket: a browser's stay ends with its connection")
	}
	if r.options.Churn > 0 && len(targets) > 1 {
		return errors.New("with churn there is one target: two would need a population each")
	}
	addresses := population.OneOfAll
	if endpoints[0].hasSources() {
		addresses = population.OneEach
	}
	var err error
	r.population, err = population.New(r.options.Distribution, r.options.Seed, r.options.Workers*r.options.Sockets, addresses)
	if err != nil {
		return err
	}
	for _, e := range endpoints {
		l, err := newLoad(e, r.options, r.population)
		if err != nil {
			return err
		}
		r.loads = append(r.loads, l)
		r.report.Results = append(r.report.Results, Result{URL: e.target.URL, Rounds: []Round{}})
	}
	return nil
}

func (r *run) close() {
	for _, l := range r.loads {
		_ = l.close() // nothing was written that could be lost
	}
}

// rounds fills the targets, and measures them in turn.
func (r *run) rounds(ctx context.Context) error {
	if r.options.Fill {
		for i := range r.loads {
			if err := r.fill(ctx, i); err != nil || ctx.Err() != nil {
				return err
			}
		}
	}
	if r.options.IdleFor > 0 {
		for i := range r.loads {
			if err := r.idle(ctx, i); err != nil || ctx.Err() != nil {
				return err
			}
		}
	}
	for round := 1; round <= r.options.Rounds && r.options.Idle < r.options.Distribution.Peers; round++ {
		for i := range r.loads {
			if err := r.measure(ctx, i, round); err != nil || ctx.Err() != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) fill(ctx context.Context, target int) error {
	l := r.loads[target]
	before, err := l.usage()
	if err != nil {
		return err
	}
	stop := r.watch(l, "filling", 0, nil)
	t, u, err := l.do(ctx, l.filling())
	stop()
	if t == nil || t.sent == 0 {
		return err
	}
	f := t.round(u)
	r.report.Results[target].Fill = &Fill{
		Seconds:          f.Seconds,
		Announces:        f.Announces,
		AnswersPerSecond: f.AnswersPerSecond,
		Errors:           f.Errors,
		Timeouts:         f.Timeouts,
		RSSBefore:        before.rss,
		RSSAfter:         u.rss,
	}
	return err
}

// idle holds the connections that filling has opened, while nobody announces.
func (r *run) idle(ctx context.Context, target int) error {
	l := r.loads[target]
	stop := r.watch(l, "idle", 0, nil)
	t, u, err := l.do(ctx, l.idling())
	stop()
	if t == nil || err != nil {
		return err
	}
	r.report.Results[target].Idle = &Idle{
		Seconds:       time.Duration(t.ended - t.began).Seconds(),
		Connections:   t.open,
		RSS:           u.rss,
		Anonymous:     u.anonymous,
		PerConnection: per(float64(u.rss), float64(t.open)),
	}
	return nil
}

func (r *run) measure(ctx context.Context, target, round int) error {
	l, result := r.loads[target], &r.report.Results[target]
	var samples []int64
	stop := r.watch(l, "measuring", round, &samples)
	t, u, err := l.do(ctx, l.measuring(round))
	stop()
	if t == nil || t.sent == 0 {
		return err
	}
	result.Rounds = append(result.Rounds, t.round(u))
	if r.options.Churn > 0 && l.endpoint.target.PID > 0 {
		result.Memory = newMemory(samples)
	}
	return err
}

// sampleEach is how often memory is looked at, in seconds.
const sampleEach = 2

// watch tells once a second what a phase has come to, and now and then appends to
// samples, if there are any, the memory of the server. The caller calls stop before
// it reads them.
func (r *run) watch(l *load, phase string, round int, samples *[]int64) (stop func()) {
	ended, gone := make(chan struct{}), make(chan struct{})
	started, first := time.Now(), l.count()
	go func() {
		defer close(gone)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		last, at := first, started
		for tick := 1; ; tick++ {
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
			now, n := time.Now(), l.count()
			r.options.Progress(Progress{
				URL: l.endpoint.target.URL, Phase: phase, Round: round, Rounds: r.options.Rounds,
				Elapsed: now.Sub(started), Answers: n - first, Rate: float64(n-last) / now.Sub(at).Seconds(),
			})
			last, at = n, now
			if samples != nil && tick%sampleEach == 0 && now.Sub(started) >= r.options.WarmUp {
				*samples = append(*samples, l.memory()...)
			}
		}
	}()
	return func() {
		close(ended)
		<-gone
	}
}

// memory returns the resident memory of the server, or nothing where that is not to
// be had.
func (l *load) memory() []int64 {
	if l.endpoint.target.PID <= 0 {
		return nil
	}
	server, err := process.Of(l.endpoint.target.PID)
	if err != nil {
		return nil // the tracker has ended, which the phase will find out
	}
	return []int64{server.RSS}
}

// finish fills in what is known only at the end.
func (r *run) finish(ctx context.Context) *Report {
	o, p := &r.options, &r.report
	p.Protocol = r.loads[0].endpoint.protocol
	p.Distribution, p.Torrents, p.Peers = o.Distribution.Name, o.Distribution.Torrents, o.Distribution.Peers
	p.Seeders, p.NumWant, p.ScrapeEach = o.Distribution.Seeders, o.Distribution.NumWant, o.Distribution.ScrapeEach
	p.TorrentsWithPeer, p.Seed, p.Churn = r.population.Live(), o.Seed, o.Churn
	p.Spoofed = o.Spoofed
	p.Mode, p.Rate = "closed loop", o.Rate
	if o.Rate > 0 {
		p.Mode = "open loop"
	}
	p.Workers, p.Sources = o.Workers, len(r.population.Groups)
	p.UnderWay = o.Window * len(r.population.Groups)
	switch p.Protocol {
	case "http":
		p.UnderWay, p.Connections = o.Connections*o.Workers*o.Pipeline, "kept alive"
		if o.Connection == OneAnnounce {
			p.UnderWay, p.Connections = o.Connections*o.Workers, "one for each announce"
		}
	case "ws":
		p.UnderWay, p.Offers, p.Idle = o.Window*o.Workers, o.Offers, o.Idle
	}
	for i := range p.Results {
		p.Results[i].Median = medians(p.Results[i].Rounds)
	}
	if len(p.Results) == 2 {
		p.Ratio = newRatio(&p.Results[0].Median, &p.Results[1].Median)
	}
	p.Interrupted = ctx.Err() != nil
	return p
}
