package http

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a connection whose plain requests are answered here, by one goroutine.
// Where the system allows it, it holds no buffers between requests: an idle one
// takes a stack of 2 to 8 KiB and some hundred bytes, and what TLS keeps.
type conn struct {
	server *Server
	stream
	from   netip.Addr
	places *slots       // where its own is given back
	of     *slots       // who closes it to make room
	counts netip.Prefix // whom it counts for, as one of many; invalid: nobody

	expects bool           // a PROXY header, before anything else
	client  netip.AddrPort // that the header named; invalid: none did

	waits atomic.Int64 // for a whole request, since when, in nanoseconds of Unix; 0: it does not

	b        *buffers  // nil while nothing is read or answered
	then     next      // what to do when b.out is written
	answered bool      // one request at least
	now      time.Time // when something was read last

	// due is until when the first request, or one of which a part is there, must be
	// complete. Zero between requests.
	due          time.Time
	readDeadline time.Time // as it is set on stream
}

// stream is what a connection reads from and writes to. But for SetReadDeadline and cut, its methods
// are for the goroutine of the connection.
type stream interface {
	io.ReadCloser
	SetReadDeadline(t time.Time) error

	receive() error                 // waits until there is something to read, and then reads it into conn.b
	send() error                    // writes conn.b.out
	closeWrite() error              // ends what is sent and not what is received
	cut()                           // closes at once
	intoNetConn() (net.Conn, error) // makes a connection for net/http of it, and ends it
}

// startConn returns a connection that is to be given its stream.
func startConn(s *Server, from netip.Addr, places *slots) *conn {
	now := time.Now()
	c := &conn{server: s, from: from, places: places, of: places, now: now, due: now.Add(s.options.Timeout), expects: s.isProxy(from)}
	c.waits.Store(now.UnixNano())
	return c
}

// take makes b what was read, and answered as far as its fields say.
func (c *conn) take(b *buffers, then next) {
	c.b, c.then = b, then
	if len(b.out) > 0 {
		c.due, c.answered = time.Time{}, true
		c.waits.Store(0)
	}
	b.makeRoom()
}

// serve answers requests until either side has enough, or something comes that
// is net/http's.
func (c *conn) serve() {
	defer c.leave()
	for {
		if err := c.flush(); err != nil {
			c.shut()
			return
		}
		switch c.then {
		case handOver:
			c.handOver()
			return
		case hangUp:
			c.hangUp()
			return
		case readMore:
			if err := c.read(); err != nil {
				c.end(err)
				return
			}
		}
		c.answer()
	}
}

// leave ends what is known of the connection here.
func (c *conn) leave() { c.server.open.remove(c) }

// answer answers what was read.
func (c *conn) answer() {
	c.now = time.Now()
	c.b.now = c.server.options.Tracker.Now()
	waited := c.waits.Swap(0) // for the client; from now on it waits for waggle
	defer func() {
		if len(c.b.out) == 0 && c.then == readMore {
			c.waits.Store(waited)
		}
	}()
	if c.expects {
		if then := c.introduce(); c.expects {
			c.take(c.b, then)
			return
		}
	}
	c.take(c.b, c.server.answer(c.b, c.from))
}

// end ends a connection that nothing more can be read from.
func (c *conn) end(err error) {
	unread := !c.idle() && (c.b.end >= enoughToJudge || !c.answered)
	if errors.Is(err, io.EOF) && unread && !c.expects {
		c.handOver() // net/http knows what to say of half a request
		return
	}
	c.shut()
}

// errClosing is why nothing more is read.
var errClosing = errors.New("the server closes")

// read waits for more of a request and reads it into c.b. It fails with io.EOF,
// when the client is too slow, and when the server closes between requests.
func (c *conn) read() error {
	if c.waits.Load() == 0 {
		c.waits.Store(c.now.UnixNano())
	}
	for {
		c.setReadDeadline()
		if c.idle() && c.server.isClosing() {
			return errClosing
		}
		err := c.receive()
		// Close wakes all who wait; those with half a request may go on.
		woken := errors.Is(err, os.ErrDeadlineExceeded) && !c.idle() && time.Now().Before(c.due)
		if !woken {
			return err
		}
		c.readDeadline = time.Time{}
	}
}

// idle tells whether nothing of a request is there.
func (c *conn) idle() bool { return c.b == nil || c.b.end == 0 }

// slack is which share of idleTimeout a connection may be idle longer, so that
// the deadline need not be set for every request: that takes as long as parsing
// one.
const slack = 4

func (c *conn) setReadDeadline() {
	if c.due.IsZero() && !c.idle() {
		c.due = c.now.Add(c.server.options.Timeout)
	}
	earliest, latest := c.due, c.due
	if c.due.IsZero() {
		earliest = c.now.Add(idleTimeout)
		latest = earliest.Add(idleTimeout / slack)
	}
	if c.readDeadline.Before(earliest) || c.readDeadline.After(latest) {
		c.readDeadline = latest
		_ = c.SetReadDeadline(latest) // of a closed connection: reading tells
	}
}

// flush writes the answers that are there.
func (c *conn) flush() error {
	if c.b == nil || len(c.b.out) == 0 {
		return nil
	}
	err := c.send()
	c.server.count(c.b)
	c.b.out = c.b.out[:0]
	return err
}

// Bounds of what is read after the last answer, so that the client gets it: the
// system tells a client that still sends when a connection is closed to forget
// what it was sent.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

// hangUp closes the connection behind the last answer.
func (c *conn) hangUp() {
	if c.b.end > 0 {
		_ = c.closeWrite()
		_ = c.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, c, lingerBytes)
	}
	c.shut()
}

// shut closes the connection and gives its place back.
func (c *conn) shut() {
	c.dropBuffers()
	_ = c.Close()
	c.leavePlace()
}

// leavePlace gives back what the connection takes of all that there may be.
func (c *conn) leavePlace() {
	c.places.free()
	c.server.crowd.leave(c.counts)
}

func (c *conn) dropBuffers() {
	if c.b != nil {
		c.server.keep(c.b)
		c.b = nil
	}
}

// handOver gives the connection to net/http for the rest of its life, with what
// was read and is not answered.
func (c *conn) handOver() {
	s := c.server
	s.figures.handedOver.Add(1)
	read := bytes.Clone(c.b.in[c.b.start:c.b.end])
	c.dropBuffers()
	if startsLikeProxyHeader(read) {
		s.refuseHeader(c.from, errNoProxy)
	}
	under, err := c.intoNetConn()
	if err != nil {
		c.leavePlace()
		return
	}
	h := &handed{Conn: under, client: c.client, read: read, release: sync.OnceFunc(c.leavePlace)}
	if secure, ok := under.(*tls.Conn); ok {
		s.handover.give(&handedSecure{h, secure})
		return
	}
	s.handover.give(h)
}
