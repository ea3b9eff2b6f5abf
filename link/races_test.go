package link

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/link/carrier"
	"waggle/link/core"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// afar is another tracker, of which there is but the node.
type afar struct {
	node *core.Node
	link core.LinkID
	said [][]byte
}

func (a *afar) Send(_ core.LinkID, b []byte)             { a.said = append(a.said, b) }
func (*afar) Close(core.LinkID, core.Reason)             {}
func (*afar) Put(bittorrent.InfoHash, *swarm.Peer)       {}
func (*afar) Remove(bittorrent.InfoHash, netip.AddrPort) {}
func (*afar) Completed(bittorrent.InfoHash, uint32)      {}
func (*afar) Happened(core.Event)                        {}
func (*afar) File(core.LinkID, core.FileMessage)         {}
func (a *afar) local(h bittorrent.InfoHash, k swarm.ChangeKind, p *swarm.Peer) {
	a.node.Local(time.Now(), &swarm.Change{Kind: k, InfoHash: h, Peer: *p})
	a.node.Tick(time.Now())
}

// near is the tracker of a test, whose links never run a loop: each step is the test's.
type near struct {
	t       *testing.T
	l       *Links
	store   *memory.Store
	tracker *tracker.Tracker
	link    core.LinkID
	told    [][]byte
	afar    *afar
}

// nearHost is the host of links, but that what is sent is the test's to carry.
type nearHost struct {
	host
	n *near
}

func (h nearHost) Send(_ core.LinkID, b []byte)   { h.n.told = append(h.n.told, b) }
func (h nearHost) Close(core.LinkID, core.Reason) {}

func newNear(t *testing.T) *near {
	t.Helper()
	intake := NewIntake(time.Hour)
	n := &near{t: t, store: memory.New(memory.Options{Details: true, Changed: intake.Changed})}
	n.tracker = tracker.New(n.store, tracker.Settings{Interval: time.Hour, PeerLifetime: time.Hour}, tracker.Options{})
	o := Options{Intake: intake, Store: memory.Shown{Store: n.store}, Tracker: n.tracker, Name: "near", Directory: t.TempDir()}
	if err := o.fill(); err != nil {
		t.Fatal(err)
	}
	book, err := carrier.OpenBook(o.Directory)
	if err != nil {
		t.Fatal(err)
	}
	n.l = &Links{o: o, book: book, began: time.Now()}
	n.l.init(n.l)
	if err := n.l.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.l.node = core.New(time.Now(), core.Options{Origin: n.l.life.origin, Lifetime: time.Hour}, nearHost{host{n.l}, n})
	n.afar = &afar{}
	n.afar.node = core.New(time.Now(), core.Options{Origin: 2, Lifetime: time.Hour}, n.afar)
	n.afar.link = n.afar.node.Open(time.Now(), core.LinkOptions{Name: "near", Receive: true, Send: true})
	n.link = n.l.node.Open(time.Now(), core.LinkOptions{Name: "afar", Receive: true, Send: true})
	n.carry()
	t.Cleanup(func() {
		n.l.crew.close()
		n.l.sharing.close()
		_ = n.store.Close()
	})
	return n
}

// carry carries messages both ways until there are none, and does what follows to the store.
func (n *near) carry() {
	for len(n.told)+len(n.afar.said) > 0 {
		here, there := n.afar.said, n.told
		n.afar.said, n.told = nil, nil
		for _, b := range here {
			n.l.node.Receive(time.Now(), n.link, b)
		}
		for _, b := range there {
			n.afar.node.Receive(time.Now(), n.afar.link, b)
		}
	}
	n.l.crew.settle()
}

func (n *near) announce(h bittorrent.InfoHash, p *swarm.Peer, event bittorrent.Event) {
	n.t.Helper()
	a := swarm.Announce{From: p.Addr.Addr(), Now: time.Now()}
	a.InfoHash, a.PeerID, a.Key, a.Port, a.Left, a.Event = h, p.ID, p.Key, p.Addr.Port(), p.Left, event
	if err := n.tracker.Announce(context.Background(), &a, &swarm.Reply{}); err != nil {
		n.t.Fatal(err)
	}
}

func (n *near) peers(h bittorrent.InfoHash) (all []swarm.Peer) {
	n.store.Walk(h, nil, func(some []swarm.Peer) bool { all = append(all, some...); return true })
	return all
}

// TestPeerThatMovesHereIsInTheStoreAsItSaidLast has a peer announce here while what another
// tracker said of it before is on its way.
func TestPeerThatMovesHereIsInTheStoreAsItSaidLast(t *testing.T) {
	h := bittorrent.InfoHash{1}
	peer := func() *swarm.Peer {
		return &swarm.Peer{Addr: netip.AddrPortFrom(addrOf(1), 6881), ID: bittorrent.PeerID{7}, Kind: swarm.Leecher, Left: 5, Last: time.Now()}
	}
	t.Run("it has left the other", func(t *testing.T) {
		n := newNear(t)
		n.afar.local(h, swarm.PeerPut, peer())
		n.carry()
		if len(n.peers(h)) != 1 {
			t.Fatal("it was not told of")
		}
		n.afar.local(h, swarm.PeerGone, peer())
		n.announce(h, peer(), bittorrent.EventStarted)
		n.carry() // before the lanes are emptied
		if len(n.peers(h)) != 0 {
			t.Fatal("it was not removed: the test proves nothing")
		}
		n.l.drain()
		n.carry()
		if len(n.peers(h)) != 1 {
			t.Error("it is not in the store")
		}
	})
	t.Run("it is done here", func(t *testing.T) {
		n := newNear(t)
		n.afar.local(h, swarm.PeerPut, peer())
		p := peer()
		p.Left = 0
		n.announce(h, p, bittorrent.EventCompleted)
		n.carry()
		n.l.drain()
		n.carry()
		if all := n.peers(h); len(all) != 1 || all[0].Kind != swarm.Seeder {
			t.Errorf("%+v", all)
		}
	})
	t.Run("it stops here", func(t *testing.T) {
		n := newNear(t)
		n.announce(h, peer(), bittorrent.EventStarted)
		n.l.drain()
		n.carry()
		n.afar.local(h, swarm.PeerPut, peer())
		n.announce(h, peer(), bittorrent.EventStopped)
		n.carry()
		n.l.drain()
		n.carry()
		if all := n.peers(h); len(all) != 0 {
			t.Errorf("%+v", all)
		}
	})
	t.Run("it was silent here, and tells the other", func(t *testing.T) {
		n := newNear(t)
		silent := peer()
		silent.Last = time.Now().Add(-time.Hour)
		n.afar.local(h, swarm.PeerPut, peer())
		n.carry()
		n.l.o.Intake.Changed(&swarm.Change{Kind: swarm.PeerGone, InfoHash: h, Peer: *silent}) // before that was done
		n.l.drain()
		n.carry()
		if all := n.peers(h); len(all) != 1 || n.l.node.Figures().Peers != 1 {
			t.Errorf("%+v", all)
		}
	})
}

// TestPeerWhoseLocationCameLateIsInTheStoreAsItSaidLast has it wait to be located.
func TestPeerWhoseLocationCameLateIsInTheStoreAsItSaidLast(t *testing.T) {
	n := newNear(t)
	h, addr := bittorrent.InfoHash{1}, netip.AddrPortFrom(addrOf(1), 6881)
	a := n.l.crew.of(&h)
	waiting := swarm.Announce{From: addr.Addr(), Now: time.Now(), Relayed: time.Hour}
	waiting.InfoHash, waiting.Port, waiting.Left = h, addr.Port(), 5
	a.places.mu.Lock()
	a.places.waiting[whoOf(&waiting)] = &waiting
	a.places.mu.Unlock()
	n.announce(h, &swarm.Peer{Addr: addr}, bittorrent.EventCompleted)
	a.places.record(t.Context(), whoOf(&waiting), &waiting)
	if all := n.peers(h); len(all) != 1 || all[0].Kind != swarm.Leecher {
		t.Fatalf("%+v: the test proves nothing", all)
	}
	n.l.drain()
	n.carry()
	if all := n.peers(h); len(all) != 1 || all[0].Kind != swarm.Seeder {
		t.Errorf("%+v", all)
	}
}
