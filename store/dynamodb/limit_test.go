package dynamodb_test

import (
	"errors"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/dynamodb"
	"waggle/store/faraway"
	"waggle/store/storetest"
	"waggle/swarm"
)

func TestStoreConformsAtItsLimitOfTorrents(t *testing.T) {
	t.Parallel()
	storetest.RunTorrentLimit(t, func(t *testing.T) swarm.Store {
		o := newTable(t)
		o.MaxTorrents = storetest.TorrentLimit
		return open(t, o)
	})
}

// leaveCompleted leaves torrents that nobody has, but for their completed count.
func leaveCompleted(t *testing.T, s *dynamodb.Store, hashes ...byte) {
	t.Helper()
	for _, n := range hashes {
		do(t, s, completed(hash(n), 1))
		do(t, s, stop(hash(n), 1))
	}
}

// TestTorrentThatIsNotKnownIsNotRecordedAtTheLimit has a tracker learn that there are as
// many as there may be, and later that there are not.
func TestTorrentThatIsNotKnownIsNotRecordedAtTheLimit(t *testing.T) {
	t.Parallel()
	o, c := newTable(t), newClock()
	other := open(t, o)
	o.Now, o.MaxTorrents = c.Now, 3
	s := open(t, o)
	pass := func() {
		c.pass(faraway.LimitAge)
		before := s.Figures().Query
		a := leecher(hash(1), 1)
		a.NumWant = 0 // and reads no peers
		do(t, s, a)
		s.WaitForTotals()
		if n := s.Figures().Query - before; n != 2 {
			t.Errorf("%d queries, want one of each of two partitions", n)
		}
	}
	leaveCompleted(t, other, 2)
	do(t, other, leecher(hash(3), 1))
	pass()
	cost := costOf(s, func() {
		if r := do(t, s, completed(hash(4), 1)); r.Warning != faraway.WarnTorrents || r.Complete != 0 || r.Peers.Len() != 0 {
			t.Errorf("a torrent that is not known: %+v", r)
		}
	})
	if cost.requests != 1 || cost.write != 0 {
		t.Errorf("%+v for one that is not recorded", cost)
	}
	do(t, s, stop(hash(4), 1))
	for _, n := range []byte{1, 2, 3} {
		if r := do(t, s, leecher(hash(n), 9)); r.Warning != "" || r.Incomplete == 0 {
			t.Errorf("torrent %d, which is known: %+v", n, r)
		}
	}
	wantTotals(t, s, swarm.Totals{Torrents: 3, Peers: 5})
	do(t, other, leecher(hash(4), 2)) // of whom nobody has told this tracker
	if r := do(t, s, leecher(hash(4), 1)); r.Warning != "" || r.Peers.Len() != 1 {
		t.Errorf("a torrent that has become known: %+v", r)
	}
	for n := range 3 {
		do(t, other, stop(hash(4), n))
		do(t, other, stop(hash(3), n))
	}
	do(t, other, stop(hash(3), 9))
	pass()
	if r := do(t, s, leecher(hash(5), 1)); r.Warning != "" {
		t.Errorf("when there is room: %q", r.Warning)
	}
	if r := do(t, s, leecher(hash(6), 1)); r.Warning != faraway.WarnTorrents {
		t.Errorf("when this tracker has filled it: %q", r.Warning)
	}
}

// TestTorrentThatGetsAPeerWhileItIsGivenUpLives has the peer come when its head is about to
// be deleted.
func TestTorrentThatGetsAPeerWhileItIsGivenUpLives(t *testing.T) {
	o, p := newTable(t), newProxy(t)
	s := open(t, o)
	o.MaxTorrents = 1
	limited := open(t, p.through(o))
	leaveCompleted(t, s, 1)
	p.do(once(func(operation, _ string) bool { return operation == "DeleteItem" }, func() fault {
		do(t, s, leecher(hash(1), 7))
		return none
	}))
	expire(t, limited, start)
	agree(t, s, hash(1), 1)
	if n := len(peersOf(t, s, hash(1))); n != 1 {
		t.Errorf("%d peers", n)
	}
	do(t, s, stop(hash(1), 7))
	expire(t, limited, start)
	wantTotals(t, s, swarm.Totals{})
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{})
}

// TestPeerThatWasNotCountedKeepsItsTorrentFromBeingGivenUp is of a tracker that died before
// it counted the peer.
func TestPeerThatWasNotCountedKeepsItsTorrentFromBeingGivenUp(t *testing.T) {
	o, p, c := newTable(t), newProxy(t), newClock()
	o.Now, o.MaxTorrents = c.Now, 1
	s := open(t, o)
	leaveCompleted(t, s, 1)
	o.Patience = time.Second
	leaveUncounted(t, p, o, leecher(hash(1), 7))
	putRight(t, s, c, 1)
	if n := len(peersOf(t, s, hash(1))); n != 1 {
		t.Errorf("%d peers", n)
	}
}

func TestWhatADyingTrackerHasNotGivenUpTheNextOneDoes(t *testing.T) {
	t.Parallel()
	o, p := newTable(t), newProxy(t)
	s := open(t, o)
	o.MaxTorrents = 4
	next := open(t, o)
	o.Patience = time.Second
	dying := open(t, p.through(o))
	const torrents = 24
	for n := range byte(torrents) {
		leaveCompleted(t, s, n)
	}
	do(t, s, leecher(hash(99), 1))
	deleted := 0
	p.do(func(operation, _ string) fault { // and nothing more of it comes through
		if operation == "DeleteItem" {
			deleted++
		}
		if deleted > 8 {
			return throttle
		}
		return none
	})
	if _, err := dying.Expire(t.Context(), start); !errors.Is(err, swarm.ErrBusy) {
		t.Errorf("%v", err)
	}
	n, err := s.Totals(t.Context())
	if err != nil || n.Torrents <= 4 || n.Torrents >= torrents {
		t.Errorf("%+v are left in the middle, %v", n, err)
	}
	expire(t, next, start)
	wantTotals(t, s, swarm.Totals{Torrents: 3, Peers: 1})
}

// TestSplitTorrentIsGivenUpWithAllItsCounts has two of several shards, of which one gets a
// peer again.
func TestSplitTorrentIsGivenUpWithAllItsCounts(t *testing.T) {
	t.Parallel()
	o, c := manyShards(t), newClock()
	o.Now = c.Now
	s := open(t, o)
	for n := range 50 {
		do(t, s, completed(hash(1), n))
	}
	for n := range 50 {
		do(t, s, stop(hash(1), n))
	}
	wantShards(t, s, 4)
	agree(t, s, hash(1), 50)
	o.MaxTorrents = 1
	limited := open(t, o)
	for range 3 {
		c.pass(11 * time.Second)
		expire(t, limited, start)
		wantTotals(t, s, swarm.Totals{})
		wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{})
	}
	do(t, s, completed(hash(1), 7))
	agree(t, limited, hash(1), 1)
	expire(t, limited, start)
	agree(t, s, hash(1), 1)
}

// TestTorrentOfLocatedPeersIsGivenUpBeforeWhatTheyShared has the rest of it go an hour later.
func TestTorrentOfLocatedPeersIsGivenUpBeforeWhatTheyShared(t *testing.T) {
	o, c := newTable(t), newClock()
	o.Now, o.MaxTorrents, o.Group = c.Now, 1, newTree(t).Group
	s := open(t, o)
	a := located(t, o, 1)
	a.Event, a.Left = bittorrent.EventCompleted, 0
	do(t, s, a)
	a.Event = bittorrent.EventStopped
	do(t, s, a)
	agree(t, s, hash(1), 1)
	expire(t, s, start)
	wantTotals(t, s, swarm.Totals{})
	do(t, s, located(t, o, 2))
	agree(t, s, hash(1), 0)
	again := located(t, o, 2)
	again.Event = bittorrent.EventStopped
	do(t, s, again)
	c.pass(2 * time.Hour)
	for range 2 {
		expire(t, s, start)
	}
	if cost := costOf(s, func() { expire(t, s, start) }); cost.requests != 2 {
		t.Errorf("%+v to expire when nothing is left", cost)
	}
}

func TestExpiryFarFromTheLimitOfTorrentsCostsNoMore(t *testing.T) {
	o := newTable(t)
	s := open(t, o)
	leaveCompleted(t, s, 1, 2, 3)
	o.MaxTorrents = 4
	limited := open(t, o)
	for _, s := range []*dynamodb.Store{s, limited} {
		if cost := costOf(s, func() { expire(t, s, start) }); cost.requests != 2 || cost.write != 0 {
			t.Errorf("%+v, want one query for each of two partitions", cost)
		}
	}
}

func TestTorrentsAreLeftOutOfACopyAtTheLimit(t *testing.T) {
	o := newTable(t)
	o.MaxTorrents = 2
	s := open(t, o)
	wantTotals(t, s, swarm.Totals{}) // and they are not counted meanwhile
	for n, want := range []error{nil, nil, swarm.ErrFull} {
		if err := s.Restore(t.Context(), swarm.Snapshot{InfoHash: hash(byte(n)), Downloaded: 4}); !errors.Is(err, want) {
			t.Errorf("torrent %d: %v, want %v", n, err, want)
		}
	}
	if err := s.Restore(t.Context(), swarm.Snapshot{InfoHash: hash(1), Downloaded: 5}); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	wantTotals(t, s, swarm.Totals{Torrents: 2})
}
