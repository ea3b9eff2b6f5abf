package link

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// busyStore has a download completed just before it is asked for counts.
type busyStore struct {
	memory.Shown
	complete func()
}

func (s busyStore) Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	s.complete()
	return s.Shown.Scrape(ctx, hashes, counts)
}

func TestDownloadThatCompletesWhileCountsAreClaimedCountsOnce(t *testing.T) {
	n := newNear(t)
	h := bittorrent.InfoHash{1}
	n.store.RestoreDownloaded(h, 5)
	peer := uint64(0)
	done := func() {
		peer++
		n.announce(h, &swarm.Peer{Addr: netip.AddrPortFrom(addrOf(peer), 6881)}, bittorrent.EventCompleted)
	}
	n.l.crew.close()
	n.l.node, n.l.o.Store = nil, busyStore{memory.Shown{Store: n.store}, done}
	n.l.o.Directory = t.TempDir()
	if err := n.l.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	done()
	n.l.drain()
	if total := n.l.node.Total(h); total != 7 {
		t.Errorf("%d downloads, not 7", total)
	}
}

// brokenStore cannot tell counts.
type brokenStore struct{ memory.Shown }

var errBroken = errors.New("broken")

func (brokenStore) Scrape(context.Context, []bittorrent.InfoHash, []bittorrent.ScrapeCounts) error {
	return errBroken
}

func TestLinksThatCouldNotBeginEndWellAndMayBeginLater(t *testing.T) {
	n := newNear(t)
	n.store.RestoreDownloaded(bittorrent.InfoHash{1}, 5)
	n.l.crew.close()
	good := n.l.o.Store
	n.l.node, n.l.o.Store, n.l.o.Directory = nil, brokenStore{memory.Shown{Store: n.store}}, t.TempDir()
	if err := n.l.begin(t.Context()); !errors.Is(err, errBroken) {
		t.Fatalf("it began, %v", err)
	}
	if err := n.l.keepAtEnd(); err != nil {
		t.Error(err)
	}
	n.l.o.Store = good
	if err := n.l.begin(t.Context()); err != nil || n.l.node.Total(bittorrent.InfoHash{1}) != 5 {
		t.Errorf("%v", err)
	}
}

// TestPeerThatLeftAfterTheEndIsNotClaimed has a store read a peer back as seen at the start,
// which is the latest that it can have been.
func TestPeerThatLeftAfterTheEndIsNotClaimed(t *testing.T) {
	n := newNear(t)
	n.l.life.was = &state{Clean: true, Ended: time.Now().Add(-time.Minute).Unix()}
	h, addr := bittorrent.InfoHash{1}, netip.AddrPortFrom(addrOf(1), 6881)
	gone := &swarm.Peer{Addr: addr, Kind: swarm.Leecher, Left: 5, Last: time.Now()}
	n.l.claimPeer(time.Now(), h, gone)
	n.l.node.Tick(time.Now())
	n.carry()
	n.afar.node.Local(time.Now().Add(-30*time.Second), &swarm.Change{Kind: swarm.PeerPut, InfoHash: h, Peer: *gone})
	n.afar.local(h, swarm.PeerGone, gone)
	n.carry()
	if peers := n.l.node.Figures().Peers; peers != 0 {
		t.Errorf("%d peers", peers)
	}
}

// TestPeersThatExpireByAShorterLifetimeHaveNotStopped has another tracker's peer expire here
// after a reload.
func TestPeersThatExpireByAShorterLifetimeHaveNotStopped(t *testing.T) {
	n := newNear(t)
	h := bittorrent.InfoHash{1}
	seen := time.Now().Add(-40 * time.Minute)
	n.afar.local(h, swarm.PeerPut, &swarm.Peer{Addr: netip.AddrPortFrom(addrOf(1), 6881), Kind: swarm.Leecher, Left: 5, Last: seen})
	n.carry()
	n.tracker.Apply(tracker.Settings{Interval: time.Hour, PeerLifetime: 30 * time.Minute})
	if expired, err := n.store.Expire(t.Context(), time.Now().Add(-30*time.Minute)); expired != 1 || err != nil {
		t.Fatal(expired, err)
	}
	n.l.drain()
	n.l.node.Tick(time.Now())
	n.carry()
	if peers := n.afar.node.Figures().Peers; peers != 1 {
		t.Error("the other tracker was told that it stopped")
	}
}

func TestLagCountsFromWhenTheStoreToldOfAChange(t *testing.T) {
	n := newNear(t)
	h := bittorrent.InfoHash{1}
	n.announce(h, &swarm.Peer{Addr: netip.AddrPortFrom(addrOf(1), 6881)}, bittorrent.EventStarted)
	n.l.o.Intake.laneOf(&h).since = time.Now().Add(-3 * time.Second)
	n.l.tick(time.Now())
	g := &n.l.know("afar").gauge
	if d := g.delay(time.Now()); d < 3*time.Second || d > 5*time.Second {
		t.Errorf("%v", d)
	}
}
