package http

import (
	"sync"
	"sync/atomic"
	"time"
)

// slots are the places for connections on one address; nil has no limit.
type slots chan struct{}

func newSlots(n int) slots {
	if n <= 0 {
		return nil
	}
	return make(slots, n)
}

// take waits for a free place. It returns false if stop is closed before.
func (s slots) take(stop <-chan struct{}) bool {
	if s == nil {
		return true
	}
	select {
	case s <- struct{}{}:
		return true
	case <-stop:
		return false
	}
}

func (s slots) free() {
	if s != nil {
		<-s
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
