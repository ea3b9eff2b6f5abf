package reach

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"waggle/bittorrent"
	"waggle/errno"
	"waggle/swarm"
)

// How often an address is tried.
const (
	againGood    = 6 * time.Hour   // one that could be connected to
	againBad     = 2 * time.Hour   // any other
	againSkipped = 1 * time.Minute // one that there was no time for
)

// Bounds of attempts.
const (
	connectTime   = 950 * time.Millisecond // the system sends a second SYN after one second
	handshakeTime = 2 * time.Second
	atOnce        = 256
	queue         = 1024
)

// Settings are what may change while peers are tried.
type Settings struct {
	PerSecond  int  // attempts
	Privileged bool // ports below 1024 are tried too
}

// Options are what a checker is made with.
type Options struct {
	Settings

	Addresses int // that are remembered

	Dial func(context.Context, netip.AddrPort) (net.Conn, error) // nil: by TCP
	Now  func() time.Time                                        // nil: time.Now

	// Loopback has addresses of this machine tried, too: for tests.
	Loopback bool
}

// Checker tries whether peers can be connected to. It is a tracker.Recorder. All methods may be called
// concurrently.
type Checker struct {
	o        Options
	settings atomic.Pointer[Settings]
	id       bittorrent.PeerID
	table    *table
	queue    chan attempt
	checks   [3]atomic.Uint64 // by what was found
	skipped  atomic.Uint64
}

// New returns a checker, which tries nothing until it runs.
func New(o Options) *Checker {
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr.String())
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Checker{o: o, table: newTable(o.Addresses), queue: make(chan attempt, queue)}
	copy(c.id[:], "-WG0001-")
	_, _ = rand.Read(c.id[8:]) // never fails
	c.settings.Store(&o.Settings)
	return c
}

// Apply replaces the settings.
func (c *Checker) Apply(s Settings) { c.settings.Store(&s) }

// Announce has a peer tried that is not known. It never waits and allocates nothing.
func (c *Checker) Announce(a *swarm.Announce) {
	if a.Event == bittorrent.EventStopped || a.Relayed > 0 || !c.mayTry(a.Addr()) || !c.table.claim(a.Addr(), a.Now, againSkipped) {
		return
	}
	select {
	case c.queue <- attempt{addr: a.Addr(), hash: a.InfoHash}:
	default:
		c.skipped.Add(1)
	}
}

// mayTry reports whether an address is one that is tried at all.
func (c *Checker) mayTry(addr netip.AddrPort) bool {
	ip := addr.Addr()
	return (addr.Port() >= 1024 || c.settings.Load().Privileged) && addr.Port() != 0 &&
		(ip.IsGlobalUnicast() || c.o.Loopback && ip.IsLoopback())
}

// Of returns what is known of an address.
func (c *Checker) Of(addr netip.AddrPort) swarm.Reach { return c.table.of(addr) }

// Run tries peers until ctx ends, and waits until no attempt is under way.
func (c *Checker) Run(ctx context.Context) {
	s := newSchedule()
	slots := make(chan struct{}, atOnce)
	defer func() {
		for range cap(slots) {
			slots <- struct{}{}
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if due, ok := s.next(); ok {
			timer.Reset(max(due.Sub(c.o.Now()), 0))
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case a := <-c.queue:
			s.gap = time.Second / time.Duration(max(c.settings.Load().PerSecond, 1))
			if !s.add(a, c.o.Now()) {
				c.skipped.Add(1)
			}
		case <-timer.C:
			if !c.start(ctx, s.take(), slots) {
				return
			}
		}
	}
}

// start begins an attempt as soon as there is a place for it; false: ctx ended before.
func (c *Checker) start(ctx context.Context, a attempt, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	go func() {
		defer func() { <-slots }()
		found := c.try(ctx, a)
		if ctx.Err() != nil {
			return // the attempt was cut short
		}
		again := againBad
		if found == swarm.Reachable {
			again = againGood
		}
		c.table.set(a.addr, found, c.o.Now(), again)
		c.checks[found].Add(1)
	}()
	return true
}

// try connects once.
func (c *Checker) try(ctx context.Context, a attempt) swarm.Reach {
	connecting, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	conn, err := c.o.Dial(connecting, a.addr)
	if err != nil {
		return refused(err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if bytes.ContainsAny(a.hash[:], "\r\n") || c.greet(conn, &a.hash) {
		return swarm.Reachable
	}
	return swarm.ReachUnknown
}

// refused is what an error of a connection tells of its other end: nothing, where it is about this one.
func refused(err error) swarm.Reach {
	var timeout net.Error
	if errno.Is(err, syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ECONNRESET) ||
		errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return swarm.Unreachable
	}
	return swarm.ReachUnknown
}

const (
	protocol      = "\x13BitTorrent protocol"
	handshakeSize = len(protocol) + 8 + 20 + 20
)

// greet reports whether the other end answers the handshake of a torrent with its own.
func (c *Checker) greet(conn net.Conn, h *bittorrent.InfoHash) bool {
	if conn.SetDeadline(time.Now().Add(handshakeTime)) != nil {
		return false
	}
	b := make([]byte, 0, handshakeSize)
	b = append(b, protocol...)
	b = append(b, make([]byte, 8)...)
	b = append(b, h[:]...)
	b = append(b, c.id[:]...)
	if _, err := conn.Write(b); err != nil {
		return false
	}
	if _, err := io.ReadFull(conn, b); err != nil {
		return false
	}
	return answers(b, h)
}

// answers reports whether what came is a handshake of a torrent.
func answers(b []byte, h *bittorrent.InfoHash) bool {
	return len(b) == handshakeSize && string(b[:len(protocol)]) == protocol && bittorrent.InfoHash(b[len(protocol)+8:][:20]) == *h
}

// Figures are what a checker did, and knows.
type Figures struct {
	Reached, Refused, Unclear      uint64 // attempts since the start, by what was found
	Skipped                        uint64 // peers that there was no time for, since the start
	Reachable, Unreachable, Others int    // addresses that are remembered
}

// Figures returns them as of now. It looks through all that is remembered.
func (c *Checker) Figures() Figures {
	found := c.table.count()
	return Figures{
		Reached: c.checks[swarm.Reachable].Load(), Refused: c.checks[swarm.Unreachable].Load(), Unclear: c.checks[swarm.ReachUnknown].Load(),
		Skipped:   c.skipped.Load(),
		Reachable: found[swarm.Reachable], Unreachable: found[swarm.Unreachable], Others: found[swarm.ReachUnknown],
	}
}
