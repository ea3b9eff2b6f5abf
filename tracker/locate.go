package tracker

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/trace"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/roster"
	"waggle/swarm"
)

// Locator knows where addresses are. All methods may be called concurrently.
type Locator interface {
	// Cached says where an address is, without waiting; nil, true: nobody knows.
	Cached(ip netip.Addr, now time.Time) (g *locality.Group, known bool)

	// Locate waits for the sources, for a time that it bounds. nil: nobody knows.
	Locate(ctx context.Context, ip netip.Addr) *locality.Group
}

// Policies are who may cross uplinks. Default is not nil where there is a locator.
type Policies struct {
	Default *swarm.Policy
	ByName  map[string]*swarm.Policy // for torrents that have one of their own
}

// Locate fills in where an announce comes from, if that is known already. Otherwise
// AwaitLocation does, or the peer counts as unlocated.
func (t *Tracker) Locate(a *swarm.Announce) (known bool) {
	a.Location, a.Policy = nil, nil
	if t.locator == nil {
		return true
	}
	a.Location, known = t.locator.Cached(a.From, a.Now)
	return known
}

// AwaitLocation fills in where an announce comes from, and waits for that.
func (t *Tracker) AwaitLocation(ctx context.Context, a *swarm.Announce) {
	ctx, span := leave(ctx, "locate", trace.SpanKindInternal)
	defer span.End()
	a.Location = t.locator.Locate(ctx, a.From)
	if span.IsRecording() {
		placed(span, a.Location)
	}
}

// policy returns who of a torrent may cross uplinks; nil: no source knows where
// anybody is.
func (t *Tracker) policy(s *Settings, standing standing, h *bittorrent.InfoHash) *swarm.Policy {
	if standing == listed && t.profiler != nil {
		if p := s.Policies.ByName[t.profiler.Profile(h)]; p != nil {
			return p
		}
	}
	return s.Policies.Default
}

func (f *hotFigures) locate(a *swarm.Announce) {
	if a.Location != nil {
		f.located.Add(1)
	} else {
		f.unlocated.Add(1)
	}
}

// Times of tending and probing.
const (
	tendEvery    = time.Second
	probeTimeout = 2 * time.Second
	probesAtOnce = 128
)

// Tend forgets located peers soon after they fall silent, and tries those that
// others depend on, until ctx ends. Where nobody knows locations it returns at once.
func (t *Tracker) Tend(ctx context.Context) {
	if t.roster == nil || t.locator == nil {
		return
	}
	ticker := time.NewTicker(tendEvery)
	defer ticker.Stop()
	slots := make(chan struct{}, probesAtOnce)
	last := time.Time{}
	for {
		select {
		case <-ctx.Done():
			t.waitForProbes(slots)
			return
		case <-ticker.C:
		}
		now := t.Now()
		_ = t.TendOnce(ctx, now) // counted, and the next round tries again
		if every := t.settings.Load().ProbeInterval; every > 0 && now.Sub(last) >= every {
			last = now
			t.probe(ctx, slots)
		}
	}
}

// waitForProbes waits until no probe is under way.
func (t *Tracker) waitForProbes(slots chan struct{}) {
	for range cap(slots) {
		slots <- struct{}{}
	}
}

// TendOnce forgets the located peers that are silent for longer than they may. The error
// is the store's.
func (t *Tracker) TendOnce(ctx context.Context, now time.Time) error {
	n, err := t.roster.Tend(ctx, now, t.load.kept(now))
	t.figures.expired.Add(uint64(n))
	if err != nil && ctx.Err() == nil {
		_ = t.storeFailed(err)
		return fmt.Errorf("tending located peers: %w", err)
	}
	return nil
}

// probe tries the peers that others depend on. With more of them than can be tried
// at once, it waits for those under way.
func (t *Tracker) probe(ctx context.Context, slots chan struct{}) {
	probes, err := t.roster.Probable(ctx)
	if err != nil {
		if ctx.Err() == nil {
			_ = t.storeFailed(err)
		}
		return
	}
	for _, p := range probes {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		go func() {
			defer func() { <-slots }()
			t.probeOne(ctx, p)
		}()
	}
}

func (t *Tracker) probeOne(ctx context.Context, p roster.Probe) {
	trying, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	ok := t.options.Dial(trying, p.Addr) == nil
	if ctx.Err() != nil {
		return // the attempt was cut short
	}
	t.figures.probes.Add(1)
	dead, err := t.roster.Probed(ctx, p, ok)
	if err != nil {
		_ = t.storeFailed(err)
	}
	if dead {
		t.figures.dead.Add(1)
	}
}
