package carrier

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// brisk is a pace for tests that wait for silence or for another attempt.
var brisk = pace{
	beat: 100 * time.Millisecond, silence: 2 * time.Second, retry: 100 * time.Millisecond, refused: 200 * time.Millisecond,
	answer: 4 * time.Second, stranger: 5 * time.Second,
}

const patience = 2 * time.Minute

// everything is what a leaf may do where a test is not about that.
var everything = Rights{Receive: true, Send: true}

// listener is a handler that hands what it is told to a test.
type listener struct {
	opened   chan *Link
	received chan []byte
	closed   chan error
	gate     chan struct{} // Received waits for it, if there is one
}

func newListener() *listener {
	return &listener{opened: make(chan *Link, 100), received: make(chan []byte, 100_000), closed: make(chan error, 100)}
}

func (l *listener) Opened(link *Link) { l.opened <- link }

func (l *listener) Received(_ *Link, message []byte) {
	if l.gate != nil {
		<-l.gate
	}
	l.received <- message
}

func (l *listener) Closed(_ *Link, why error) { l.closed <- why }

// wait returns the next of something, which must come.
func wait[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing came", what)
		panic("not reached")
	}
}

// ended waits for the end of a link.
func ended(t *testing.T, c <-chan error, what string) {
	t.Helper()
	if err := wait(t, c, what); err == nil {
		t.Errorf("%s was closed without a reason", what)
	}
}

// eventually waits until something is true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	end := time.After(patience)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !is() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// logbook keeps what is logged.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// says waits until the log has some words.
func (l *logbook) says(t *testing.T, words string) {
	t.Helper()
	end := time.After(patience)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !strings.Contains(l.String(), words) {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("the log does not say %q:\n%s", words, l)
		}
	}
}

// hubSide is a hub, whom it tells, and its log; leafSide is a leaf's.
type hubSide struct {
	*Hub
	*listener
	book *Book
	log  *logbook
}

type leafSide struct {
	*Leaf
	*listener
	log *logbook
}

// startHub starts a hub on a free port, of a new book.
func startHub(t *testing.T, change ...func(*HubOptions)) *hubSide {
	t.Helper()
	book, err := OpenBook(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return startHubOf(t, book, change...)
}

func startHubOf(t *testing.T, book *Book, change ...func(*HubOptions)) *hubSide {
	t.Helper()
	s := &hubSide{listener: newListener(), book: book, log: new(logbook)}
	o := HubOptions{Book: book, Name: "the-hub", Listen: "127.0.0.1:0", Handler: s.listener, Log: s.log.logger(), pace: brisk}
	for _, c := range change {
		c(&o)
	}
	h, err := NewHub(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Hub = h
	t.Cleanup(h.Close)
	return s
}

func (s *hubSide) invite(t *testing.T, name string, addresses ...string) *Invitation {
	t.Helper()
	if len(addresses) == 0 {
		addresses = []string{s.Addr().String()}
	}
	in, err := s.book.Invite(name, everything, addresses, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func startLeaf(t *testing.T, in *Invitation, change ...func(*LeafOptions)) *leafSide {
	t.Helper()
	s := &leafSide{listener: newListener(), log: new(logbook)}
	o := LeafOptions{Invitation: in, Handler: s.listener, Log: s.log.logger(), pace: brisk}
	for _, c := range change {
		c(&o)
	}
	l, err := NewLeaf(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Leaf = l
	t.Cleanup(l.Close)
	return s
}

// startPair starts a hub and a leaf, and returns their open links.
func startPair(t *testing.T) (hub *hubSide, leaf *leafSide, atHub, atLeaf *Link) {
	t.Helper()
	return startPairAt(t, brisk)
}

func startPairAt(t *testing.T, p pace) (hub *hubSide, leaf *leafSide, atHub, atLeaf *Link) {
	t.Helper()
	hub = startHub(t, func(o *HubOptions) { o.pace = p })
	leaf = startLeaf(t, hub.invite(t, "leaf"), func(o *LeafOptions) { o.pace = p })
	return hub, leaf, wait(t, hub.opened, "the hub's link"), wait(t, leaf.opened, "the leaf's link")
}

// send sends where there is room for it, and waits where there is none.
func send(t testing.TB, l *Link, message []byte) {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		err := l.Send(message)
		if err == nil {
			return
		}
		if err != ErrFull || time.Now().After(end) { //nolint:errorlint // Send returns it as it is
			t.Fatal(err)
		}
		select {
		case <-l.done:
		case <-time.After(100 * time.Microsecond):
		}
	}
}

// relay is a network between a leaf and a hub that can fall silent or break.
type relay struct {
	net.Listener
	to string

	mu     sync.Mutex
	silent bool
	conns  []net.Conn
	works  sync.WaitGroup
}

func startRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l, to: to}
	r.works.Go(r.accept)
	t.Cleanup(func() {
		_ = l.Close()
		r.breakAll()
		r.works.Wait()
	})
	return r
}

func (r *relay) accept() {
	for {
		in, err := r.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", r.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, in, out)
		r.mu.Unlock()
		r.works.Go(func() { r.copy(in, out) })
		r.works.Go(func() { r.copy(out, in) })
	}
}

// copy forwards, or swallows while the relay is silent.
func (r *relay) copy(from, to net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			_ = to.Close()
			return
		}
		r.mu.Lock()
		silent := r.silent
		r.mu.Unlock()
		if silent {
			continue
		}
		if _, err := to.Write(b[:n]); err != nil {
			_ = from.Close()
			return
		}
	}
}

func (r *relay) setSilent(silent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent = silent
}

func (r *relay) breakAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = nil
}
