package dynamodb_test

import (
	"testing"
	"time"

	"waggle/store/dynamodb"
	"waggle/swarm"
)

// manyShards is a table whose swarms get more shards at 20 peers each.
func manyShards(t *testing.T) dynamodb.Options {
	o := newTable(t)
	o.ShardPeers, o.MaxShards = 20, 8
	return o
}

func wantShards(t *testing.T, s *dynamodb.Store, want int) {
	t.Helper()
	if n, err := s.Shards(t.Context(), hash(1)); err != nil || n != want {
		t.Errorf("%d shards, %v; want %d", n, err, want)
	}
}

func TestSwarmThatGrowsLosesNobodyAndCountsNobodyTwice(t *testing.T) {
	t.Parallel()
	stores := openAll(t, manyShards(t), 4)
	h := hash(1)
	const peers = 200
	each := func(step int, a func(n int) *swarm.Announce) {
		writers(16, func(w int) {
			for n := w; n < peers; n += 16 {
				if err := stores[(n+step)%len(stores)].Announce(t.Context(), a(n), new(swarm.Reply)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	each(0, func(n int) *swarm.Announce { return leecher(h, n) })
	agree(t, stores[0], h, 0)
	if n := len(peersOf(t, stores[0], h)); n != peers {
		t.Errorf("%d peers, want %d", n, peers)
	}
	wantShards(t, stores[0], 8)
	each(1, func(n int) *swarm.Announce { return completed(h, n) })
	agree(t, stores[1], h, peers)
	if got := do(t, stores[2], leecher(h, 1000)).Peers.Len(); got != 50 {
		t.Errorf("a newcomer is told of %d peers, want 50", got)
	}
	do(t, stores[3], stop(h, 1000))
	each(2, func(n int) *swarm.Announce { return stop(h, n) })
	wantTotals(t, stores[3], swarm.Totals{Torrents: 1})
	agree(t, stores[0], h, peers)
}

// TestTrackerThatDoesNotKnowOfTheGrowthMovesWhatItWrote has a tracker that thinks for an
// hour that a swarm has one shard, while others give it more.
func TestTrackerThatDoesNotKnowOfTheGrowth(t *testing.T) {
	t.Parallel()
	o := manyShards(t)
	s := open(t, o)
	o.HeadAge, o.ShardPeers = time.Hour, 1_000_000
	stale := open(t, o)
	do(t, stale, leecher(hash(1), 0))
	for n := range 100 {
		do(t, s, leecher(hash(1), n))
	}
	for n := range 100 {
		do(t, stale, leecher(hash(1), 50+n)) // half of them are there
	}
	wantShards(t, stale, 8)
	agree(t, s, hash(1), 0)
	if n := len(peersOf(t, s, hash(1))); n != 150 {
		t.Errorf("%d peers, want 150", n)
	}
}

func TestSwarmOfManyAnnouncesGetsShards(t *testing.T) {
	for name, test := range map[string]struct {
		rate      int // of announces a second, of which the store takes ten for a shard
		throttled bool
		want      int
	}{"many": {11, false, 2}, "few": {10, false, 1}, "few, refused": {3, true, 2}, "two, refused": {2, true, 1}} {
		t.Run(name, func(t *testing.T) {
			o, p := newTable(t), newProxy(t)
			o.ShardRate = 10
			s := open(t, p.through(o))
			a := leecher(hash(1), 1)
			for range test.rate {
				do(t, s, a)
			}
			if test.throttled {
				p.do(once(writesPeer, func() fault { return throttle }))
			}
			a.Now = start.Add(time.Second)
			do(t, s, a)
			wantShards(t, s, test.want)
		})
	}
}

func TestPurgeMovesPeersThatAreWhereFewerShardsHadThem(t *testing.T) {
	t.Parallel()
	o, c := newTable(t), newClock()
	o.Now = c.Now
	before := open(t, o)
	for n := range 60 {
		do(t, before, leecher(hash(1), n))
	}
	o.ShardPeers, o.MaxShards = 20, 4
	s := open(t, o)
	do(t, s, leecher(hash(1), 60)) // the swarm gets two shards, and the next time four
	do(t, s, leecher(hash(1), 61))
	wantShards(t, s, 4)
	agree(t, s, hash(1), 0)
	c.pass(11 * time.Second)
	for range 2 {
		if n := expire(t, s, start); n != 0 {
			t.Errorf("%d were purged", n)
		}
		agree(t, s, hash(1), 0)
	}
	requests := s.Figures().DeleteItem
	do(t, s, leecher(hash(1), 62))
	if n := s.Figures().DeleteItem - requests; n != 0 {
		t.Errorf("a newcomer is looked for in %d other shards though all have moved", n)
	}
	if n := expire(t, s, start.Add(time.Second)); n != 63 {
		t.Errorf("%d were purged, want 63", n)
	}
	wantTotals(t, s, swarm.Totals{})
}
