package datagram

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a test that would never end.
const patience = 20 * time.Second

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// dialers are all kinds of sockets that this system has.
var dialers = map[string]func([]netip.Addr, netip.AddrPort) (Sockets, error){
	"batched where there are batches": dial,
	"each":                            dialEach,
}

func forEachDialer(t *testing.T, sockets int, test func(t *testing.T, s Sockets, l *Listener)) {
	for name, dialer := range dialers {
		t.Run(name, func(t *testing.T) {
			l, err := Listen(loopback)
			if err != nil {
				t.Fatal(err)
			}
			s, err := dialer(make([]netip.Addr, sockets), l.Addr())
			if err != nil {
				t.Fatal(err)
			}
			test(t, s, l)
			if err := errors.Join(s.Close(), l.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// packet returns a packet that can be told from others, of a length.
func packet(n, length int) []byte {
	return bytes.Repeat([]byte{byte(n), byte(n >> 8)}, length)[:length]
}

// collect receives so many packets.
func collect(t *testing.T, want int, receive func() (int, error), at func(int) []byte, wait func(time.Duration) error) (got [][]byte) {
	t.Helper()
	for deadline := time.Now().Add(patience); len(got) < want; {
		n, err := receive()
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			got = append(got, bytes.Clone(at(i)))
		}
		if n > 0 {
			continue
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d packets came, want %d", len(got), want)
		}
		if err := wait(time.Second); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func TestPacketsArriveOneByOneInOrderAsTheyWereSent(t *testing.T) {
	forEachDialer(t, 1, func(t *testing.T, s Sockets, l *Listener) {
		var out Packets
		var want [][]byte
		for n := range 200 {
			length := 98 // a long run, as of announces
			if n > 150 {
				length = 16 + n%3 // and short ones
			}
			want = append(want, packet(n, length))
			out.End(append(out.Begin(), want[n]...))
		}
		if err := s.Send(0, &out); err != nil {
			t.Fatal(err)
		}
		got := collect(t, len(want), l.Receive, l.Packet, l.Wait)
		for n := range want {
			if !bytes.Equal(got[n], want[n]) {
				t.Fatalf("packet %d: %d bytes %v, want %d bytes %v", n, len(got[n]), got[n], len(want[n]), want[n])
			}
		}
	})
}

func TestRepliesReachTheSocketThatAsked(t *testing.T) {
	forEachDialer(t, 3, func(t *testing.T, s Sockets, l *Listener) {
		const asked = 20
		for socket := range 3 {
			var out Packets
			for n := range asked {
				out.End(append(out.Begin(), packet(socket, 20+n)...))
			}
			if err := s.Send(socket, &out); err != nil {
				t.Fatal(err)
			}
		}
		for answered := 0; answered < 3*asked; {
			n, err := l.Receive()
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				if err := l.Wait(time.Second); err != nil {
					t.Fatal(err)
				}
			}
			var answers [Batch][]byte
			for i := range n {
				answers[i] = append([]byte{42}, l.Packet(i)...)
				l.Reply(i, answers[i])
			}
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
			answered += n
		}
		for socket := range 3 {
			receive := func() (int, error) { return s.Receive(socket) }
			for n, got := range collect(t, asked, receive, s.Packet, s.Wait) {
				if want := append([]byte{42}, packet(socket, 20+n)...); !bytes.Equal(got, want) {
					t.Errorf("socket %d was answered %v, want %v", socket, got, want)
				}
			}
		}
	})
}

func TestNobodyListeningIsTold(t *testing.T) {
	closed, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	addr := closed.Addr()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for name, dialer := range dialers {
		s, err := dialer(make([]netip.Addr, 1), addr)
		if err != nil {
			t.Fatal(err)
		}
		var out Packets
		out.End(append(out.Begin(), "is anybody there?"...))
		var told error
		for deadline := time.Now().Add(patience); told == nil && time.Now().Before(deadline); {
			if err := s.Send(0, &out); err != nil {
				t.Fatal(err)
			}
			if err := s.Wait(time.Second); err != nil {
				t.Fatal(err)
			}
			_, told = s.Receive(0)
		}
		if !errors.Is(told, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v, want that the connection was refused", name, told)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSourceAddressIsTheOneAskedFor(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	_ = server.SetDeadline(time.Now().Add(patience))
	local := netip.MustParseAddr("127.0.0.1")
	for name, dialer := range dialers {
		s, err := dialer([]netip.Addr{local}, server.LocalAddr().(*net.UDPAddr).AddrPort())
		if err != nil {
			t.Fatal(err)
		}
		var out Packets
		out.End(append(out.Begin(), 1))
		if err := s.Send(0, &out); err != nil {
			t.Fatal(err)
		}
		_, from, err := server.ReadFromUDPAddrPort(make([]byte, 10))
		if err != nil || from.Addr().Unmap() != local {
			t.Errorf("%s: came from %v, %v", name, from, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := dialer([]netip.Addr{netip.MustParseAddr("192.0.2.1")}, loopback); err == nil {
			t.Errorf("%s: an address of another machine was taken", name)
		}
	}
}

func TestRunEndsWhereTheLengthChangesOrTheLimitIs(t *testing.T) {
	var p Packets
	for _, length := range []int{5, 5, 5, 7, 5, 5} {
		p.End(append(p.Begin(), make([]byte, length)...))
	}
	for _, test := range []struct{ first, limit, want int }{{0, 64, 3}, {0, 2, 2}, {0, 1, 1}, {3, 64, 4}, {4, 64, 6}, {5, 64, 6}} {
		if got := p.run(test.first, test.limit); got != test.want {
			t.Errorf("from %d, at most %d: ends before %d, want %d", test.first, test.limit, got, test.want)
		}
	}
	if p.Reset(); p.Len() != 0 || len(p.Begin()) != 0 {
		t.Error("Reset left something")
	}
}
