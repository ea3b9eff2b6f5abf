package console_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"waggle/console"
)

// dial opens a connection, on which head was sent.
func (w *world) dial(t *testing.T, head string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", w.console.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, head); err != nil {
		t.Fatal(err)
	}
	return c
}

// answered reads an answer.
func answered(t *testing.T, c net.Conn) *http.Response {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const getVersion = "GET /api/v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n"

func TestConnectionsBeyondTheLimitWaitForAPlace(t *testing.T) {
	w := newWorld(t, nil)
	var open []net.Conn
	for range console.MaxConnections {
		c := w.dial(t, getVersion)
		answered(t, c)
		open = append(open, c)
	}
	late := w.dial(t, getVersion)
	if err := late.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := late.Read(make([]byte, 1)); err == nil {
		t.Error("one more than the limit was answered")
	}
	_ = open[7].Close()
	if r := answered(t, late); r.StatusCode != http.StatusOK {
		t.Errorf("status %d once there was a place", r.StatusCode)
	}
}

func TestUploadsBeyondTheLimitWaitForAPlace(t *testing.T) {
	w := newWorld(t, nil)
	const head = "POST /api/v1/torrents?file=a.torrent HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\nContent-Type: application/x-bittorrent\r\n\r\n"
	var slow []net.Conn
	for range console.UploadsAtOnce {
		c := w.dial(t, head)
		if r := answered(t, c); r.StatusCode != http.StatusContinue { // its body is waited for
			t.Fatalf("status %d", r.StatusCode)
		}
		slow = append(slow, c)
	}
	late := w.dial(t, head)
	if err := late.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := late.Read(make([]byte, 1)); err == nil {
		t.Error("one more than the limit was asked for its body")
	}
	if got := w.do(t, get("/api/v1/version")); got.status != http.StatusOK {
		t.Errorf("meanwhile another request has status %d", got.status)
	}
	_ = slow[1].Close()
	if r := answered(t, late); r.StatusCode != http.StatusContinue {
		t.Errorf("status %d once there was a place", r.StatusCode)
	}
}

func TestStrangerKeepsNoPlaceByABodyThatNeverComes(t *testing.T) {
	w := newWorld(t, func(o *console.Options) { o.Token = token })
	c := w.dial(t, "POST /api/v1/torrents HTTP/1.1\r\nHost: tracker.example\r\nContent-Length: 1000\r\n\r\n")
	r := answered(t, c)
	if r.StatusCode != http.StatusUnauthorized || !r.Close {
		t.Errorf("status %d, closed %v", r.StatusCode, r.Close)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Errorf("the connection stays: %v", err)
	}
}

func TestHeaderThatIsTooLargeIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	c := w.dial(t, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	if r := answered(t, c); r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", r.StatusCode)
	}
}

func TestCloseWaitsForRequestsAndAnswersNoneAfterwards(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(o *console.Options) {
		o.Figures = func() any {
			close(began)
			<-end
			return 1
		}
	})
	w.dial(t, "GET /figures HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-began
	closed := make(chan error, 1)
	go func() { closed <- w.console.Close() }()
	select {
	case err := <-closed:
		t.Fatalf("closed while a request was under way: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(end)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := w.client(t, "").Transfers(t.Context()); err == nil {
		t.Error("it answers after it was closed")
	}
}
