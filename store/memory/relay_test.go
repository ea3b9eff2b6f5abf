package memory_test

import (
	"context"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/store/memory"
	"waggle/swarm"
)

// relayed makes an announce one that another tracker passed on.
func relayed(a *swarm.Announce) *swarm.Announce {
	a.Relayed, a.NumWant = 45*time.Minute, 0
	return a
}

func TestRelayedPeersAreCountedAndToldLikeOthers(t *testing.T) {
	var heard []swarm.Change
	s := memory.New(memory.Options{Changed: func(c *swarm.Change) { heard = append(heard, *c) }})
	if r := do(t, s, relayed(announce(1, 1))); r.Peers.Len() != 0 {
		t.Errorf("it is told of %d peers", r.Peers.Len())
	}
	r := do(t, s, announce(1, 2))
	if r.Incomplete != 2 || r.Peers.Len() != 1 {
		t.Errorf("%d leechers, told of %d", r.Incomplete, r.Peers.Len())
	}
	gone := relayed(announce(1, 1))
	gone.Event = bittorrent.EventStopped
	do(t, s, gone)
	stopped := announce(1, 2)
	stopped.Event = bittorrent.EventStopped
	do(t, s, stopped)
	want := []bool{true, false, true, false, false} // put, put, gone, gone, the torrent
	if len(heard) != len(want) {
		t.Fatalf("%+v", heard)
	}
	for i, relayed := range want {
		if heard[i].Relayed != relayed {
			t.Errorf("change %d, of kind %d, is relayed: %t", i, heard[i].Kind, heard[i].Relayed)
		}
	}
}

func TestPeerThatMakesRoomForAnotherIsNotSaidToHaveStopped(t *testing.T) {
	var gone []swarm.Change
	s := memory.New(memory.Options{MaxPeers: 1, Changed: func(c *swarm.Change) {
		if c.Kind == swarm.PeerGone {
			gone = append(gone, *c)
		}
	}})
	do(t, s, announce(1, 1))
	do(t, s, announce(1, 2))
	stop := announce(1, 2)
	stop.Event = bittorrent.EventStopped
	do(t, s, stop)
	if len(gone) != 2 || !gone[0].GivenUp || gone[1].GivenUp {
		t.Errorf("%+v", gone)
	}
}

func TestCompletedDownloadThatIsRelayedIsNotCounted(t *testing.T) {
	s := memory.New(memory.Options{})
	do(t, s, relayed(announce(1, 1)))
	a := relayed(announce(1, 1))
	a.Left = 0
	if r := do(t, s, a); r.Downloaded != 0 || r.Complete != 1 {
		t.Errorf("%d downloads, %d seeders", r.Downloaded, r.Complete)
	}
}

// TestRelayedPeersOfARackImportNothing has relayed peers come first, whom nobody here could
// tell to import.
func TestRelayedPeersOfARackImportNothing(t *testing.T) {
	s := memory.New(memory.Options{Seed: [2]uint64{1, 2}})
	tree, err := locality.NewTree(10, "rack")
	if err != nil {
		t.Fatal(err)
	}
	policy, err := swarm.NewPolicy("strict", 15*time.Second, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	at := func(rack string, a *swarm.Announce) *swarm.Announce {
		g, err := tree.Group(rack)
		if err != nil {
			t.Fatal(err)
		}
		a.Location, a.Policy = g, &policy
		return a
	}
	origin := relayed(at("r0", announce(1, 100)))
	origin.Left = 0
	do(t, s, origin)
	for n := range 5 {
		do(t, s, relayed(at("r1", announce(1, n))))
	}
	here := at("r1", announce(1, 50))
	here.NumWant = 50
	r := do(t, s, here)
	if r.Pace != swarm.Active || r.Peers.Len() != 6 {
		t.Errorf("the first that announces here is told of %d peers, at pace %d", r.Peers.Len(), r.Pace)
	}
	places, err := s.Places(context.Background(), announce(1, 1).InfoHash)
	if err != nil || len(places) != 2 {
		t.Fatalf("%+v, %v", places, err)
	}
	if p := places[1]; p.Leechers != 6 || len(p.Importers) != 1 || p.Importers[0] != here.Addr() {
		t.Errorf("%+v", p)
	}
	n, err := s.Tend(context.Background(), announce(1, 1).Now.Add(44*time.Minute), 0)
	if err != nil || n != 1 {
		t.Errorf("%d peers are gone before those who are relayed, %v", n, err)
	}
}
