package storetest

import (
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// atLimit are behaviours of stores that hold up to [TorrentLimit] torrents.
var atLimit = []behaviour{
	{"TorrentsOfNobodyGoAtTheLimitAndThoseWithPeersStay", torrentsOfNobodyGo},
	{"TorrentsOfNobodyGoOnceWhereManyExpireAtOnce", torrentsOfNobodyGoOnce},
}

// TorrentLimit is how many torrents the stores of [RunTorrentLimit] may have.
const TorrentLimit = 32

// RunTorrentLimit runs what stores must do at their limit of torrents. open returns an
// empty store that may have [TorrentLimit] of them.
func RunTorrentLimit(t *testing.T, open Open) { runEach(t, open, atLimit) }

// madeUp is the info hash of torrent n of a stranger: spread over all that begin with any
// byte, and none of [hash].
func madeUp(n int) bittorrent.InfoHash {
	return bittorrent.InfoHash{byte(n * 37), byte(n >> 8), byte(n), 0xff}
}

// fillUp has strangers complete torrents and stop, more than there may be, after others
// announced some that have two peers each. At the limit a store answers strangers, and may
// not record them.
func fillUp(t *testing.T, s swarm.Store, busy, strangers int) {
	t.Helper()
	for n := range busy {
		do(t, s, seeder(hash(byte(n)), 2*n))
		do(t, s, announce(hash(byte(n)), 2*n+1))
	}
	for n := range strangers {
		done := seeder(madeUp(n), 1000+n)
		done.Event = bittorrent.EventCompleted
		do(t, s, done)
		done.Event = bittorrent.EventStopped
		do(t, s, done)
	}
}

// wantBusy checks that the torrents that have peers are as they were, and that the totals
// are exact.
func wantBusy(t *testing.T, s swarm.Store, busy int) (torrents int) {
	t.Helper()
	for n := range busy {
		wantCounts(t, s, hash(byte(n)), bittorrent.ScrapeCounts{Complete: 1, Incomplete: 1, Downloaders: 1})
	}
	peers := 0
	for snapshot, err := range s.Swarms(t.Context()) {
		if err != nil {
			t.Fatalf("Swarms: %v", err)
		}
		torrents++
		peers += len(snapshot.Peers)
	}
	if peers != 2*busy {
		t.Errorf("%d peers are left, want %d", peers, 2*busy)
	}
	wantTotals(t, s, swarm.Totals{Torrents: torrents, Peers: peers, Seeders: busy})
	return torrents
}

func torrentsOfNobodyGo(t *testing.T, s swarm.Store) {
	const busy, strangers = 12, TorrentLimit + 10
	fillUp(t, s, busy, strangers)
	for range 2 {
		if n, err := s.Expire(t.Context(), start); err != nil || n != 0 {
			t.Errorf("Expire: %d, %v; want no peers", n, err)
		}
		if n := wantBusy(t, s, busy); n > TorrentLimit || n < busy {
			t.Errorf("%d torrents, of %d that there may be", n, TorrentLimit)
		}
	}
	for n := range busy { // as before
		if r := do(t, s, announce(hash(byte(n)), 2*n+1)); r.Warning != "" || r.Complete != 1 || r.Peers.Len() != 1 {
			t.Errorf("one that is there: %+v", r)
		}
	}
	if n, err := s.Expire(t.Context(), start.Add(time.Hour)); err != nil || n != 2*busy {
		t.Errorf("Expire: %d, %v; want all peers", n, err)
	}
	if n := wantBusy(t, s, 0); n > TorrentLimit {
		t.Errorf("%d torrents, of %d that there may be", n, TorrentLimit)
	}
}

func torrentsOfNobodyGoOnce(t *testing.T, s swarm.Store) {
	const busy, strangers = 4, TorrentLimit + 4
	fillUp(t, s, busy, strangers)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if n, err := s.Expire(t.Context(), start); err != nil || n != 0 {
				t.Errorf("Expire: %d, %v; want no peers", n, err)
			}
		})
	}
	for n := range strangers { // some come back meanwhile
		if a := announce(madeUp(n), 1000+n); n%8 == 0 {
			do(t, s, a)
			a.Event = bittorrent.EventStopped
			do(t, s, a)
		}
	}
	all.Wait()
	if n := wantBusy(t, s, busy); n > TorrentLimit || n < busy {
		t.Errorf("%d torrents, of %d that there may be", n, TorrentLimit)
	}
}
