package redis_test

import (
	"fmt"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/redis"
	"waggle/swarm"
)

// TestPeerIsTakenAlongWhenASwarmIsSplit shows that what is known of a peer follows it.
func TestPeerIsTakenAlongWhenASwarmIsSplit(t *testing.T) {
	o := options(t, urlOf(cluster), newPrefix())
	o.SplitPeers = -1
	one := opened(t, o)
	h := hash(7, 1)
	const peers = 40
	for n := range peers {
		a := seeder(h, n)
		a.Event = bittorrent.EventCompleted
		do(t, one, a)
	}
	o.SplitPeers = 10
	two := opened(t, o)
	for range 3 {
		for n := range peers {
			a := seeder(h, n)
			a.Event, a.Now = bittorrent.EventCompleted, now.Add(time.Minute)
			for _, s := range []*redis.Store{two, one} {
				if r := do(t, s, a); r.Complete != peers || r.Downloaded != peers {
					t.Fatalf("%d seeders and %d downloads, want %d", r.Complete, r.Downloaded, peers)
				}
			}
		}
	}
	parts, err := cluster[0].cli("-c", "HGET", fmt.Sprintf("%s:{07}:%s", o.Prefix, h), "parts")
	if err != nil || parts != "4" {
		t.Errorf("%s parts, %v, want 4", parts, err)
	}
	for snapshot, err := range one.Swarms(t.Context()) {
		if err != nil || len(snapshot.Peers) != peers {
			t.Errorf("%d peers, %v", len(snapshot.Peers), err)
		}
		for _, p := range snapshot.Peers {
			if !p.First.Equal(now) || !p.Last.Equal(now.Add(time.Minute)) {
				t.Errorf("%v was seen from %v to %v", p.Addr, p.First, p.Last)
			}
		}
	}
	for n := range peers {
		a := seeder(h, n)
		a.Event = bittorrent.EventStopped
		do(t, []*redis.Store{one, two}[n%2], a)
	}
	wantCounts(t, two, h, bittorrent.ScrapeCounts{Downloaded: peers})
	wantTotals(t, one, swarm.Totals{Torrents: 1})
}

func TestSwarmWithLocatedPeersIsNotSplit(t *testing.T) {
	o := options(t, alone.url(), newPrefix())
	o.SplitPeers = 4
	s := opened(t, o)
	group, err := o.Group("r1")
	if err != nil {
		t.Fatal(err)
	}
	policy, err := swarm.NewPolicy("strict", 15*time.Second, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		a := leecher(hash(1, 1), n)
		if n < 2 {
			a.Location, a.Policy = group, &policy
		}
		do(t, s, a)
	}
	if parts, err := alone.cli("HEXISTS", fmt.Sprintf("%s:{01}:%s", o.Prefix, hash(1, 1)), "parts"); err != nil || parts != "0" {
		t.Errorf("split: %s, %v", parts, err)
	}
}

// TestOftenAnnouncedSwarmIsSplit has a second torrent whose announces are counted with
// those of the first one.
func TestOftenAnnouncedSwarmIsSplit(t *testing.T) {
	o := options(t, alone.url(), newPrefix())
	o.SplitRate = 20
	s := opened(t, o)
	hot, calm := hash(1, 1), hash(2, 1)
	parts := func(h bittorrent.InfoHash) string {
		out, err := alone.cli("HGET", fmt.Sprintf("%s:{%02x}:%s", o.Prefix, h[0], h), "parts")
		if err != nil {
			t.Fatal(out)
		}
		return out
	}
	eventually(t, "a hot swarm has two parts", func() bool { // all within one second
		for n := range 60 {
			do(t, s, leecher(hot, n%30))
			do(t, s, leecher(calm, 1))
		}
		return parts(hot) == "2"
	})
	if parts(calm) != "" {
		t.Errorf("a calm swarm has %q parts", parts(calm))
	}
	wantCounts(t, s, hot, bittorrent.ScrapeCounts{Incomplete: 30, Downloaders: 30})
}

// TestPeerThatIsRestoredBesideASplitStaysAsItIs restores through a store that has not
// heard of the last split.
func TestPeerThatIsRestoredBesideASplitStaysAsItIs(t *testing.T) {
	o := options(t, alone.url(), newPrefix())
	copying := opened(t, o)
	old := swarm.Snapshot{InfoHash: hash(3, 1)}
	const peers = 20
	for n, most := range []int{peers - 1, peers / 4} {
		o.SplitPeers = most
		s := opened(t, o)
		for i := range peers {
			a := leecher(old.InfoHash, i)
			if n == 1 {
				do(t, s, a) // splits once more
				break
			}
			old.Peers = append(old.Peers, swarm.Peer{ID: a.PeerID, Addr: a.Addr(), Kind: swarm.Leecher, Left: 1, First: now.Add(-time.Hour), Last: now.Add(-time.Minute)})
			do(t, s, a)
		}
		if n == 0 {
			wantCounts(t, copying, old.InfoHash, bittorrent.ScrapeCounts{Incomplete: peers, Downloaders: peers})
		}
	}
	if err := copying.Restore(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	for snapshot, err := range copying.Swarms(t.Context()) {
		if err != nil || len(snapshot.Peers) != peers {
			t.Errorf("%d peers of %d, %v", len(snapshot.Peers), peers, err)
		}
		for _, p := range snapshot.Peers {
			if !p.Last.Equal(now) {
				t.Errorf("%v was seen at %v, and is said to have been at %v", p.Addr, now, p.Last)
			}
		}
	}
}

// TestPeersOfANewPartAreToldOfAsOftenAsOthers asks right after a split, when nearly all
// peers are in one of two parts.
func TestPeersOfANewPartAreToldOfAsOftenAsOthers(t *testing.T) {
	o := options(t, alone.url(), newPrefix())
	h := hash(5, 1)
	const peers, newcomers, rounds = 400, 20, 300
	before := opened(t, o)
	for n := range peers {
		do(t, before, leecher(h, n))
	}
	o.SplitPeers = peers/2 + newcomers
	s := opened(t, o)
	do(t, s, leecher(h, 0))
	for n := range newcomers {
		do(t, s, leecher(h, peers+n))
	}
	told := 0
	a := leecher(h, 0)
	a.NumWant = 30
	for range rounds {
		for addr := range do(t, s, a).Peers.All() {
			if b := addr.Addr().As4(); int(b[2])<<8|int(b[3]) >= peers {
				told++
			}
		}
	}
	const fair = rounds * 30 * newcomers / (peers + newcomers)
	if told < fair*2/3 || told > fair*3/2 {
		t.Errorf("newcomers are told of %d times, where %d is fair", told, fair)
	}
}
