package instance_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/cluster"
	"waggle/cluster/carrier"
	"waggle/cluster/instance"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lan carries packets between instances of one test.
type lan struct {
	mu    sync.Mutex
	ports map[netip.AddrPort]*port
}

type port struct {
	lan  *lan
	addr netip.AddrPort
	in   chan carrier.Packet

	figures carrier.Figures
	broken  bool
}

func (l *lan) plug(n byte) *port {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &port{lan: l, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 6968), in: make(chan carrier.Packet, 4096)}
	l.ports[p.addr] = p
	return p
}

func (l *lan) unplug(p *port) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ports, p.addr)
}

func (p *port) Address() netip.AddrPort        { return p.addr }
func (p *port) Receive() <-chan carrier.Packet { return p.in }
func (p *port) Close() error                   { return nil }
func (p *port) Broadcast(messages ...[]byte)   { p.Send(netip.AddrPort{}, messages...) }
func (p *port) Figures() carrier.Figures {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	return p.figures
}

// become changes what a port is.
func (p *port) become(change func()) {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	change()
}

func (p *port) Send(to netip.AddrPort, messages ...[]byte) {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	if p.broken {
		p.figures.Failed++
		return
	}
	if p.lan.ports[p.addr] != p {
		return // it is unplugged
	}
	for addr, other := range p.lan.ports {
		if other == p || to.IsValid() && addr != to {
			continue
		}
		list := make([][]byte, 0, len(messages))
		for _, b := range messages {
			list = append(list, slices.Clone(b))
		}
		select {
		case other.in <- carrier.Packet{From: p.addr, Messages: list}:
		default:
		}
	}
}

// node is a tracker of a cluster.
type node struct {
	t        *testing.T
	port     *port
	store    *memory.Store
	in       *instance.Instance
	tracker  *tracker.Tracker
	answered chan cluster.Transaction
}

var lifetime = 45 * time.Minute

func (l *lan) start(t *testing.T, n byte) *node {
	t.Helper()
	x := &node{t: t, port: l.plug(n), store: memory.New(memory.Options{Details: true}), answered: make(chan cluster.Transaction, 10)}
	clustered := &instance.Store{Store: x.store}
	settings := tracker.Settings{Interval: 30 * time.Minute, NumWant: 50, MaxNumWant: 200, PeerLifetime: lifetime}
	x.tracker = tracker.New(clustered, settings, tracker.Options{})
	x.in = instance.Start(instance.Options{
		Node:    cluster.Options{Times: cluster.Document, Lifetime: lifetime, MaxRows: 10_000},
		Carrier: x.port, Tracker: x.tracker, Counts: x.store,
		Answer: func(r *cluster.Request) { x.answered <- r.Transaction() },
	})
	clustered.In = x.in
	t.Cleanup(x.in.Close)
	return x
}

// announce lets a peer announce at one instance.
func (x *node) announce(host byte, left int64, e bittorrent.Event) (*swarm.Reply, error) {
	a := swarm.Announce{
		AnnounceRequest: bittorrent.AnnounceRequest{
			InfoHash: bittorrent.InfoHash{1}, PeerID: bittorrent.PeerID{host}, Left: left, Event: e, Port: 6881, NumWant: -1,
		},
		From: netip.AddrFrom4([4]byte{10, 1, 0, host}), Now: time.Now(), Families: swarm.IPv4,
	}
	var r swarm.Reply
	return &r, x.tracker.Announce(context.Background(), &a, &r)
}

func (x *node) wantCounts(complete, incomplete, downloaded uint32) {
	x.t.Helper()
	var c [1]bittorrent.ScrapeCounts
	if err := x.store.Scrape(context.Background(), []bittorrent.InfoHash{{1}}, c[:]); err != nil {
		x.t.Fatal(err)
	}
	if c[0].Complete != complete || c[0].Incomplete != incomplete || c[0].Downloaded != downloaded {
		x.t.Errorf("%v has %+v, want %d %d %d", x.port.addr, c[0], complete, incomplete, downloaded)
	}
}

func three(t *testing.T) (*lan, []*node) {
	l := &lan{ports: map[netip.AddrPort]*port{}}
	var list []*node
	for n := range byte(3) {
		list = append(list, l.start(t, n+1))
		time.Sleep(5 * time.Second)
	}
	if s := list[0].in.State(); s.Role != cluster.Master || len(s.Members) != 2 || !s.Serving {
		t.Fatalf("%+v", s)
	}
	return l, list
}

func TestAnnounceAtAnyInstanceIsRecordedByAllBeforeItIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, list := three(t)
		for n, x := range list {
			if _, err := x.announce(byte(n+1), 1, bittorrent.EventStarted); err != nil {
				t.Fatal(err)
			}
			for _, other := range list {
				other.wantCounts(0, uint32(n+1), 0)
			}
		}
		if _, err := list[1].announce(3, 0, bittorrent.EventCompleted); err != nil {
			t.Fatal(err)
		}
		r, err := list[2].announce(9, 1, bittorrent.EventStarted)
		if err != nil || r.Peers.Len() != 3 || r.Complete != 1 || r.Downloaded != 1 {
			t.Errorf("it is answered with %d peers, %+v, %v", r.Peers.Len(), r.AnnounceResponse, err)
		}
		if _, err := list[0].announce(1, 1, bittorrent.EventStopped); err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			x.wantCounts(1, 2, 1)
		}
	})
}

func TestClientsGoOnWhenTheMasterDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, list := three(t)
		if _, err := list[2].announce(1, 1, bittorrent.EventStarted); err != nil {
			t.Fatal(err)
		}
		l.unplug(list[0].port)
		began := time.Now()
		if _, err := list[2].announce(2, 1, bittorrent.EventStarted); err != nil {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("it took %v", took)
		}
		for _, x := range list[1:] {
			x.wantCounts(0, 2, 0)
		}
		if s := list[1].in.State(); s.Role != cluster.Master {
			t.Errorf("%+v", s)
		}
	})
}

func TestRequestThatTheMasterDiedOverIsAnsweredByTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, list := three(t)
		l.unplug(list[0].port)
		a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, Left: 1, Event: bittorrent.EventStarted, Port: 6881}
		r := &cluster.Request{Source: netip.MustParseAddrPort("10.1.0.7:7000")}
		copy(r.Packet[:], bittorrent.AppendUDPAnnounce(nil, 5, 6, &a, ""))
		for _, x := range list[1:] {
			x.in.Heard(r)
		}
		if id := <-list[1].answered; id != r.Transaction() {
			t.Errorf("%+v is answered", id)
		}
		list[2].wantCounts(0, 1, 0)
	})
}

func TestInstanceWithoutAMasterRefusesUntilThereIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{ports: map[netip.AddrPort]*port{}}
		x := l.start(t, 1)
		store := &instance.Store{Store: x.store, In: x.in}
		if !errors.Is(store.Healthy(), cluster.ErrNobody) {
			t.Error("it is healthy before it has listened for others")
		}
		time.Sleep(4 * time.Second)
		if err := store.Healthy(); err != nil {
			t.Error(err)
		}
		x.in.Close()
		if _, err := x.announce(1, 1, bittorrent.EventStarted); err == nil {
			t.Error("one that has stopped takes announces in")
		}
	})
}

func TestMasterThatStepsDownHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, list := three(t)
		if _, err := list[0].announce(1, 1, bittorrent.EventStarted); err != nil {
			t.Fatal(err)
		}
		if err := list[0].in.StepDown(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if a, b := list[0].in.State(), list[1].in.State(); a.Role != cluster.Slave || b.Role != cluster.Master {
			t.Errorf("they are %v and %v", a.Role, b.Role)
		}
		if _, err := list[0].announce(2, 1, bittorrent.EventStarted); err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			x.wantCounts(0, 2, 0)
		}
	})
}

func TestOnlyTheMasterAnswersClientsWhereThatIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, list := three(t)
		for n, x := range list {
			store := &instance.Store{Store: x.store, In: x.in, MasterOnly: true}
			a := swarm.Announce{From: netip.MustParseAddr("10.1.0.1"), Now: time.Now()}
			a.InfoHash, a.Port, a.Left = bittorrent.InfoHash{1}, 6881, 1
			err := store.Announce(t.Context(), &a, new(swarm.Reply))
			scraped := store.Scrape(t.Context(), []bittorrent.InfoHash{{1}}, make([]bittorrent.ScrapeCounts, 1))
			if is := n > 0; is != errors.Is(err, swarm.ErrBusy) || is != errors.Is(scraped, swarm.ErrBusy) || is == x.in.Answers() {
				t.Errorf("instance %d: %v, %v", n, err, scraped)
			}
		}
	})
}

func TestCompletedDownloadsAreToldByMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, list := three(t)
		for _, left := range []int64{1, 0} {
			e := bittorrent.EventStarted
			if left == 0 {
				e = bittorrent.EventCompleted
			}
			if _, err := list[1].announce(1, left, e); err != nil {
				t.Fatal(err)
			}
		}
		master := bittorrent.PeerID(list[0].in.State().ID)
		list[2].in.Close()
		list[2].in.Heard(new(cluster.Request)) // is left out
		for n, x := range list {
			rows, err := x.in.Counts(t.Context())
			if err != nil || len(rows) != 1 || rows[0].PeerID != master || rows[0].Left != 1 || rows[0].InfoHash != (bittorrent.InfoHash{1}) {
				t.Errorf("instance %d: %+v, %v", n, rows, err)
			}
			if x.in.Ended() != (n == 2) {
				t.Errorf("instance %d has ended: %v", n, x.in.Ended())
			}
		}
		if err := (&instance.Store{Store: list[2].store, In: list[2].in}).Healthy(); !errors.Is(err, instance.ErrStopped) {
			t.Error(err)
		}
	})
}

func TestConnectionIDsHaveTheTimeOfTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, list := three(t)
		store := memory.New(memory.Options{})
		late := instance.Start(instance.Options{
			Node: cluster.Options{Times: cluster.Document, Lifetime: lifetime, MaxRows: 100}, Carrier: l.plug(9),
			Tracker: tracker.New(store, tracker.Settings{Interval: time.Hour}, tracker.Options{}), Counts: store,
			Now: func() time.Time { return time.Now().Add(-time.Hour) },
		})
		defer late.Close()
		time.Sleep(10 * time.Second)
		if off := list[0].in.Now().Sub(late.Now()); off.Abs() > time.Second || late.State().Role != cluster.Slave {
			t.Errorf("they differ by %v; it is a %v", off, late.State().Role)
		}
	})
}

func TestLateCopyOfAnAnnounceBringsNobodyBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, list := three(t)
		announce := func(x *node, transaction uint32, left int64, e bittorrent.Event) int {
			t.Helper()
			a := swarm.Announce{
				AnnounceRequest: bittorrent.AnnounceRequest{
					InfoHash: bittorrent.InfoHash{1}, PeerID: bittorrent.PeerID{1}, Left: left, Event: e, Port: 6881, NumWant: -1,
				},
				From: netip.MustParseAddr("10.1.0.1"), Now: time.Now(), Families: swarm.IPv4,
			}
			r := &cluster.Request{Source: netip.MustParseAddrPort("10.1.0.1:7000")}
			copy(r.Packet[:], bittorrent.AppendUDPAnnounce(nil, 5, transaction, &a.AnnounceRequest, ""))
			var reply swarm.Reply
			for _, other := range list {
				if other != x {
					other.in.Heard(r)
				}
			}
			if err := x.tracker.Announce(instance.Heard(context.Background(), r), &a, &reply); err != nil {
				t.Fatal(err)
			}
			return reply.Peers.Len()
		}
		if _, err := list[1].announce(9, 1, bittorrent.EventStarted); err != nil {
			t.Fatal(err)
		}
		master := list[0]
		announce(master, 1, 1, bittorrent.EventStarted)
		announce(master, 2, 0, bittorrent.EventCompleted)
		if n := announce(master, 1, 1, bittorrent.EventStarted); n != 1 {
			t.Errorf("it is told of %d peers", n)
		}
		master.wantCounts(1, 1, 1)
		announce(master, 3, 0, bittorrent.EventStopped)
		announce(master, 2, 0, bittorrent.EventCompleted)
		for _, x := range list {
			x.wantCounts(0, 1, 1)
		}
	})
}
