package tracker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/swarm"
)

// Settings are what may change while the tracker runs.
type Settings struct {
	Interval     time.Duration // between announces; sent with jitter of a tenth either way
	MinInterval  time.Duration // sent as it is; 0: not sent
	PeerLifetime time.Duration // after which a silent peer is forgotten
	NumWant      int32         // peers told to a client that does not say how many
	MaxNumWant   int32         // peers told to a client that wants more

	// PassiveInterval is Interval for torrents that are not served; 0: Interval.
	PassiveInterval time.Duration

	// Listed serves the torrents alone that the gate has as active. Without, any is
	// served that the gate has not as inactive.
	Listed bool

	// Denied are torrents that are refused, whatever the gate has. It must not be
	// changed any more.
	Denied Denied

	// AddressRate is how many announces and scrapes a second one address may send,
	// ten seconds' worth of them at once; 0: any number. Of IPv6, 64 bits count as
	// an address. Unlimited are the networks that this is not for; loopback never
	// is one that it is for.
	AddressRate int
	Unlimited   []netip.Prefix

	// Policies are who may cross which uplinks, where the tracker has a locator.
	// ProbeInterval is how often those that others depend on are tried by TCP; 0:
	// never.
	Policies      Policies
	ProbeInterval time.Duration

	// Early says what follows where peers announce before they may. It is for peers that are
	// told a MinInterval, and for no networks that the rate is not for either.
	Early Early
	// WarnUnreachable has clients told that could not be connected to, over HTTP.
	WarnUnreachable bool

	// Rate is how many announces a second there should be; 0: any number. Clients
	// are told intervals up to eight times as long to keep to it, and live as much
	// longer. What is still more than twice the rate is refused.
	Rate int

	// BrowserInterval is Interval for browsers, whose offers reach others when they
	// announce and at no other time; 0: Interval.
	BrowserInterval time.Duration
}

// Refusals of an announce, in words for the client's user.
const (
	ErrAddress bittorrent.Error = "your address is none that other peers could connect to"
	ErrStore   bittorrent.Error = "the tracker cannot reach its store: try again later"
)

// Options are what a tracker is made with. The zero value takes the real time and
// chance, and has no list of torrents.
type Options struct {
	Now    func() time.Time // nil: time.Now
	Random func() float64   // at least 0 and below 1, called concurrently; nil: math/rand/v2

	// Gate knows which torrents are listed; nil: none is.
	Gate Gate

	// Locator knows where addresses are; nil: peers are told of any. Then the store
	// is a [roster.Store].
	Locator Locator

	// Welcome says whether anything of an address is looked at; nil: it is. The error is a
	// [bittorrent.Error], fit to be sent back. It is called as doors are.
	Welcome func(ip netip.Addr) error

	// Doors are asked about each announce in their order, before anything is recorded.
	Doors []Door

	// Recorders are told of each announce that the store has taken in, in their order.
	Recorders []Recorder

	// Reach knows which peers can be connected to; nil: nobody tries.
	Reach Reach
	// Browsers are the peers of the same torrents that are in no store; nil: there are none.
	Browsers Browsers

	// Tracer makes the spans of announces that leave the machine; nil: nobody does.
	Tracer trace.Tracer

	// Dial tries to connect to a peer; nil: by TCP.
	Dial func(context.Context, netip.AddrPort) error

	// Addresses is how many addresses are held to Settings.AddressRate at a time, in
	// 8 bytes each; 0: 65,536. It is rounded up to a power of two.
	Addresses int

	// Peers is how many peers are recognised at a time, by what they announced last, in 40
	// bytes each; 0: 65,536, Nobody: none. It is rounded up to a power of two.
	Peers int
}

// Nobody is the Options.Peers of a tracker that recognises none: nobody announces too early,
// nor moves.
const Nobody = -1

// Door says who may announce. Enter is called concurrently; it must not block, should not
// allocate, and must not keep what it is given. The error is a [bittorrent.Error], fit to be
// sent back, or a [*bittorrent.Refusal]. It is not asked about announces that other trackers
// have passed on: they have asked their own.
type Door interface{ Enter(a *swarm.Announce) error }

// ScrapeDoor is a door that scrapes come by too. EnterScrape is called as Enter is.
type ScrapeDoor interface {
	EnterScrape(c *swarm.Credentials, now time.Time) error
}

// Recorder hears of announces. Announce is called concurrently; it must not block or
// allocate, and not keep what it is given. An announce of a browser has no port.
type Recorder interface{ Announce(a *swarm.Announce) }

// Reach knows which peers can be connected to. Of is called concurrently; it must not block or allocate.
type Reach interface {
	Of(netip.AddrPort) swarm.Reach
}

// WarnUnreachable is what a client is told that could not be connected to.
const WarnUnreachable = "the tracker cannot connect to the port that you listen on: others that are like you cannot exchange data with you; " +
	"forward the port, or let your firewall pass it"

// Tracker decides announces. All methods may be called concurrently.
type Tracker struct {
	store    swarm.Store
	warmer   swarm.Warmer // nil, or the store
	roster   roster.Store // nil, or the store
	remote   swarm.Remote // nil, or the store
	locator  Locator      // nil: nobody knows where anybody is
	gate     Gate         // nil: no torrent is listed
	profiler Profiler     // nil, or the gate
	settings atomic.Pointer[Settings]
	options  Options
	limiter  *limiter
	load     *load
	met      *met

	offenders *offenders
	figures   figures
}

// New returns a tracker over a store, which stays the caller's to close.
func New(store swarm.Store, s Settings, o Options) *Tracker {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Addresses <= 0 {
		o.Addresses = 1 << 16
	}
	if o.Peers == 0 {
		o.Peers = 1 << 16
	}
	start := o.Now()
	if o.Dial == nil {
		o.Dial = dial
	}
	t := &Tracker{store: store, locator: o.Locator, gate: o.Gate, options: o, limiter: newLimiter(o.Addresses, start), load: newLoad(start)}
	t.met, t.offenders = newMet(o.Peers, start), newOffenders(mostOffenders, start)
	t.warmer, _ = store.(swarm.Warmer)
	t.roster, _ = store.(roster.Store)
	t.remote, _ = store.(swarm.Remote)
	if t.remote != nil && o.Tracer != nil {
		t.store = traced{store}
	}
	t.profiler, _ = o.Gate.(Profiler)
	t.Apply(s)
	return t
}

// Tables returns how many bytes the tables take that New has made. The system gives most of
// them only when they are used.
func (t *Tracker) Tables() int64 {
	return t.limiter.bytes() + t.met.bytes() + t.offenders.limiter.bytes()
}

// Apply replaces the settings. Announces under way end with the old ones.
func (t *Tracker) Apply(s Settings) {
	if s.PassiveInterval <= 0 {
		s.PassiveInterval = s.Interval
	}
	if s.BrowserInterval <= 0 {
		s.BrowserInterval = s.Interval
	}
	t.settings.Store(&s)
	t.limiter.apply(s.AddressRate, s.Unlimited)
}

// Now returns the tracker's time. A frontend reads it once for as many announces
// as it takes in at a time.
func (t *Tracker) Now() time.Time { return t.options.Now() }

// Admit says whether a request from an address may be looked at. A frontend asks
// it before it parses an announce or a scrape; over UDP once the connection id
// is good, so that nobody can use up the requests of another. The error is a
// [*bittorrent.Refusal], or that of [Tracker.Welcome].
func (t *Tracker) Admit(from netip.Addr, now time.Time) error {
	if err := t.Welcome(from); err != nil {
		return err
	}
	if t.offenders.silenced(from, now) {
		t.figures.silenced.Add(1)
		return errSilenced
	}
	if t.limiter.allows(from, now) {
		return nil
	}
	t.figures.limited.Add(1)
	return errFlood
}

// Welcome says whether anything of an address may be looked at. Over UDP it is asked before
// a connection id is given; Admit asks it, too. The error is a [bittorrent.Error].
func (t *Tracker) Welcome(from netip.Addr) error {
	if t.options.Welcome == nil {
		return nil
	}
	return t.options.Welcome(from)
}

// dial connects to a peer by TCP, and hangs up.
func dial(ctx context.Context, addr netip.AddrPort) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr.String())
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// Announce decides an announce, which has been located, and fills in the reply. The error is a
// [bittorrent.Error], fit to be sent back, or a [*bittorrent.Refusal], which UDP
// has no words for: there it is answered with silence, and clients try again ever
// more slowly. a.NumWant is replaced by how many peers the client gets at most.
func (t *Tracker) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	s := t.settings.Load()
	hot := t.figures.at(&a.InfoHash)
	hot.announces.Add(1)
	if err := reachable(a); err != nil {
		t.figures.refused.Add(1)
		return err
	}
	if err := t.enter(a); err != nil {
		return err
	}
	standing := t.standing(s, &a.InfoHash)
	switch standing {
	case denied:
		t.figures.denied.Add(1)
		return ErrDenied
	case passive:
		return t.wait(ctx, s, a, r)
	}
	if err := t.shed(s, a); err != nil {
		t.figures.shed.Add(1)
		return err
	}
	a.NumWant = s.places(a)
	e := t.met.meet(a, s.MinInterval, s.Early.Refused)
	if err := t.judge(s, a, &e, r); err != nil {
		return err
	}
	if t.options.Reach != nil {
		a.Reach = t.options.Reach.Of(a.Addr())
	}
	if t.locator != nil {
		a.Policy = t.policy(s, standing, &a.InfoHash)
		hot.locate(a)
	}
	if err := t.record(ctx, a, r, &e); err != nil {
		t.met.tell(a, 0) // it comes back soon, and must
		return t.storeFailed(err)
	}
	if standing == listed {
		t.tell(a)
	}
	for _, recorder := range t.options.Recorders {
		recorder.Announce(a)
	}
	hot.told.Add(uint64(r.Peers.Len()))
	if a.Event == bittorrent.EventCompleted {
		hot.completed.Add(1)
	}
	if a.Reach == swarm.Unreachable && s.WarnUnreachable && r.Warning == "" {
		r.Warning = WarnUnreachable
	}
	t.pace(s, a, r)
	if r.MinInterval != s.MinInterval {
		t.met.tell(a, r.MinInterval)
	}
	if t.options.Browsers != nil {
		seeders, leechers := t.options.Browsers.Count(&a.InfoHash)
		r.Complete, r.Incomplete = r.Complete+seeders, r.Incomplete+leechers
	}
	return nil
}

// enter asks the doors whether the peer may announce.
func (t *Tracker) enter(a *swarm.Announce) error {
	for _, door := range t.options.Doors {
		if err := door.Enter(a); err != nil {
			t.figures.refused.Add(1)
			t.figures.atDoors.Add(1)
			return err
		}
	}
	return nil
}

// record has the store record an announce, in which its peer was met.
func (t *Tracker) record(ctx context.Context, a *swarm.Announce, r *swarm.Reply, e *encounter) error {
	if e.foreign {
		t.figures.kept.Add(1)
		return nil
	}
	if e.moved.IsValid() {
		t.letGo(a, e.moved)
	}
	return t.store.Announce(ctx, a, r)
}

// letGo has the store forget where a peer was before. It is not the announce that the
// caller's context is of. Where the store cannot, the old place expires.
func (t *Tracker) letGo(a *swarm.Announce, before netip.AddrPort) {
	t.figures.moved.Add(1)
	stop := swarm.Announce{AnnounceRequest: a.AnnounceRequest, From: before.Addr(), Now: a.Now, Families: a.Families, Policy: a.Policy}
	stop.Port, stop.Event, stop.NumWant = before.Port(), bittorrent.EventStopped, 0
	if err := t.store.Announce(context.Background(), &stop, new(swarm.Reply)); err != nil {
		_ = t.storeFailed(err)
	}
}

// Warm tells the store of announces that are about to come, if it wants to know.
func (t *Tracker) Warm(hashes []bittorrent.InfoHash, peers []netip.AddrPort) {
	t.met.warm(hashes, peers)
	if t.warmer != nil {
		t.warmer.Warm(hashes, peers)
	}
}

// reachable refuses an address that nobody can be sent to. Private and loopback
// addresses are good: a tracker may well serve a machine room, or one machine.
func reachable(a *swarm.Announce) error {
	if a.Port == 0 {
		return bittorrent.ErrPort
	}
	if !a.From.IsValid() || a.From.IsUnspecified() || a.From.IsMulticast() {
		return ErrAddress
	}
	return nil
}

// places returns how many peers to tell.
func (s *Settings) places(a *swarm.Announce) int32 {
	n := a.NumWant
	if n < 0 {
		n = s.NumWant
	}
	n = min(n, s.MaxNumWant)
	if a.Room > 0 {
		n = min(n, a.Room)
	}
	return n
}

// stretch is how many times as long as the interval a client may have to wait.
const stretch = 8

// shed refuses an announce that is too many. Clients are told to come back at any
// time within half an interval.
func (t *Tracker) shed(s *Settings, a *swarm.Announce) error {
	if s.Rate == 0 || !t.load.tooMany(a.Now, s.Rate, a.Event, t.options.Random) {
		return nil
	}
	minutes := min(max(int(s.Interval/2/time.Minute), 1), len(errBusy))
	refusal := &errBusy[int(t.options.Random()*float64(minutes))]
	t.load.keep(a.Now, s.PeerLifetime, t.load.ahead(a.Now)+refusal.RetryIn)
	return refusal
}

// pace sets when to announce again. A client must not be told to come back before
// it may.
func (t *Tracker) pace(s *Settings, a *swarm.Announce, r *swarm.Reply) {
	r.Interval, r.MinInterval = max(t.jittered(s.Interval), s.MinInterval), s.MinInterval
	if r.Pace != swarm.Usual {
		r.Interval = a.Policy.Interval(r.Pace, a, t.options.Random())
		r.MinInterval = r.Interval
	}
	t.lengthen(s, s.Interval, a, r)
}

// lengthen makes what is to be waited longer than the interval where there are too many.
func (t *Tracker) lengthen(s *Settings, interval time.Duration, a *swarm.Announce, r *swarm.Reply) {
	if s.Rate == 0 || a.Event == bittorrent.EventStopped {
		return
	}
	extra := t.load.book(a.Now, s.Rate, (stretch-1)*interval)
	if extra < time.Second {
		return
	}
	t.figures.lengthened.Add(1)
	t.load.keep(a.Now, s.PeerLifetime, extra)
	r.Interval += extra
	if r.MinInterval > 0 {
		r.MinInterval += extra
	}
}

func (t *Tracker) jittered(interval time.Duration) time.Duration {
	return swarm.Jittered(interval, t.options.Random())
}

// EnterScrape says who may scrape, by what a client shows. A frontend asks it before it has a
// scrape answered. The error is as that of [Door].
func (t *Tracker) EnterScrape(c *swarm.Credentials, now time.Time) error {
	for _, door := range t.options.Doors {
		if d, ok := door.(ScrapeDoor); ok {
			if err := d.EnterScrape(c, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// Scrape fills in counts, which is as long as hashes. What is not served has
// zeros. The error is a [bittorrent.Error].
func (t *Tracker) Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	t.figures.scrapes.Add(1)
	if err := t.store.Scrape(ctx, hashes, counts); err != nil {
		return t.storeFailed(err)
	}
	t.countBrowsers(hashes, counts)
	t.hide(hashes, counts)
	return nil
}

// MinInterval returns how long a client is asked to wait between requests of the
// same torrent.
func (t *Tracker) MinInterval() time.Duration { return t.settings.Load().MinInterval }

// storeFailed counts a store's fault and keeps its details from strangers.
func (t *Tracker) storeFailed(err error) error {
	if errors.Is(err, swarm.ErrBusy) {
		return t.TurnAway()
	}
	t.figures.failed.Add(1)
	t.figures.lastFailure.Store(&err)
	return ErrStore
}

// cleanings is how often the peers are looked through within a lifetime: a
// silent peer is told to others for at most a tenth longer than it should be.
const cleanings = 10

// Clean forgets silent peers until ctx ends.
func (t *Tracker) Clean(ctx context.Context) {
	for {
		lifetime := t.settings.Load().PeerLifetime
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(max(lifetime/cleanings, time.Second), time.Minute)):
		}
		_ = t.CleanOnce(ctx) // counted, and the next round tries again
	}
}

// CleanOnce forgets the peers that have been silent for the lifetime, and for as
// long as any of them was told to wait beyond the interval. The error is the
// store's.
func (t *Tracker) CleanOnce(ctx context.Context) error {
	now := t.Now()
	lifetime := t.settings.Load().PeerLifetime + t.load.kept(now)
	t.expireBrowsers(now)
	n, err := t.store.Expire(ctx, now.Add(-lifetime))
	t.figures.expired.Add(uint64(n))
	if err != nil && !errors.Is(err, context.Canceled) {
		_ = t.storeFailed(err)
		return fmt.Errorf("forgetting silent peers: %w", err)
	}
	return nil
}
