package storetest

import (
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// restoring are behaviours of stores that are a [swarm.Restorer].
var restoring = []behaviour{
	{"RestoredSwarmIsAsItWas", restoredIsAsItWas},
	{"RestoringKeepsWhatIsNewer", restoringKeepsNewer},
}

// RunRestore runs what stores must do that others can be copied into.
func RunRestore(t *testing.T, open Open) { runEach(t, open, restoring) }

func restore(t *testing.T, s swarm.Store, snapshot swarm.Snapshot) {
	t.Helper()
	r, ok := s.(swarm.Restorer)
	if !ok {
		t.Fatalf("%T is no swarm.Restorer", s)
	}
	if err := r.Restore(t.Context(), snapshot); err != nil {
		t.Fatalf("Restore: %v", err)
	}
}

// copied is a swarm of 300 peers of all kinds and families.
func copied() swarm.Snapshot {
	s := swarm.Snapshot{InfoHash: hash(1), Downloaded: 7}
	for n := range 300 {
		a := announce(hash(1), n)
		if n%2 == 0 {
			onIPv6(a)
		}
		left := int64(1 << 20)
		kind := swarm.Kind(n % 3)
		if kind == swarm.Seeder {
			left = 0
		}
		s.Peers = append(s.Peers, swarm.Peer{
			ID: a.PeerID, Addr: a.Addr(), Key: a.Key, Kind: kind, Uploaded: int64(n), Downloaded: int64(2 * n), Left: left,
			First: start.Add(-time.Hour), Last: start.Add(-time.Minute),
		})
	}
	return s
}

func restoredIsAsItWas(t *testing.T, s swarm.Store) {
	want := copied()
	for range 2 { // again, nothing changes
		restore(t, s, want)
	}
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{Complete: 100, Incomplete: 200, Downloaders: 100, Downloaded: 7})
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 300, Seeders: 100})
	peers := map[string]swarm.Peer{}
	for snapshot, err := range s.Swarms(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range snapshot.Peers {
			p.First, p.Last = p.First.UTC(), p.Last.UTC()
			peers[p.Addr.String()] = p
		}
	}
	for _, p := range want.Peers {
		p.First, p.Last = p.First.UTC(), p.Last.UTC()
		if got := peers[p.Addr.String()]; got != p {
			t.Fatalf("%v is restored as\n%+v, want\n%+v", p.Addr, got, p)
		}
	}
	if r := do(t, s, announce(hash(1), 1000)); r.Peers.Len() != 50 {
		t.Errorf("a newcomer is told of %d of them, want 50", r.Peers.Len())
	}
	if n, err := s.Expire(t.Context(), start.Add(-time.Second)); err != nil || n != 300 {
		t.Errorf("%d expire, %v; want 300", n, err)
	}
}

func restoringKeepsNewer(t *testing.T, s swarm.Store) {
	done := seeder(hash(1), 1) // was a leecher when it was copied
	done.Event = bittorrent.EventCompleted
	for range 8 {
		done.From = done.From.Next()
		do(t, s, done)
	}
	old := announce(hash(1), 1)
	old.From = done.From
	restore(t, s, swarm.Snapshot{InfoHash: hash(1), Downloaded: 7, Peers: []swarm.Peer{
		{ID: old.PeerID, Addr: old.Addr(), Kind: swarm.Leecher, Left: 1, First: start.Add(-time.Hour), Last: start.Add(-time.Minute)},
	}})
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{Complete: 8, Downloaded: 8})
}
