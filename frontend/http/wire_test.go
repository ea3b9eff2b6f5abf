package http_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	frontend "waggle/frontend/http"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// wire is a connection that a test writes requests to as bytes.
type wire struct {
	t      *testing.T
	conn   net.Conn
	reader *bufio.Reader
}

func (s *server) dial(t *testing.T) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &wire{t, conn, bufio.NewReader(conn)}
}

func (w *wire) send(raw string) {
	w.t.Helper()
	if _, err := io.WriteString(w.conn, raw); err != nil {
		w.t.Fatal(err)
	}
}

// answer reads one answer and returns its body.
func (w *wire) answer(status int) string {
	w.t.Helper()
	response, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || response.StatusCode != status {
		w.t.Fatalf("%s, %v: %q, want status %d", response.Status, err, body, status)
	}
	return string(body)
}

// rest reads until the server has closed.
func (w *wire) rest() string {
	w.t.Helper()
	all, err := io.ReadAll(w.reader)
	if err != nil {
		w.t.Fatalf("%v after %q", err, all)
	}
	return string(all)
}

func plain(n int, headers ...string) string {
	lines := append([]string{"GET " + query(n, "") + " HTTP/1.1", "Host: x"}, headers...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// wantAnswers counts whole answers among what came over a connection.
func wantAnswers(t *testing.T, got string, n int) {
	t.Helper()
	if strings.Count(got, "HTTP/1.1 200 OK\r\n") != n || strings.Count(got, "5:peers") != n || !strings.HasSuffix(got, "e") {
		t.Errorf("got %q, want %d whole answers", got, n)
	}
}

func TestConnectionIsKeptAndAnswersPlainRequestsInPlace(t *testing.T) {
	s := listen(t, nil)
	w := s.dial(t)
	for n := range 20 {
		w.send(plain(n))
		if got := w.answer(200); !strings.HasPrefix(got, "d8:complete") {
			t.Fatalf("got %q", got)
		}
	}
	if f := s.Figures(); f.Connections != 1 || f.HandedOver != 0 {
		t.Errorf("got %+v, want one connection, answered in place", f)
	}
}

func TestRequestsInSingleBytesAreAnswered(t *testing.T) {
	s := listen(t, nil)
	w := s.dial(t)
	for _, c := range plain(1) + plain(2, "connection: close") {
		w.send(string(c))
	}
	wantAnswers(t, w.rest(), 2)
}

func TestPipelineOfAnySizeIsAnsweredInOrder(t *testing.T) {
	s := listen(t, nil)
	w := s.dial(t)
	raw := strings.Repeat(plain(1), 2_000) + plain(2, "Connection: close")
	go func() { _, _ = io.WriteString(w.conn, raw) }() // while the answers are read
	wantAnswers(t, w.rest(), 2_001)
	if f := s.Figures(); f.HandedOver != 0 {
		t.Errorf("got %+v, want all answered in place", f)
	}
}

func TestAnswerIsWholeWhenTheConnectionIsClosedBehindIt(t *testing.T) {
	s := listen(t, nil)
	for name, raw := range map[string]string{
		"close":              plain(1, "Connection: close"),
		"HTTP/1.0":           strings.Replace(plain(1), "HTTP/1.1", "HTTP/1.0", 1),
		"more than is read":  plain(1, "Connection: close") + strings.Repeat("x", 100_000),
		"close after others": plain(1) + plain(1, "Connection: close") + plain(1),
	} {
		w := s.dial(t)
		go func() { _, _ = io.WriteString(w.conn, raw) }() // the server need not read all of it
		got := strings.Replace(w.rest(), "HTTP/1.0 200", "HTTP/1.1 200", 1)
		if want := strings.Count(raw, "GET ") - strings.Count(name, "others"); strings.Count(got, "5:peers") != want {
			t.Errorf("%s: got %q, want %d answers", name, got, want)
		}
	}
}

func TestClientThatHasStoppedSendingIsAnswered(t *testing.T) {
	s := listen(t, nil)
	w := s.dial(t)
	w.send(plain(1) + plain(2))
	if err := w.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wantAnswers(t, w.rest(), 2)
}

func TestWhatIsNotPlainIsAnsweredByNetHTTPOnTheSameConnection(t *testing.T) {
	s := listen(t, nil)
	w := s.dial(t)
	w.send(plain(1) + "GET /health HTTP/1.1\r\nHost: x\r\n\r\n" + plain(2) +
		plain(3, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13") +
		"POST /announce HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + plain(4, "Connection: close"))
	for _, want := range []struct {
		status int
		prefix string
	}{{200, "d8:complete"}, {200, "ok\n"}, {200, "d8:complete"}, {200, "d8:complete"}, {405, "use GET"}, {200, "d8:complete"}} {
		if got := w.answer(want.status); !strings.HasPrefix(got, want.prefix) {
			t.Errorf("got %q, want %q", got, want.prefix)
		}
	}
	if rest := w.rest(); rest != "" {
		t.Errorf("%q follows", rest)
	}
	if f := s.Figures(); f.Connections != 1 || f.HandedOver != 1 {
		t.Errorf("got %+v, want one connection, handed over", f)
	}
}

func TestHeadersBeyond16KiBAreRefused(t *testing.T) {
	s := listen(t, nil)
	w := s.dial(t)
	w.send(plain(1))
	w.answer(200)
	w.send(plain(2, "X-A: "+strings.Repeat("a", 12<<10)))
	w.answer(200)
	go func() { _, _ = io.WriteString(w.conn, plain(3, "X-A: "+strings.Repeat("a", 24<<10))) }()
	w.answer(431)
}

func TestConnectionsBeyondTheLimitWaitForAPlace(t *testing.T) {
	for _, path := range []string{query(1, ""), "/health"} {
		s := listen(t, func(o *frontend.Options) { o.MaxConnections, o.Timeout = 1, time.Hour })
		request := "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"
		first, second := s.dial(t), s.dial(t)
		first.send(request)
		first.answer(200)
		second.send(request)
		first.send(request)
		first.answer(200)
		if f := s.Figures(); f.Connections != 1 {
			t.Errorf("%d connections at a time, want 1", f.Connections)
		}
		_ = first.conn.Close()
		second.answer(200)
		_ = second.conn.Close()
		for range 3 { // places are given back by those that do not last, too
			w := s.dial(t)
			w.send("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			w.answer(200)
		}
	}
}

// odd is a store that does what tests want with announces to the torrent 66.
type odd struct {
	swarm.Store
	do func(context.Context)
}

var oddTorrent = bittorrent.InfoHash{66}

func (o *odd) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	if a.InfoHash == oddTorrent {
		o.do(ctx)
	}
	return o.Store.Announce(ctx, a, r)
}

func withOdd(do func(context.Context), change func(*frontend.Options)) func(*frontend.Options) {
	return func(o *frontend.Options) {
		o.Tracker = tracker.New(&odd{memory.New(memory.Options{}), do}, tracker.Settings{Interval: time.Minute}, tracker.Options{})
		if change != nil {
			change(o)
		}
	}
}

// oddly makes a request for the odd torrent of one for the common one.
func oddly(request string) string {
	return strings.Replace(request, "info_hash=%07", "info_hash=%42", 1)
}

func TestPanicInARequestIsAFailureReasonAndNoMore(t *testing.T) {
	s := listen(t, withOdd(func(context.Context) { panic("a fault") }, nil))
	const want = "d14:failure reason"
	kept := s.dial(t)
	for range 2 {
		kept.send(plain(1) + oddly(plain(2)) + plain(3))
		for _, prefix := range []string{"d8:", want, "d8:"} {
			if got := kept.answer(200); !strings.HasPrefix(got, prefix) {
				t.Errorf("got %q, want %q", got, prefix)
			}
		}
	}
	for _, header := range []string{"Connection: close", "Content-Length: 0"} {
		w := s.dial(t)
		w.send(oddly(plain(1, header)))
		if got := w.answer(200); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", header, got, want)
		}
	}
	if f := s.Figures(); f.Panics != 4 || f.Failures != 4 {
		t.Errorf("got %+v, want 4 panics", f)
	}
}

func TestStoreThatKeepsRequestsWaitingKeepsNoOthersFromBeingAnswered(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := listen(t, withOdd(func(context.Context) {
		entered <- struct{}{}
		<-leave
	}, nil))
	var waiting []*wire
	for range 4*runtime.GOMAXPROCS(0) + 10 { // more than there are goroutines that accept
		w := s.dial(t)
		w.send(oddly(plain(1, "Connection: close")))
		waiting = append(waiting, w)
	}
	for range waiting {
		<-entered
	}
	if r := s.announce(t, s.v4()+query(1, "")); r.Incomplete != 1 {
		t.Errorf("got %+v", r)
	}
	close(leave)
	for _, w := range waiting {
		wantAnswers(t, w.rest(), 1)
	}
}

func TestManyClientsAtATime(t *testing.T) {
	s := listen(t, nil)
	var clients sync.WaitGroup
	for n := range 30 {
		clients.Go(func() {
			for range 20 {
				w := s.dial(t)
				w.send(plain(n) + plain(n))
				w.send(plain(n, "Connection: close"))
				wantAnswers(t, w.rest(), 3)
			}
		})
	}
	clients.Wait()
}

// logged is what a server logs.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestCloseEndsIdleConnectionsAtOnceAndLetsHalfARequestArrive(t *testing.T) {
	log := new(logged)
	s := listen(t, func(o *frontend.Options) {
		o.Timeout, o.Log = time.Hour, slog.New(slog.NewTextHandler(log, nil))
	})
	idle, half, general := s.dial(t), s.dial(t), s.dial(t)
	idle.send(plain(1))
	idle.answer(200)
	last := plain(2)
	half.send(plain(1) + last[:len(last)/2]) // the answer tells that the half was read, too
	half.answer(200)
	general.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
	general.answer(200)
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	if rest := idle.rest() + general.rest(); rest != "" {
		t.Errorf("idle connections were sent %q", rest)
	}
	half.send(last[len(last)/2:])
	rest := half.rest()
	wantAnswers(t, rest, 1)
	if !strings.Contains(rest, "\r\nConnection: close\r\n") {
		t.Errorf("got %q, want Connection: close", rest)
	}
	if err := <-closed; err != nil || strings.Contains(log.String(), "cut off") {
		t.Errorf("Close: %v, log: %s", err, log)
	}
}

func TestCloseWaitsForRequestsUnderWay(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := listen(t, withOdd(func(context.Context) {
		entered <- struct{}{}
		<-leave
	}, nil))
	kept, once := s.dial(t), s.dial(t)
	kept.send(plain(1))
	kept.answer(200)
	kept.send(oddly(plain(2)))
	once.send(oddly(plain(3, "Connection: close")))
	<-entered
	<-entered
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	for err := error(nil); err == nil; { // until it has begun to close
		var conn net.Conn
		if conn, err = net.Dial("tcp", s.Addrs()[0].String()); err == nil {
			_ = conn.Close()
		}
	}
	close(leave)
	wantAnswers(t, kept.rest(), 1)
	wantAnswers(t, once.rest(), 1)
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestCloseEndsRequestsThatTheStoreDoesNot(t *testing.T) {
	t.Parallel() // it takes as long as Close waits
	entered := make(chan struct{})
	s := listen(t, withOdd(func(ctx context.Context) {
		entered <- struct{}{}
		<-ctx.Done()
	}, nil))
	w := s.dial(t)
	w.send(oddly(plain(1)))
	<-entered
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
