package udp_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/frontend/udp"
	"waggle/locality"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// oracle is a locator whose answers wait until they are let go.
type oracle struct {
	asked chan netip.Addr
	let   chan struct{}

	mu    sync.Mutex
	known map[netip.Addr]bool
}

func (o *oracle) Cached(ip netip.Addr, _ time.Time) (*locality.Group, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return nil, o.known[ip]
}

func (o *oracle) Locate(_ context.Context, ip netip.Addr) *locality.Group {
	o.asked <- ip
	<-o.let
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known[ip] = true
	return nil
}

func TestAnnounceThatWaitsForItsLocationHoldsUpNobody(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		l := &oracle{asked: make(chan netip.Addr), let: make(chan struct{}), known: map[netip.Addr]bool{netip.IPv6Loopback(): true}}
		o.Tracker = tracker.New(memory.New(memory.Options{}), tracker.Settings{Interval: time.Minute, NumWant: 50, MaxNumWant: 50}, tracker.Options{Locator: l})
		o.Readers = 1
		port := listen(t, o, ":0").Addrs()[0].Port()
		late := make(chan error, 2)
		for _, host := range []string{"127.0.0.1", "127.0.0.78"} { // answered from where they were asked
			go func() { late <- ask(t, "udp4", netip.AddrPortFrom(netip.MustParseAddr(host), port)) }()
			<-l.asked
		}
		if err := ask(t, "udp6", netip.AddrPortFrom(netip.IPv6Loopback(), port)); err != nil {
			t.Errorf("who is known waits for who is not: %v", err)
		}
		select {
		case err := <-late:
			t.Fatalf("it was answered before its location was known: %v", err)
		default:
		}
		close(l.let)
		for range 2 {
			if err := <-late; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAnnouncesAndPacketsAreCountedWhenTheyAreAnswered(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		l := &oracle{asked: make(chan netip.Addr), let: make(chan struct{}), known: map[netip.Addr]bool{netip.MustParseAddr("127.0.0.1"): true}}
		o.Tracker = tracker.New(memory.New(memory.Options{}), tracker.Settings{Interval: time.Minute, NumWant: 50, MaxNumWant: 50}, tracker.Options{Locator: l})
		s := listen(t, o, "127.0.0.1:0", "[::1]:0")
		if err := ask(t, "udp4", s.Addrs()[0]); err != nil {
			t.Error(err)
		}
		late := make(chan error, 1)
		go func() { late <- ask(t, "udp6", s.Addrs()[1]) }()
		<-l.asked
		if n := s.Figures().Announces; n > 1 {
			t.Errorf("%d announces are counted while one waits", n)
		}
		close(l.let)
		if err := <-late; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if f, l := s.Figures(), s.Latencies(); f.Announces != 2 || l.Total() != 4 || l.Sum <= 0 {
			t.Errorf("%d announces, %d packets in %v, want 2 and 4", f.Announces, l.Total(), l.Sum)
		}
	})
}

// network is a store behind one whose answers wait until they are let go.
type network struct {
	*memory.Store
	came chan struct{}
	let  chan struct{}
}

func (*network) Healthy() error { return nil }

func (s *network) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	s.came <- struct{}{}
	<-s.let
	return s.Store.Announce(ctx, a, r)
}

func TestSlowStoreHoldsUpNobodyAndShedsWhatIsTooMany(t *testing.T) {
	const places, more = 64, 36
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		s := &network{memory.New(memory.Options{}), make(chan struct{}, places+more), make(chan struct{})}
		o.Tracker = newTracker(s)
		o.Readers = 1
		server := listen(t, udp.WithLate(o, places), "127.0.0.1:0")
		conn := dial(t, server.Addrs()[0])
		id := connect(t, conn)
		for n := range places + more {
			a := bittorrent.AnnounceRequest{Port: uint16(1 + n), Left: 1, NumWant: -1}
			if _, err := conn.Write(bittorrent.AppendUDPAnnounce(nil, id, 2, &a, "")); err != nil {
				t.Fatal(err)
			}
		}
		connect(t, conn) // is answered while all others wait
		for range places {
			<-s.came
		}
		if f := o.Tracker.Figures(); f.Busy != more {
			t.Errorf("%d were shed, want %d", f.Busy, more)
		}
		close(s.let)
		for range places {
			read(t, conn)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if f := server.Figures(); f.Announces != places || f.Errors != 0 || f.WriteErrors != 0 {
			t.Errorf("%+v, want %d announces and no error", f, places)
		}
	})
}

func read(t *testing.T, conn net.Conn) bittorrent.UDPResponse {
	t.Helper()
	answer := make([]byte, 2048)
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

func connect(t *testing.T, conn net.Conn) uint64 {
	t.Helper()
	if _, err := conn.Write(bittorrent.AppendUDPConnect(nil, 1)); err != nil {
		t.Fatal(err)
	}
	r := read(t, conn)
	id, err := r.ConnectionID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}
