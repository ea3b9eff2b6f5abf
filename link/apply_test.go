package link_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/store/memory"
	"waggle/swarm"
)

// gated is a locator that nobody hears of before the gate is open.
type gated struct {
	group *locality.Group
	gate  chan struct{}
}

func (g *gated) Cached(netip.Addr, time.Time) (*locality.Group, bool) { return nil, false }

func (g *gated) Locate(ctx context.Context, _ netip.Addr) *locality.Group {
	select {
	case <-g.gate:
	case <-ctx.Done():
	}
	return g.group
}

func TestRelayedPeersAreLocatedHereInTheirNewestState(t *testing.T) {
	tree, err := locality.NewTree(10, "rack")
	if err != nil {
		t.Fatal(err)
	}
	group, err := tree.Group("r1")
	if err != nil {
		t.Fatal(err)
	}
	locator := &gated{group, make(chan struct{})}
	hub, leaf := newSite(t, "hub1").hub(), newSite(t, "leaf1").start()
	hub.locator = locator
	hub.start()
	leaf.join(hub, everything)
	leaf.announce(1, 1, bittorrent.EventStarted, 100)
	leaf.announce(1, 2, bittorrent.EventStarted, 100)
	leaf.announce(1, 3, bittorrent.EventStarted, 100)
	eventually(t, "the hub is told", func() bool { return hub.links.Show().Relayed == 3 })
	leaf.announce(1, 1, bittorrent.EventCompleted, 0)
	leaf.announce(1, 2, bittorrent.EventStopped, 100)
	eventually(t, "the hub is told of the stop", func() bool { return hub.links.Show().Relayed == 2 })
	close(locator.gate)
	hub.awaitPeers(1, 2)
	if p := hub.peers(1)[addr(1)]; p.Kind != swarm.Seeder {
		t.Errorf("%+v", p)
	}
	places, err := hub.store.Places(context.Background(), hash(1))
	if err != nil || len(places) != 1 || places[0].Leechers+places[0].Seeders != 2 {
		t.Errorf("%+v, %v", places, err)
	}
}

// TestChangesThatComeTooFastAreComparedInstead fills a lane many times over.
func TestChangesThatComeTooFastAreComparedInstead(t *testing.T) {
	hub, leaf := two(t)
	const peers = 60_000
	for n := range peers {
		leaf.announce(1, n, bittorrent.EventStarted, 100)
	}
	for n := range peers / 2 {
		leaf.announce(1, n, bittorrent.EventStopped, 100)
	}
	leaf.announce(1, peers, bittorrent.EventCompleted, 0)
	eventually(t, "the hub has the other half", func() bool {
		c := hub.counts(1)
		return c.Incomplete == peers/2 && c.Complete == 1 && c.Downloaded == 1
	})
}

// TestWhatAStoreReadBackGivesWayToWhatOthersKnow has a leaf come back with a file that is
// older than what became of its peers.
func TestWhatAStoreReadBackGivesWayToWhatOthersKnow(t *testing.T) {
	hub, leaf := two(t)
	leaf.announce(1, 1, bittorrent.EventStarted, 100)
	hub.announce(1, 2, bittorrent.EventStarted, 100)
	hub.announce(1, 3, bittorrent.EventStarted, 100)
	leaf.awaitPeers(1, 3)
	hub.awaitPeers(1, 3)
	kept := leaf.peers(1)
	leaf.stop()
	hub.announce(1, 2, bittorrent.EventStopped, 100)
	hub.announce(1, 3, bittorrent.EventCompleted, 0)
	leaf.start(func(s *memory.Store) {
		for _, p := range kept {
			p.Last = p.Last.Add(-10 * time.Second)
			s.RestorePeer(hash(1), &p)
		}
	})
	leaf.awaitPeers(1, 2)
	hub.awaitPeers(1, 2)
	eventually(t, "the leaf knows who is a seeder", func() bool { return leaf.peers(1)[addr(3)].Kind == swarm.Seeder })
	eventually(t, "they agree", func() bool { return hub.links.Digest(hash(1)) == leaf.links.Digest(hash(1)) })
}
