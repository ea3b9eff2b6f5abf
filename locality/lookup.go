package locality

import (
	"context"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// flight is a look-up under way.
type flight struct {
	done  chan struct{}     // closed when group is set
	of    trace.SpanContext // of who asked first; not valid: it belongs to no trace
	group *Group
}

// join is the look-up of an address: the one under way, which is shared, or a new one, which belongs
// to the trace of ctx. It is nil if too many others are under way.
func (l *Locator) join(ctx context.Context, ip netip.Addr) (f *flight, shared bool) {
	key := ip.As16()
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.flights[key]; f != nil {
		return f, true
	}
	if l.closed {
		return nil, false
	}
	if len(l.flights) >= l.o.Lookups {
		l.refused.Add(1)
		return nil, false
	}
	f = &flight{done: make(chan struct{}), of: trace.SpanContextFromContext(ctx)}
	l.flights[key] = f
	l.running.Go(func() { l.fly(withTrace(l.ctx, ctx), ip, f) })
	return f, false
}

// fly looks an address up, and remembers what it found.
func (l *Locator) fly(ctx context.Context, ip netip.Addr, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, l.o.LookupTimeout)
	defer cancel()
	key := ip.As16()
	old, _ := l.cache.peek(key)
	epoch := l.cache.epoch.Load()
	g, e, sure := l.walk(ctx, ip, old)
	now := l.o.Now()
	e.epoch, e.expires = epoch, instantOf(now.Add(l.o.CacheUnknown))
	if sure && e.group != nil {
		e.expires = instantOf(now.Add(l.o.CacheTime))
	}
	if e.asked == 0 {
		e.asked = instantOf(now)
	}
	if l.ctx.Err() == nil { // otherwise it was cut short
		l.cache.put(key, e)
	}
	f.group = g
	l.mu.Lock()
	delete(l.flights, key)
	l.mu.Unlock()
	close(f.done)
}

// walk asks one source after the other until one knows an address. g is where it is; e is what is
// to be remembered of the remote sources, without its times unless it is old. sure says that each
// of them answered.
//
// A source that fails now, but knew the address when it was last asked, still counts as knowing it:
// a host does not leave its rack because a server is down.
func (l *Locator) walk(ctx context.Context, ip netip.Addr, old entry) (g *Group, e entry, sure bool) {
	sure = true
	remotes := l.remotes
	for i, s := range l.chain {
		e.walked = int8(i + 1)
		if s.table != nil {
			if g := s.find(ip); g != nil {
				e.source = -1
				return g, e, sure
			}
			continue
		}
		var kept said
		if int(old.source) == i {
			kept = old.said
		}
		a, err := l.ask(ctx, s, ip, remotes, kept.group)
		remotes--
		if err != nil {
			sure = false
			if stands(kept.group, err) {
				a, e.asked = kept, old.asked
			}
		}
		if a.group != nil {
			e.said, e.source = a, int8(i)
			return a.group, e, sure
		}
	}
	e.source = -1
	return nil, e, sure
}

// stands says whether what a source said before counts where it fails with err.
func stands(kept *Group, err error) bool { return kept != nil && err != nil && !isRubbish(err) }

// ask asks a remote source for its share of the time that is left, so that a slow one leaves some
// to those after it, of which there are remotes with itself. kept is what it said before, or nil.
func (l *Locator) ask(ctx context.Context, s *asked, ip netip.Addr, remotes int, kept *Group) (said, error) {
	ctx, span := begin(ctx, s.source)
	defer span.End()
	if !s.admit(l.o.Now()) {
		conclude(span, leftOut, kept != nil)
		return said{}, errLeftOut
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(remotes))
		defer cancel()
	}
	a, _, err := s.ask(ctx, l.tree, ip, l.o.Now)
	conclude(span, outcomeOf(ctx, a.group, err), stands(kept, err))
	return a, err
}
