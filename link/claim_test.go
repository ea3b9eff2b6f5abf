package link

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// busyStore has downloads completed just before it is asked for counts.
type busyStore struct {
	memory.Shown
	complete func(asked []bittorrent.InfoHash)
}

func (s busyStore) Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	s.complete(hashes)
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
	n.l.node, n.l.o.Store = nil, busyStore{memory.Shown{Store: n.store}, func([]bittorrent.InfoHash) { done() }}
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

// TestDownloadThatALaneForgetsWhileCountsAreClaimedCountsOnce has the lane be too full just
// after the download that the count has already.
func TestDownloadThatALaneForgetsWhileCountsAreClaimedCountsOnce(t *testing.T) {
	n := newNear(t)
	h, forgetful := bittorrent.InfoHash{1}, bittorrent.InfoHash{2}
	lose := func(h bittorrent.InfoHash) {
		lane := n.l.o.Intake.laneOf(&h)
		lane.mu.Lock()
		defer lane.mu.Unlock()
		lane.lose()
	}
	done := func(h bittorrent.InfoHash) {
		n.announce(h, &swarm.Peer{Addr: netip.AddrPortFrom(addrOf(1), 6881)}, bittorrent.EventCompleted)
	}
	n.store.RestoreDownloaded(h, 5)
	n.store.RestoreDownloaded(forgetful, 5)
	var once sync.Once
	n.l.crew.close()
	n.l.node, n.l.o.Store = nil, busyStore{memory.Shown{Store: n.store}, func(hashes []bittorrent.InfoHash) {
		if hashes[0] == forgetful { // whose count is about to be claimed, after that of the other one
			once.Do(func() {
				done(h)
				done(forgetful)
				lose(h)
				lose(forgetful)
			})
		}
	}}
	n.l.o.Directory = t.TempDir()
	if err := n.l.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if one, two := n.l.node.Total(h), n.l.node.Total(forgetful); one != 6 || two != 6 {
		t.Errorf("%d and %d downloads, not 6 of each", one, two)
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

// TestPeersThatLeftWithTheirTorrentWhileALaneWasTooFullAreGone has a lane forget that the only
// peer of a torrent stopped, so that the store has nothing of it any more.
func TestPeersThatLeftWithTheirTorrentWhileALaneWasTooFullAreGone(t *testing.T) {
	n := newNear(t)
	h, peer := bittorrent.InfoHash{1}, &swarm.Peer{Addr: netip.AddrPortFrom(addrOf(1), 6881), Left: 5}
	tell := func() {
		n.l.drain()
		n.l.node.Tick(time.Now())
		n.carry()
	}
	n.announce(h, peer, bittorrent.EventStarted)
	tell()
	if peers := n.afar.node.Figures().Peers; peers != 1 {
		t.Fatalf("%d peers were told of", peers)
	}
	n.announce(h, peer, bittorrent.EventStopped)
	lane := n.l.o.Intake.laneOf(&h)
	lane.mu.Lock()
	lane.lose()
	lane.mu.Unlock()
	tell()
	if here, there := n.l.node.Figures().Peers, n.afar.node.Figures().Peers; here != 0 || there != 0 {
		t.Errorf("%d peers are known here, %d at the other tracker", here, there)
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
