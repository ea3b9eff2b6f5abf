package udp_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/frontend/udp"
	"waggle/internal/freeport"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onBothPaths runs a test with what this system does best, and with what works
// everywhere.
func onBothPaths(t *testing.T, test func(t *testing.T, o udp.Options)) {
	o := func() udp.Options { return udp.Options{Tracker: newTracker(memory.New(memory.Options{}))} }
	t.Run("own", func(t *testing.T) { test(t, o()) })
	t.Run("portable", func(t *testing.T) { test(t, udp.Portable(o())) })
}

func listen(t *testing.T, o udp.Options, addresses ...string) *udp.Server {
	t.Helper()
	if o.Tracker == nil {
		o.Tracker = newTracker(memory.New(memory.Options{}))
	}
	s, err := udp.Listen(t.Context(), addresses, o)
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

func newTracker(store swarm.Store) *tracker.Tracker {
	return tracker.New(store, tracker.Settings{Interval: time.Minute, NumWant: 50, MaxNumWant: 50}, tracker.Options{})
}

// ask connects and announces over a socket that takes answers from the asked
// address only, as those of real clients do.
func ask(t *testing.T, network string, to netip.AddrPort) error {
	t.Helper()
	conn, err := net.Dial(network, to.String())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	exchange := func(packet []byte) (bittorrent.UDPResponse, error) {
		if _, err := conn.Write(packet); err != nil {
			return bittorrent.UDPResponse{}, err
		}
		answer := make([]byte, 2048)
		n, err := conn.Read(answer)
		if err != nil {
			return bittorrent.UDPResponse{}, fmt.Errorf("no answer from %v: %w", to, err)
		}
		return bittorrent.ParseUDPResponse(answer[:n])
	}
	r, err := exchange(bittorrent.AppendUDPConnect(nil, 1))
	if err != nil {
		return err
	}
	id, err := r.ConnectionID()
	if err != nil {
		return err
	}
	a := bittorrent.AnnounceRequest{Port: 1, Left: 1, NumWant: -1}
	if r, err = exchange(bittorrent.AppendUDPAnnounce(nil, id, 2, &a, "")); err != nil {
		return err
	}
	return r.Announce(to.Addr().Is6(), new(bittorrent.AnnounceResponse))
}

func TestWildcardAnswersOnBothFamiliesFromTheAddressThatWasAsked(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		for _, wildcard := range []string{":0", "0.0.0.0:0", "[::]:0"} {
			addrs := listen(t, o, wildcard).Addrs()
			if len(addrs) != 2 || addrs[0].Port() != addrs[1].Port() {
				t.Fatalf("listens on %v for %s, want IPv4 and IPv6 on one port", addrs, wildcard)
			}
			port := addrs[0].Port()
			for network, host := range map[string]string{"udp4": "127.0.0.1", "udp": "127.0.0.77", "udp6": "::1"} {
				if err := ask(t, network, netip.AddrPortFrom(netip.MustParseAddr(host), port)); err != nil {
					t.Errorf("%s on %s: %v", host, wildcard, err)
				}
			}
		}
	})
}

func TestSeveralListenersServeAtOnce(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		s := listen(t, o, "127.0.0.1:0", "127.0.0.2:0", "[::1]:0", "localhost:0")
		for _, addr := range s.Addrs() {
			if err := ask(t, "udp", addr); err != nil {
				t.Error(err)
			}
		}
		if got := s.Figures().Connects; got != 4 {
			t.Errorf("%d connects were counted, want 4", got)
		}
	})
}

func TestIdleServerAnswersEachTimeThatItIsAsked(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		s := listen(t, o, "127.0.0.1:0")
		for range 100 {
			if err := ask(t, "udp", s.Addrs()[0]); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestServerThatWasNeverAskedCloses(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		if err := listen(t, o, ":0", "127.0.0.3:0").Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAddressInUseIsNamedAndNothingIsKept(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		o.Readers = 4
		taken := listen(t, o, "127.0.0.1:0").Addrs()[0].String()
		first := freeport.Address(t)
		_, err := udp.Listen(context.Background(), []string{first, taken}, o)
		if err == nil || !strings.Contains(err.Error(), taken) || !strings.Contains(err.Error(), "in use") {
			t.Errorf("got %v, want an error that names %s", err, taken)
		}
		again, err := net.ListenPacket("udp", first)
		if err != nil {
			t.Errorf("the first address was kept: %v", err)
		} else {
			_ = again.Close()
		}
	})
}

func TestWildcardAndOneOfItsAddressesAreInEachOthersWay(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		for first, second := range map[string]string{"0.0.0.0": "127.0.0.1", "127.0.0.1": ""} {
			port := strconv.Itoa(int(listen(t, o, net.JoinHostPort(first, "0")).Addrs()[0].Port()))
			s, err := udp.Listen(t.Context(), []string{net.JoinHostPort(second, port)}, o)
			if err == nil {
				_ = s.Close()
				t.Errorf("%q and %q have one port", first, second)
			}
		}
	})
}

func TestAddressThatCannotBeIsExplained(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		for address, want := range map[string]string{
			"192.0.2.77:0": "not an address of this machine",
			"127.0.0.1":    "listen.udp",
			"127.0.0.1:x":  "listen.udp",
		} {
			if _, err := udp.Listen(context.Background(), []string{address}, o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", address, err, want)
			}
		}
	})
}

func TestCloseAnswersWhatHasArrived(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		s := listen(t, o, "127.0.0.1:0")
		conn := dial(t, s.Addrs()[0])
		const packets = 100
		for n := range packets {
			if _, err := conn.Write(bittorrent.AppendUDPConnect(nil, uint32(n))); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for n := range packets {
			if _, err := conn.Read(make([]byte, 16)); err != nil {
				t.Fatalf("answer %d of %d: %v", n, packets, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("a second Close: %v", err)
		}
		if n := s.Figures().Connects; n != packets {
			t.Errorf("%d connects were counted, want %d", n, packets)
		}
	})
}

func TestAnswersOfManyPacketsComeInTheirOrder(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		o.Readers = 1
		s := listen(t, o, "127.0.0.1:0")
		const clients, packets = 4, 150
		var conns [clients]net.Conn
		for c := range conns {
			conns[c] = dial(t, s.Addrs()[0])
		}
		for n := range packets {
			for c, conn := range conns {
				if _, err := conn.Write(bittorrent.AppendUDPConnect(nil, uint32(c*packets+n))); err != nil {
					t.Fatal(err)
				}
			}
		}
		for c, conn := range conns {
			for n := range packets {
				answer := make([]byte, 64)
				length, err := conn.Read(answer)
				if err != nil {
					t.Fatal(err)
				}
				r, err := bittorrent.ParseUDPResponse(answer[:length])
				if want := uint32(c*packets + n); err != nil || r.TransactionID != want {
					t.Fatalf("answer %d, %v; want %d", r.TransactionID, err, want)
				}
			}
		}
	})
}

func TestPacketsAreSpreadOverAllWorkers(t *testing.T) {
	s := listen(t, udp.Options{Readers: 4}, "127.0.0.1:0")
	for range 256 { // each from a port of its own
		if err := ask(t, "udp", s.Addrs()[0]); err != nil {
			t.Fatal(err)
		}
	}
	counts := s.Connects()
	if len(counts) != 4 || runtime.GOOS == "linux" && slices.Min(counts) == 0 {
		t.Errorf("the workers answered %v, want some by each of 4", counts)
	}
}

func TestPacketThatIsTooLongIsReadAsFarAsItMatters(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		conn := dial(t, listen(t, o, "127.0.0.1:0").Addrs()[0])
		if _, err := conn.Write(append(bittorrent.AppendUDPConnect(nil, 9), make([]byte, 5000)...)); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 64)
		n, err := conn.Read(answer)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := bittorrent.ParseUDPResponse(answer[:n]); err != nil || r.TransactionID != 9 {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

// faulty is a store with a fault.
type faulty struct{ *memory.Store }

func (f faulty) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	if a.NumWant == 13 {
		panic("a fault")
	}
	return f.Store.Announce(ctx, a, r)
}

func TestPanicCostsThePacketThatFoundIt(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		var log bytes.Buffer
		o.Tracker, o.Readers = newTracker(faulty{memory.New(memory.Options{})}), 1
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		s := listen(t, o, "127.0.0.1:0")
		conn := dial(t, s.Addrs()[0])
		answer := make([]byte, 2048)
		exchange := func(packets ...[]byte) bittorrent.UDPResponse {
			for _, packet := range packets {
				if _, err := conn.Write(packet); err != nil {
					t.Fatal(err)
				}
			}
			n, err := conn.Read(answer)
			if err != nil {
				t.Fatal(err)
			}
			r, err := bittorrent.ParseUDPResponse(answer[:n])
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		r := exchange(bittorrent.AppendUDPConnect(nil, 1))
		id, err := r.ConnectionID()
		if err != nil {
			t.Fatal(err)
		}
		bad, good := bittorrent.AnnounceRequest{Port: 1, NumWant: 13}, bittorrent.AnnounceRequest{Port: 1, NumWant: 12}
		r = exchange(bittorrent.AppendUDPAnnounce(nil, id, 2, &bad, ""), bittorrent.AppendUDPAnnounce(nil, id, 3, &good, ""))
		if r.TransactionID != 3 {
			t.Errorf("answer to %d, want 3", r.TransactionID)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if n := s.Figures().Panics; n != 1 || !strings.Contains(log.String(), "a fault") {
			t.Errorf("%d panics were counted, want 1; the log has %s", n, &log)
		}
	})
}

func dial(t *testing.T, to netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := net.Dial("udp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}
