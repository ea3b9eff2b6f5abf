package websocket

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"waggle/bittorrent"
	"waggle/frontend"
	"waggle/tracker"
)

// Options are the settings of a server.
type Options struct {
	Tracker *tracker.Tracker
	Swarms  *Swarms // that the tracker has as its browsers

	MaxScrape      int   // info hashes in one message; 0: 74
	MaxConnections int   // at a time; more are refused. 0: no limit
	MaxPerAddress  int   // of these, from one address that is held to a rate. 0: no limit
	MaxTorrents    int   // that one connection announces at a time. 0: no limit
	MaxMemory      int64 // bytes of messages that clients have yet to take, or to send the rest of. 0: no limit

	// Origins are the sites whose pages may connect, as "https://example.org"; none: any.
	Origins []string

	Log *slog.Logger // nil: none
}

// Times of a connection.
const (
	// handshakeTime is how long a client may take to read that it is let in.
	handshakeTime = 10 * time.Second

	// patience is how long a client may take to send the rest of a message, to take what
	// it is sent, or to hang up.
	patience = 10 * time.Second

	// quiet is after how long a silent client is asked whether it is there. It is less
	// than proxies wait, which is a minute at the least.
	quiet = 40 * time.Second

	// silence is after how long a client counts as gone.
	silence = 2 * time.Minute

	// tendEvery is how often connections are looked through for that.
	tendEvery = 5 * time.Second

	// drainTime is how long Close waits for clients to hang up.
	drainTime = 3 * time.Second
)

// Server answers browsers, from [New] to Close.
type Server struct {
	options Options
	origins atomic.Pointer[[]string]
	start   time.Time
	memory  budget
	figures figures
	poller  *poller // nil: each connection has a goroutine

	tallies   [tallies]tally
	nextTally atomic.Uint32
	works     sync.Pool // of *work

	context   context.Context // of announces; ends with the server
	cancel    context.CancelFunc
	closeOnce func() error
	serving   sync.WaitGroup // all goroutines

	mu        sync.Mutex
	conns     []*conn
	byAddress map[netip.Addr]int
	closed    bool
	emptied   chan struct{} // closed when there is no connection left after closed was set
}

// tallies is how many places there are to count in.
const tallies = 16

// New returns a server that answers what it is given by ServeUpgrade.
func New(o Options) (*Server, error) {
	if o.MaxScrape <= 0 {
		o.MaxScrape = bittorrent.UDPMaxScrapeHashes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o, start: time.Now(), byAddress: make(map[netip.Addr]int), emptied: make(chan struct{})}
	s.memory.most = o.MaxMemory
	s.works.New = func() any { return s.newWork() }
	s.context, s.cancel = context.WithCancel(context.Background())
	s.closeOnce = sync.OnceValue(s.drainAndClose)
	s.Allow(o.Origins)
	if !o.Tracker.Remote() { // or announces would wait for a network, and connections for each other
		var err error
		if s.poller, err = newPoller(s); err != nil {
			s.cancel()
			return nil, err
		}
	}
	s.serving.Go(s.tend)
	return s, nil
}

// Allow replaces the sites whose pages may connect.
func (s *Server) Allow(origins []string) { s.origins.Store(&origins) }

// seconds returns the time of the server, 1 and up.
func (s *Server) seconds() uint32 { return 1 + uint32(time.Since(s.start)/time.Second) }

// refusal is why a client is not let in.
type refusal struct {
	status int
	words  string
}

// Error is of error.
func (r *refusal) Error() string { return r.words }

var (
	errFullHouse   = &refusal{http.StatusServiceUnavailable, "this tracker has no room for another connection: try again later"}
	errFullAddress = &refusal{http.StatusTooManyRequests, "your address has as many connections as it may"}
	errOrigin      = &refusal{http.StatusForbidden, "pages of this site may not use this tracker"}
	errTooLong     = &refusal{http.StatusRequestURITooLong, "the token in the URL is longer than any that is given out"}
	errVersion     = &refusal{http.StatusHTTPVersionNotSupported, "WebSocket is spoken over HTTP/1.1 here"}
)

// add takes a connection in, before it has a stream.
func (s *Server) add(c *conn) *refusal {
	address := neighbours(c.from())
	held := s.options.MaxPerAddress > 0 && !s.options.Tracker.Unlimited(c.from())
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed, s.options.MaxConnections > 0 && len(s.conns) >= s.options.MaxConnections:
		return errFullHouse
	case held && s.byAddress[address] >= s.options.MaxPerAddress:
		return errFullAddress
	}
	s.byAddress[address]++
	c.number = uint32(len(s.conns))
	s.conns = append(s.conns, c)
	return nil
}

// remove takes a connection out.
func (s *Server) remove(c *conn) {
	address := neighbours(c.from())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byAddress[address]--; s.byAddress[address] == 0 {
		delete(s.byAddress, address)
	}
	last := len(s.conns) - 1
	s.conns[c.number] = s.conns[last]
	s.conns[c.number].number = c.number
	s.conns[last] = nil
	s.conns = s.conns[:last]
	if s.closed && last == 0 {
		close(s.emptied)
	}
}

// neighbours returns what counts as one address: of IPv6, 64 bits.
func neighbours(from netip.Addr) netip.Addr {
	if from.Is4() {
		return from
	}
	prefix, _ := from.Prefix(64) // an address of IPv6 has as many
	return prefix.Addr()
}

// all returns the connections that there are.
func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

// tend looks after connections until the server ends.
func (s *Server) tend() {
	ticker := time.NewTicker(tendEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.context.Done():
			return
		case <-ticker.C:
			s.tendOnce(s.seconds())
		}
	}
}

// tendOnce asks those who are silent whether they are there, and cuts those off who do not
// say so, or make others wait.
func (s *Server) tendOnce(now uint32) {
	for _, c := range s.all() {
		switch heard := c.heard.Load(); {
		case passed(c.late.Load(), now, patience), passed(c.deaf.Load(), now, patience):
			s.figures.slow.Add(1)
			c.cutOff()
		case passed(heard, now, silence):
			s.figures.silent.Add(1)
			c.cutOff()
		case passed(heard, now, quiet) && c.push(ws.OpPing, nil):
			c.flush()
		}
	}
}

// passed tells whether a time has passed since one that is not 0.
func passed(since, now uint32, span time.Duration) bool {
	return since > 0 && now >= since+uint32(span/time.Second)
}

// Close lets nobody in any more, tells all clients that the tracker goes, waits some
// seconds for them to hang up, and cuts off who does not. What they have announced is
// forgotten. Once is enough, and more do no harm.
func (s *Server) Close() error { return s.closeOnce() }

func (s *Server) drainAndClose() error {
	s.mu.Lock()
	s.closed = true
	if len(s.conns) == 0 {
		close(s.emptied)
	}
	s.mu.Unlock()
	for _, c := range s.all() {
		if c.push(ws.OpClose, ws.NewCloseFrameBody(ws.StatusGoingAway, "the tracker stops")) {
			c.flush()
		}
	}
	select {
	case <-s.emptied:
	case <-time.After(drainTime):
		for _, c := range s.all() {
			c.cutOff()
		}
		<-s.emptied
	}
	s.cancel()
	var err error
	if s.poller != nil {
		err = s.poller.close()
	}
	s.serving.Wait()
	return err
}

// figures count what happens seldom.
type figures struct {
	connections, refused, hungUp, slow, silent, panics atomic.Uint64
}

// Figures count what a server did since it began.
type Figures struct {
	Open        int    // connections now
	Memory      int64  // bytes of messages that clients have yet to take, or to send the rest of
	Connections uint64 // that were let in
	Refused     uint64 // that were not
	Messages    uint64 // of clients
	Sent        uint64 // messages to clients
	Announces   uint64 // decided by the tracker, refused ones included
	Offers      uint64 // passed on
	Answers     uint64 // passed on
	Undelivered uint64 // answers that nobody waits for, and what was for clients for which too much waits
	Failures    uint64 // messages answered with a failure reason
	HungUp      uint64 // connections of clients that broke the rules
	Slow        uint64 // connections of clients that did not read, or send the rest of a message
	Silent      uint64 // connections of clients that did not say that they were there
	Panics      uint64 // faults of waggle's
}

// Figures returns the counts as of now.
func (s *Server) Figures() Figures {
	n := &s.figures
	f := Figures{
		Memory: s.memory.used.Load(), Connections: n.connections.Load(), Refused: n.refused.Load(), HungUp: n.hungUp.Load(),
		Slow: n.slow.Load(), Silent: n.silent.Load(), Panics: n.panics.Load(),
	}
	s.mu.Lock()
	f.Open = len(s.conns)
	s.mu.Unlock()
	for i := range s.tallies {
		t := &s.tallies[i]
		f.Messages += t.messages.Load()
		f.Sent += t.sent.Load()
		f.Announces += t.announces.Load()
		f.Offers += t.offers.Load()
		f.Answers += t.answers.Load()
		f.Undelivered += t.undelivered.Load()
		f.Failures += t.failures.Load()
	}
	return f
}

// Latencies returns how long messages took, from when they were read to when the system
// took what followed from them, or it began to wait for the client.
func (s *Server) Latencies() (all frontend.Latencies) {
	for i := range s.tallies {
		all.Count(&s.tallies[i].Latency)
	}
	return all
}
