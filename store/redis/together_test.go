package redis_test

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/redis"
	"waggle/swarm"
)

// TestManyWritersLoseNobody lets 64 writers announce to one swarm through stores that
// share a server, each many peers that come, complete, and leave.
func TestManyWritersLoseNobody(t *testing.T) {
	eachDeployment(t, func(t *testing.T, o func() redis.Options) {
		for _, trackers := range []int{1, 2, 4} {
			one := o()
			one.Timeout = 20 * time.Second // the machine may be busy
			if one.SplitPeers > 0 {
				one.SplitPeers = 50
			}
			stores := make([]*redis.Store, trackers)
			for i := range stores {
				stores[i] = opened(t, one)
			}
			manyWriters(t, stores)
		}
	})
}

func manyWriters(t *testing.T, stores []*redis.Store) {
	const writers, each = 64, 12
	h := hash(0xfe, 1)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				for step, a := range []*swarm.Announce{leecher(h, w*each+i), seeder(h, w*each+i), seeder(h, w*each+i), leecher(h, w*each+i)} {
					a.Event = []bittorrent.Event{bittorrent.EventStarted, bittorrent.EventCompleted, bittorrent.EventCompleted, bittorrent.EventStopped}[step]
					if step == 3 && i%3 != 0 {
						continue
					}
					var r swarm.Reply
					if err := stores[(w+i+step)%len(stores)].Announce(t.Context(), a, &r); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	const stay = writers * each * 2 / 3
	for _, s := range stores {
		wantCounts(t, s, h, bittorrent.ScrapeCounts{Complete: stay, Downloaded: writers * each})
		wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: stay, Seeders: stay})
		seen := map[netip.AddrPort]int{}
		whole, err := s.Walk(t.Context(), h, nil, func(peers []swarm.Peer) bool {
			for i := range peers {
				seen[peers[i].Addr]++
			}
			return true
		})
		if err != nil || !whole || len(seen) != stay {
			t.Errorf("%d of %d peers are shown, %v", len(seen), stay, err)
		}
		for addr, n := range seen {
			if n != 1 {
				t.Errorf("%v is shown %d times", addr, n)
			}
		}
	}
}

func TestStoresThatExpireAtOnceCountEachPeerOnce(t *testing.T) {
	o := options(t, alone.url(), newPrefix())
	stores := []*redis.Store{opened(t, o), opened(t, o), opened(t, o), opened(t, o)}
	const peers = 900
	for n := range peers {
		do(t, stores[n%4], leecher(hash(byte(n%3), 1), n))
	}
	kept := leecher(hash(0, 1), 0)
	kept.Now = now.Add(time.Hour)
	do(t, stores[1], kept)
	var mu sync.Mutex
	gone := 0
	var all sync.WaitGroup
	for _, s := range stores {
		all.Go(func() {
			n, err := s.Expire(t.Context(), now.Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			gone += n
			mu.Unlock()
		})
	}
	all.Wait()
	if gone != peers-1 {
		t.Errorf("%d of %d expired", gone, peers-1)
	}
	wantTotals(t, stores[2], swarm.Totals{Torrents: 1, Peers: 1})
}

// TestTrackersDecideTogetherAboutLocatedPeers lets four trackers hear a rack's hosts at
// once: the rack has one importer, whoever is asked.
func TestTrackersDecideTogetherAboutLocatedPeers(t *testing.T) {
	for _, url := range []string{alone.url(), urlOf(cluster)} {
		o := options(t, url, newPrefix())
		stores := []*redis.Store{opened(t, o), opened(t, o), opened(t, o), opened(t, o)}
		policy, err := swarm.NewPolicy("strict", 15*time.Second, 5*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		at := func(rack string, a *swarm.Announce) *swarm.Announce {
			group, err := o.Group(rack)
			if err != nil {
				t.Fatal(err)
			}
			a.Location, a.Policy = group, &policy
			return a
		}
		h := hash(0x42, 1)
		do(t, stores[0], at("r0", seeder(h, 1000)))
		var all sync.WaitGroup
		for n := range 24 {
			a := at("r1", leecher(h, n))
			all.Go(func() {
				if err := stores[n%4].Announce(t.Context(), a, new(swarm.Reply)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		var importers []netip.AddrPort
		for _, s := range stores {
			places, err := s.Places(t.Context(), h)
			if err != nil || len(places) != 2 {
				t.Fatalf("%+v, %v", places, err)
			}
			if p := places[1]; p.Leechers != 24 || len(p.Importers) != 1 || importers != nil && !slices.Equal(p.Importers, importers) {
				t.Errorf("%+v, and another tracker says %v", p, importers)
			}
			importers = places[1].Importers
			wantCounts(t, s, h, bittorrent.ScrapeCounts{Complete: 1, Incomplete: 24, Downloaders: 24})
		}
		if n, err := stores[3].Expire(t.Context(), now.Add(time.Hour)); err != nil || n != 25 {
			t.Errorf("%d expired, %v", n, err)
		}
		for _, s := range stores {
			if places, err := s.Places(t.Context(), h); err != nil || len(places) != 0 {
				t.Errorf("%+v of nobody, %v", places, err)
			}
		}
	}
}

func TestNewPeerBeyondTheLimitIsAnsweredAndNotRecorded(t *testing.T) {
	o := options(t, alone.url(), newPrefix())
	o.MaxPeers = 3
	s := opened(t, o)
	for n := range 3 {
		do(t, s, leecher(hash(1, 1), n))
	}
	s = opened(t, o) // counts at once
	r := do(t, s, leecher(hash(1, 1), 9))
	if r.Warning == "" || r.Peers.Len() != 3 || r.Incomplete != 3 {
		t.Errorf("%+v", r)
	}
	if r := do(t, s, leecher(hash(1, 1), 1)); r.Warning != "" || r.Peers.Len() != 2 {
		t.Errorf("one that is known: %+v", r)
	}
	if r := do(t, s, leecher(hash(2, 1), 9)); r.Warning == "" || r.Peers.Len() != 0 {
		t.Errorf("of another torrent: %+v", r)
	}
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 3})
	gone := leecher(hash(1, 1), 1)
	gone.Event = bittorrent.EventStopped
	do(t, s, gone)
	eventually(t, "there is room", func() bool { return do(t, s, leecher(hash(1, 1), 9)).Warning == "" })
}

// calls counts the script calls that a server has run.
func calls(t *testing.T, n *node) int {
	t.Helper()
	out, err := n.cli("INFO", "commandstats")
	if err != nil {
		t.Fatal(out)
	}
	m := regexp.MustCompile(`cmdstat_evalsha:calls=(\d+)`).FindStringSubmatch(out)
	if m == nil {
		return 0
	}
	c, _ := strconv.Atoi(m[1])
	return c
}

func TestAnnounceIsOneRequest(t *testing.T) {
	n := launched(t)
	o := options(t, n.url(), "a")
	s := opened(t, o)
	group, err := o.Group("r1")
	if err != nil {
		t.Fatal(err)
	}
	policy, err := swarm.NewPolicy("strict", 15*time.Second, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	located := leecher(hash(2, 1), 1)
	located.Location, located.Policy = group, &policy
	stop := leecher(hash(1, 1), 1)
	stop.Event = bittorrent.EventStopped
	for _, a := range []*swarm.Announce{leecher(hash(1, 1), 1), stop, located} { // loads the scripts
		do(t, s, a)
	}
	located.Now = now.Add(15 * time.Second)
	for _, c := range []struct {
		what string
		a    *swarm.Announce
		most int
	}{
		{"first announce", leecher(hash(1, 1), 1), 1},
		{"announce", leecher(hash(1, 1), 1), 1},
		{"completed", seeder(hash(1, 1), 1), 1},
		{"stop", stop, 1},
		{"located announce", located, 2},
	} {
		before := calls(t, n)
		do(t, s, c.a)
		if made := calls(t, n) - before; made > c.most || made == 0 {
			t.Errorf("%s: %d requests, want %d", c.what, made, c.most)
		}
	}
}

func TestRestoredTorrentIsAsItWas(t *testing.T) {
	eachDeployment(t, func(t *testing.T, o func() redis.Options) {
		s := opened(t, o())
		want := swarm.Snapshot{InfoHash: hash(3, 1), Downloaded: 7}
		for n := range 250 {
			a := leecher(want.InfoHash, n)
			p := swarm.Peer{ID: a.PeerID, Addr: a.Addr(), Key: a.Key, Kind: swarm.Kind(n % 3), Uploaded: int64(n), Downloaded: 2, Left: 3, First: now, Last: now.Add(time.Minute)}
			want.Peers = append(want.Peers, p)
		}
		newer := leecher(want.InfoHash, 5)
		newer.Now = now.Add(time.Hour)
		do(t, s, newer)
		for range 2 {
			if err := s.Restore(t.Context(), want); err != nil {
				t.Fatal(err)
			}
		}
		wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 250, Seeders: 84})
		for snapshot, err := range s.Swarms(t.Context()) {
			if err != nil || snapshot.Downloaded != 7 || len(snapshot.Peers) != 250 {
				t.Errorf("%d downloads, %d peers, %v", snapshot.Downloaded, len(snapshot.Peers), err)
			}
			for _, p := range snapshot.Peers {
				i := slices.IndexFunc(want.Peers, func(q swarm.Peer) bool { return q.Addr == p.Addr })
				if i == 5 {
					if p.Kind != swarm.Leecher || !p.Last.Equal(newer.Now) {
						t.Errorf("what was newer was replaced: %+v", p)
					}
					continue
				}
				if w := want.Peers[i]; !p.First.Equal(w.First) || !p.Last.Equal(w.Last) || p.Kind != w.Kind || p.Uploaded != w.Uploaded || p.ID != w.ID || p.Key != w.Key {
					t.Errorf("%+v, want %+v", p, w)
				}
			}
		}
		hashes, err := s.Torrents(t.Context(), 3)
		if err != nil || !slices.Equal(hashes, []bittorrent.InfoHash{want.InfoHash}) {
			t.Errorf("%v, %v", hashes, err)
		}
		whole, err := s.AllCounts(t.Context(), 0, 255, func(hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) bool {
			if len(hashes) != 1 || counts[0].Complete != 84 || counts[0].Downloaded != 7 {
				t.Errorf("%v %+v", hashes, counts)
			}
			return true
		})
		if err != nil || !whole {
			t.Error(whole, err)
		}
		if _, ok, err := s.Counts(t.Context(), hash(9, 9)); ok || err != nil {
			t.Errorf("an unknown torrent is known, %v", err)
		}
	})
}
