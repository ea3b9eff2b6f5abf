package locality

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Defaults of Options.
const (
	DefaultLookupTimeout = 2 * time.Second
	DefaultCacheTime     = 10 * time.Minute
	DefaultCacheUnknown  = time.Minute
	DefaultAddresses     = 1_000_000
	DefaultLookups       = 256
)

// maxSources is how long a chain can be.
const maxSources = 32

// Options say what a Locator asks, and how long it remembers. The zero value of a number stands for
// its default.
type Options struct {
	Sources []Source // asked in this order; at most 32

	LookupTimeout time.Duration // how long anybody waits for a look-up, all sources together; default: 2 s
	CacheTime     time.Duration // how long a location that was found counts as fresh; default: 10 min
	CacheUnknown  time.Duration // the same where no source knew the address, or one failed; default: 1 min
	Addresses     int           // how many addresses are remembered, from 64; default: 1,000,000, which take some 120 MB, without names of hosts
	Lookups       int           // how many look-ups may be under way; default: 256

	Now func() time.Time // default: time.Now
}

// Locator says where addresses are, by a chain of sources. The first source that knows an address
// wins. It is safe for concurrent use.
type Locator struct {
	tree    *Tree
	o       Options
	chain   []*asked
	remotes int // how many of the chain are no tables
	cache   *cache
	stale   chan netip.Addr // addresses to look up in the background

	mu      sync.Mutex
	closed  bool
	flights map[address]*flight // look-ups under way

	refused atomic.Int64
	ctx     context.Context //nolint:containedctx // the life of the look-ups, which outlive those who ask
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// New makes a Locator. It fails on options that are out of range, and then closes no source.
// Whoever has it closes it.
func New(tree *Tree, o Options) (*Locator, error) {
	if len(o.Sources) > maxSources {
		return nil, fmt.Errorf("%d sources of locations are more than %d: join some of them", len(o.Sources), maxSources)
	}
	if o.LookupTimeout < 0 || o.CacheTime < 0 || o.CacheUnknown < 0 || o.Addresses < 0 || o.Lookups < 0 {
		return nil, errors.New("times and limits of a locator must not be negative; leave them out for the defaults")
	}
	setDefault(&o.LookupTimeout, DefaultLookupTimeout)
	setDefault(&o.CacheTime, DefaultCacheTime)
	setDefault(&o.CacheUnknown, DefaultCacheUnknown)
	setDefault(&o.Addresses, DefaultAddresses)
	setDefault(&o.Lookups, DefaultLookups)
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Locator{
		tree: tree, o: o, cache: newCache(o.Addresses),
		stale: make(chan netip.Addr, o.Lookups), flights: make(map[address]*flight),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	for _, source := range o.Sources {
		s := &asked{source: source}
		if s.table, _ = source.(Table); s.table == nil {
			l.remotes++
		}
		l.chain = append(l.chain, s)
	}
	l.running.Go(l.renew)
	return l, nil
}

func setDefault[T int | time.Duration](value *T, otherwise T) {
	if *value == 0 {
		*value = otherwise
	}
}

// Tree is the tree whose groups it answers with.
func (l *Locator) Tree() *Tree { return l.tree }

// Cached is where an address is, as far as that is known without asking anybody: by tables, and by
// what is remembered. With known it is the answer, where nil is an address that no source knows;
// without, ask Locate. An answer that is older than it should be is still one, and is looked up
// again in the background. Cached never waits, and allocates nothing.
func (l *Locator) Cached(ip netip.Addr, now time.Time) (g *Group, known bool) {
	ip = plain(ip)
	var e entry
	have := false
	for i, s := range l.chain {
		if s.table != nil {
			if g := s.find(ip); g != nil {
				return g, true
			}
			continue
		}
		if !have {
			var old bool
			if e, have, old = l.cache.get(ip.As16(), now, l.o.LookupTimeout); !have {
				return nil, false
			}
			if old {
				l.queue(ip)
			}
		}
		if int(e.source) == i {
			return e.group, true
		}
		if int(e.walked) <= i {
			return nil, false
		}
	}
	return nil, true
}

// queue has an address looked up in the background, unless too many are.
func (l *Locator) queue(ip netip.Addr) {
	select {
	case l.stale <- ip:
	default: // it is queued when it is next asked for
	}
}

// renew looks up what is queued, until Close.
func (l *Locator) renew() {
	for {
		select {
		case ip := <-l.stale:
			l.join(l.ctx, ip)
		case <-l.ctx.Done():
			return
		}
	}
}

// Locate is where an address is, or nil if no source knows. What is not known yet is looked up, and
// Locate waits for that until ctx ends, or 2 s at most (Options.LookupTimeout). Those who ask for
// one address at a time share a look-up. Where too many others are under way (Options.Lookups) the
// address is unlocated at once, which Lookups counts. Where ctx belongs to a trace of OpenTelemetry,
// each source that is asked for it has a span there.
func (l *Locator) Locate(ctx context.Context, ip netip.Addr) *Group {
	ip = plain(ip)
	if g, known := l.Cached(ip, l.o.Now()); known {
		note(ctx, true, false, trace.SpanContext{})
		return g
	}
	f, shared := l.join(ctx, ip)
	if f == nil {
		return nil
	}
	note(ctx, false, shared, f.of)
	ctx, cancel := context.WithTimeout(ctx, l.o.LookupTimeout)
	defer cancel()
	select {
	case <-f.done:
		return f.group
	case <-ctx.Done():
		return nil
	}
}

// plain is an address as sources and the cache know it.
func plain(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }

// Reload has tables read their files again, and what is remembered looked up anew when it is next
// asked for; until then it counts. A table whose file is wrong stays as it was; the error says what
// is wrong with which line of which file. If ctx ends, the tables that are left stay as they were,
// too.
func (l *Locator) Reload(ctx context.Context) error {
	var errs []error
	for _, s := range l.chain {
		if r, ok := s.source.(reloader); ok {
			if ctx.Err() != nil {
				return errors.Join(append(errs, ctx.Err())...)
			}
			errs = append(errs, r.Reload())
		}
	}
	l.cache.expire()
	return errors.Join(errs...)
}

// Figures tell how the sources do, in the order of the chain.
func (l *Locator) Figures() []SourceFigures {
	figures := make([]SourceFigures, 0, len(l.chain))
	now := l.o.Now()
	for _, s := range l.chain {
		figures = append(figures, s.tell(now))
	}
	return figures
}

// LookupFigures tell of look-ups and of what is remembered of them.
type LookupFigures struct {
	Remembered int   // addresses that are remembered
	UnderWay   int   // look-ups under way
	Refused    int64 // addresses that were unlocated because too many look-ups were under way, since the start
}

// Lookups tells of look-ups and of what is remembered of them.
func (l *Locator) Lookups() LookupFigures {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LookupFigures{Remembered: l.cache.size(), UnderWay: len(l.flights), Refused: l.refused.Load()}
}

// Close ends look-ups that are under way, and then closes the sources, whose errors it returns.
// Whoever waits gets nil. It is called once; Cached may still be called after it.
func (l *Locator) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.running.Wait()
	var errs []error
	for _, s := range l.chain {
		if c, ok := s.source.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
