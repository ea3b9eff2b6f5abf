package stream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/internal/freeport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a test that would never end.
const patience = 20 * time.Second

// dialers are all kinds of streams that this system has.
var dialers = map[string]func(int, []netip.Addr, netip.AddrPort) (Streams, error){
	"epoll where there is one": dial,
	"each":                     dialEach,
}

// serve serves each connection with a function, until the test ends.
func serve(t *testing.T, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			handle(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func mustDial(t *testing.T, dialer func(int, []netip.Addr, netip.AddrPort) (Streams, error), streams int, to netip.AddrPort) Streams {
	t.Helper()
	s, err := dialer(streams, []netip.Addr{netip.MustParseAddr("127.0.0.1"), {}}, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// converse opens a stream, writes, and reads to the end.
func converse(s Streams, stream int, text string) (string, error) {
	if err := s.Open(stream); err != nil {
		return "", err
	}
	defer s.Shut(stream)
	left, got := []byte(text), []byte{}
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		n, err := s.Write(stream, left)
		if err != nil {
			return "", err
		}
		left = left[n:]
		buf := make([]byte, 1_000)
		n, err = s.Read(stream, buf)
		got = append(got, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return string(got), nil
		}
		if err != nil {
			return "", err
		}
		if n > 0 {
			continue
		}
		if err := s.Wait(time.Second, func(int) {}); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("no end after %q", got)
}

func TestWhatIsWrittenArrivesAndTheAnswerToo(t *testing.T) {
	to := serve(t, func(conn net.Conn) {
		question := make([]byte, 8)
		_, _ = io.ReadFull(conn, question)
		_, _ = conn.Write(append([]byte("answer to "), question...))
	})
	for name, dialer := range dialers {
		s := mustDial(t, dialer, 2, to)
		for _, stream := range []int{0, 1, 0} { // one of them again
			if got, err := converse(s, stream, "question"); err != nil || got != "answer to question" {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
}

func TestWhatDoesNotFitIsWrittenWhenThereIsRoom(t *testing.T) {
	const long = 4 << 20
	to := serve(t, func(conn net.Conn) {
		n, _ := io.CopyN(io.Discard, conn, long)
		_, _ = fmt.Fprintf(conn, "%d bytes", n)
	})
	for name, dialer := range dialers {
		s := mustDial(t, dialer, 1, to)
		if got, err := converse(s, 0, string(make([]byte, long))); err != nil || got != fmt.Sprintf("%d bytes", long) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestNobodyListeningIsTold(t *testing.T) {
	to := netip.MustParseAddrPort(freeport.Address(t))
	for name, dialer := range dialers {
		s := mustDial(t, dialer, 1, to)
		if _, err := converse(s, 0, ""); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v, want that the connection was refused", name, err)
		}
	}
}

func TestShutEndsAStreamThatWaits(t *testing.T) {
	seen := make(chan error, len(dialers))
	to := serve(t, func(conn net.Conn) {
		_, _ = io.ReadFull(conn, make([]byte, 5))
		_, err := conn.Read(make([]byte, 1))
		seen <- err
	})
	for name, dialer := range dialers {
		s := mustDial(t, dialer, 1, to)
		if err := s.Open(0); err != nil {
			t.Fatal(err)
		}
		for left := []byte("hello"); len(left) > 0; {
			n, err := s.Write(0, left)
			if err != nil {
				t.Fatal(err)
			}
			if left = left[n:]; n == 0 {
				_ = s.Wait(time.Second, func(int) {})
			}
		}
		s.Shut(0)
		if err := <-seen; !errors.Is(err, io.EOF) {
			t.Errorf("%s: the server saw %v, want the end", name, err)
		}
	}
}

func TestCloseEndsWhatIsStillOpen(t *testing.T) {
	to := serve(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	for _, dialer := range dialers {
		s := mustDial(t, dialer, 4, to)
		for stream := range 4 {
			if err := s.Open(stream); err != nil {
				t.Fatal(err)
			}
		}
	} // goleak and the server's end see to the rest
}
