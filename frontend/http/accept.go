package http

import (
	"sync"
	"sync/atomic"
	"time"
)

// slots are the places for connections on one address; nil has no limit. One of them is
// kept for who comes next, if need be by closing the connection that waits for longest.
type slots struct {
	places   chan struct{}
	ready    atomic.Int32 // of those, held by who accepts and has nobody yet
	makeRoom func()
}

func (s *Server) newSlots(n int) *slots {
	if n <= 0 {
		return nil
	}
	o := &slots{places: make(chan struct{}, n)}
	o.makeRoom = func() { s.makeRoom(o) }
	return o
}

// take waits for a free place. It returns false if stop is closed before.
func (s *slots) take(stop <-chan struct{}) bool {
	if s == nil {
		return true
	}
	select {
	case s.places <- struct{}{}:
		s.ready.Add(1)
		return true
	default:
	}
	for again := time.NewTicker(leastWait); ; {
		if s.ready.Load() == 0 {
			s.makeRoom()
		}
		select {
		case s.places <- struct{}{}:
			again.Stop()
			s.ready.Add(1)
			return true
		case <-again.C:
		case <-stop:
			again.Stop()
			return false
		}
	}
}

// accepted says that who has taken a place waits for a connection no more.
func (s *slots) accepted() {
	if s != nil {
		s.ready.Add(-1)
	}
}

func (s *slots) free() {
	if s != nil {
		<-s.places
	}
}

// A connection must have waited for so long for the rest of its request, or for its next, to
// make room for another. Of many only some are looked at, so that a flood does not cost
// looking at all each time.
const (
	leastWait = time.Second
	looks     = 256
)

// makeRoom closes the connection that has waited for its client for longest, of an address that
// is listened on.
func (s *Server) makeRoom(of *slots) {
	if s.open.closeLongest(of, time.Now().Add(-leastWait)) {
		s.figures.crowded.Add(1)
	}
}

// How long to wait when no connection can be accepted, as when there are no
// file descriptors left: twice as long each time, up to a limit.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// retries holds back those who accept while that fails, all together: one tries
// at a time.
type retries struct {
	mu    sync.Mutex
	pause atomic.Int64 // a time.Duration; 0: accepting does not fail
}

// accepted is to be called for every connection.
func (r *retries) accepted() {
	if r.pause.Load() != 0 {
		r.pause.Store(0)
	}
}

// retry waits after a failure to accept. It returns false if the server closes.
func (s *Server) retry(err error) bool {
	s.retries.mu.Lock()
	defer s.retries.mu.Unlock()
	if s.isClosing() {
		return false
	}
	pause := min(max(2*time.Duration(s.retries.pause.Load()), firstPause), lastPause)
	s.retries.pause.Store(int64(pause))
	s.options.Log.Warn("http cannot accept connections at the moment", "error", err, "next_try_in", pause)
	select {
	case <-time.After(pause):
		return true
	case <-s.closing:
		return false
	}
}

// begin serves a connection in a goroutine of its own. One of an address that has too many
// ends with the answers that there are for it already.
func (s *Server) begin(c *conn) {
	var ok bool
	if c.counts, ok = s.enter(c.from); !ok {
		if c.b == nil || len(c.b.out) == 0 {
			c.shut()
			return
		}
		c.then = hangUp
	}
	s.beginWith(c, c.serve)
}

// beginWith serves a connection by a method of its own, which ends in [conn.serve] or [conn.leave].
func (s *Server) beginWith(c *conn, serve func()) {
	if !s.open.add(c) {
		c.shut()
		return
	}
	s.serving.Go(serve)
}

// connections are those that are served here and not by net/http.
type connections struct {
	mu     sync.Mutex
	set    map[*conn]struct{}
	closed bool
}

// add returns false once no more are taken.
func (o *connections) add(c *conn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	if o.set == nil {
		o.set = make(map[*conn]struct{})
	}
	o.set[c] = struct{}{}
	return true
}

func (o *connections) remove(c *conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.set, c)
}

// closeLongest closes the one that waits for longest, among some, if that began before a time.
func (o *connections) closeLongest(of *slots, before time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	var longest *conn
	since, n := before.UnixNano(), 0
	for c := range o.set {
		if c.of != of {
			continue
		}
		if at := c.waits.Load(); at != 0 && at < since {
			longest, since = c, at
		}
		if n++; n == looks {
			break
		}
	}
	if longest == nil {
		return false
	}
	longest.waits.Store(0) // it is not looked at again
	longest.cut()
	return true
}

// wake makes those that wait for their client look whether they should.
func (o *connections) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.set {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // any time that is over
	}
}

// cutOff closes them all, takes no more, and returns how many there were.
func (o *connections) cutOff() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for c := range o.set {
		c.cut()
	}
	return len(o.set)
}
