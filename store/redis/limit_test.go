package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/redis"
	"waggle/swarm"
)

// idle leaves a torrent that has no peers, but as many completed downloads.
func idle(t testing.TB, s *redis.Store, h bittorrent.InfoHash, completed int) {
	t.Helper()
	for _, event := range []bittorrent.Event{bittorrent.EventCompleted, bittorrent.EventStopped} {
		for n := range completed {
			a := seeder(h, n)
			a.Event = event
			do(t, s, a)
		}
	}
}

// completions is how many downloads of torrent n were completed: where swarms are split, those
// of twelve peers are.
func completions(n int) int {
	if n%7 == 0 {
		return 12
	}
	return 1
}

// spread returns torrent n of many, under all tags.
func spread(n int) bittorrent.InfoHash {
	return bittorrent.InfoHash{byte(n * 37), byte(n >> 8), byte(n)}
}

// listed returns all torrents, whose number is that of totals.
func listed(t *testing.T, s *redis.Store) (list []bittorrent.InfoHash) {
	t.Helper()
	for first := range 256 {
		some, err := s.Torrents(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, some...)
	}
	if totals, err := s.Totals(t.Context()); err != nil || totals.Torrents != len(list) {
		t.Errorf("%d torrents are listed, and the totals are %+v, %v", len(list), totals, err)
	}
	return list
}

// keysOf returns all keys that a pattern fits, on each server.
func keysOf(t *testing.T, pattern string) (keys []string) {
	t.Helper()
	for _, n := range append([]*node{alone}, cluster...) {
		out, err := n.cli("KEYS", pattern)
		if err != nil {
			t.Fatal(out)
		}
		keys = append(keys, strings.Fields(out)...)
	}
	return keys
}

func wantExpired(t *testing.T, s *redis.Store, want int) {
	t.Helper()
	if n, err := s.Expire(t.Context(), now); n != want || err != nil {
		t.Errorf("%d peers expire, %v, want %d", n, err, want)
	}
}

func TestTorrentsWithoutPeersAreGivenUpNearTheLimit(t *testing.T) {
	const busy, quiet = 8, 60
	eachDeployment(t, func(t *testing.T, o func() redis.Options) {
		unlimited := o()
		filler := opened(t, unlimited)
		for n := range quiet {
			idle(t, filler, spread(n), completions(n))
		}
		for n := range busy {
			do(t, filler, leecher(spread(1000+n), n))
		}
		wantTotals(t, filler, swarm.Totals{Torrents: busy + quiet, Peers: busy})
		wantExpired(t, filler, 0)
		wantTotals(t, filler, swarm.Totals{Torrents: busy + quiet, Peers: busy})
		for _, c := range []struct{ most, left int }{{48, 45}, {4, busy}} {
			limited := unlimited
			limited.MaxTorrents = c.most
			s := opened(t, limited)
			wantExpired(t, s, 0)
			wantTotals(t, s, swarm.Totals{Torrents: c.left, Peers: busy})
			left := listed(t, s)
			for n := range busy {
				wantCounts(t, s, spread(1000+n), bittorrent.ScrapeCounts{Incomplete: 1, Downloaders: 1})
			}
			for n := range quiet {
				h := spread(n)
				if slices.Contains(left, h) {
					wantCounts(t, s, h, bittorrent.ScrapeCounts{Downloaded: uint32(completions(n))})
				}
			}
		}
		for _, key := range keysOf(t, unlimited.Prefix+":*") {
			for n := range quiet {
				if strings.Contains(key, spread(n).String()) {
					t.Errorf("a torrent that was given up has left %s", key)
				}
			}
		}
	})
}

// TestTorrentThatGetsAPeerMeanwhileLives has four trackers give torrents up at once, while
// peers announce to some of these.
func TestTorrentThatGetsAPeerMeanwhileLives(t *testing.T) {
	eachDeployment(t, func(t *testing.T, o func() redis.Options) {
		const torrents, peers = 120, 17
		limited := o()
		limited.Timeout = 20 * time.Second // the machine may be busy
		filler := opened(t, limited)
		for n := range torrents {
			idle(t, filler, spread(n), completions(n))
		}
		limited.MaxTorrents = 64
		var all sync.WaitGroup
		for range 4 {
			s := opened(t, limited)
			all.Go(func() {
				if _, err := s.Expire(t.Context(), now); err != nil {
					t.Error(err)
				}
			})
		}
		for n := range peers {
			all.Go(func() {
				if err := filler.Announce(t.Context(), leecher(spread(n*7), n), new(swarm.Reply)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for n := range peers {
			if limited.SplitPeers > 0 { // it may have come to a part whose torrent had just been given up
				do(t, filler, leecher(spread(n*7), n))
			}
		}
		wantExpired(t, opened(t, limited), 0)
		if left := listed(t, filler); len(left) > 60 {
			t.Errorf("%d torrents are left", len(left))
		}
		for n := range peers {
			if c, _, err := filler.Counts(t.Context(), spread(n*7)); err != nil || c.Incomplete != 1 {
				t.Errorf("torrent %d has %+v, %v", n, c, err)
			}
		}
	})
}

func TestNewTorrentBeyondTheLimitIsAnsweredAndNotRecorded(t *testing.T) {
	eachDeployment(t, func(t *testing.T, o func() redis.Options) {
		limited := o()
		limited.MaxTorrents = 16
		filler := opened(t, limited)
		for n := range 15 {
			idle(t, filler, spread(n), 1)
		}
		big := spread(100)
		for n := range 12 {
			do(t, filler, leecher(big, n))
		}
		s := opened(t, limited) // counts at once
		for n, a := range []*swarm.Announce{leecher(spread(200), 1), seeder(spread(201), 1), located(t, &limited, "r1", leecher(spread(202), 1))} {
			a.Event = []bittorrent.Event{bittorrent.EventStarted, bittorrent.EventCompleted, bittorrent.EventNone}[n]
			r := do(t, s, a)
			if r.Warning != "this tracker is at its limit of torrents: it cannot tell others of you now" || r.Complete+r.Incomplete+r.Downloaded != 0 || r.Peers.Len() != 0 {
				t.Errorf("%+v", r)
			}
			a.Event = bittorrent.EventStopped
			do(t, s, a)
			if keys := keysOf(t, limited.Prefix+":*"+a.InfoHash.String()+"*"); len(keys) > 0 {
				t.Errorf("a torrent that was not recorded has left %q", keys)
			}
		}
		if r := do(t, s, leecher(spread(3), 9)); r.Warning != "" || r.Incomplete != 1 || r.Downloaded != 1 {
			t.Errorf("one without peers that is known: %+v", r)
		}
		for n := range 8 {
			if r := do(t, s, leecher(big, 20+n)); r.Warning != "" || r.Incomplete != uint32(13+n) {
				t.Errorf("one with peers: %+v", r)
			}
		}
		if r := do(t, s, located(t, &limited, "r1", leecher(big, 40))); r.Warning != "" {
			t.Errorf("one with peers, located: %+v", r)
		}
		wantTotals(t, s, swarm.Totals{Torrents: 16, Peers: 22})
		wantExpired(t, s, 0)
		wantTotals(t, s, swarm.Totals{Torrents: 15, Peers: 22})
		if r := do(t, s, leecher(spread(200), 1)); r.Warning != "" || r.Incomplete != 1 {
			t.Errorf("after an expiry: %+v", r)
		}
	})
}

func TestTrackersLearnOfTheLimitAndOfItsEnd(t *testing.T) {
	t.Parallel()
	o := options(t, alone.url(), newPrefix())
	o.MaxTorrents = 16
	one, two := opened(t, o), opened(t, o)
	for n := range 16 {
		idle(t, one, spread(n), 1)
	}
	refused := func() bool {
		a := leecher(spread(100), 1)
		warned := do(t, two, a).Warning != ""
		a.Event = bittorrent.EventStopped
		do(t, two, a)
		return warned
	}
	eventually(t, "another tracker refuses torrents", refused)
	wantExpired(t, one, 0)
	eventually(t, "it does no more", func() bool { return !refused() })
	wantTotals(t, two, swarm.Totals{Torrents: 15})
}

// TestPartsOfATorrentThatWasGivenUpAreRemoved leaves what a peer leaves that completes in a
// part while the torrent is given up.
func TestPartsOfATorrentThatWasGivenUpAreRemoved(t *testing.T) {
	o := options(t, alone.url(), newPrefix())
	o.SplitPeers = 10
	limited := o
	limited.MaxTorrents = 1
	for n, remove := range []func(s *redis.Store, h bittorrent.InfoHash){
		func(s *redis.Store, h bittorrent.InfoHash) { do(t, s, leecher(h, 1)) },
		func(s *redis.Store, h bittorrent.InfoHash) {
			a := leecher(h, 1)
			a.Event = bittorrent.EventStopped
			do(t, s, a)
		},
	} {
		s, h := opened(t, o), hash(byte(1+n), 1)
		idle(t, s, h, 12)
		part := fmt.Sprintf("%s:{%02x}:%v", o.Prefix, 2+n, h)
		if n == 1 { // as a tracker leaves it that dies
			if out, err := alone.cli("DEL", part); err != nil || out != "1" {
				t.Fatal(out, err)
			}
		}
		wantExpired(t, opened(t, limited), 0)
		if _, known, err := s.Counts(t.Context(), h); known || err != nil {
			t.Errorf("a torrent that was given up is known, %v", err)
		}
		if out, err := alone.cli("HSET", part, "completed", "1"); err != nil {
			t.Fatal(out)
		}
		remove(s, h)
		if keys := keysOf(t, part); len(keys) > 0 {
			t.Errorf("left: %q", keys)
		}
	}

	s, h := opened(t, o), hash(9, 1)
	for n := range 20 {
		a := seeder(h, n)
		a.Event = bittorrent.EventCompleted
		do(t, s, a)
		do(t, s, a) // moves to its part, once there is one
	}
	own, part := fmt.Sprintf("%s:{09}:%v", o.Prefix, h), fmt.Sprintf("%s:{0a}:%v", o.Prefix, h)
	inPart, err := alone.cli("HKEYS", part+":peers")
	if err != nil || inPart == "" {
		t.Fatalf("%q, %v", inPart, err)
	}
	for n := range 20 {
		a := seeder(h, n)
		if a.Event = bittorrent.EventStopped; !slices.Contains(strings.Fields(inPart), a.Addr().String()) {
			do(t, s, a)
		}
	}
	for _, c := range [][]string{{"DEL", own}, {"ZREM", o.Prefix + ":{09}:torrents", h.String()}, {"HINCRBY", o.Prefix + ":{09}:totals", "torrents", "-1"}} {
		if out, err := alone.cli(c...); err != nil {
			t.Fatal(out)
		}
	}
	if n, err := s.Expire(t.Context(), now.Add(time.Hour)); n != len(strings.Fields(inPart))+1 || err != nil { // and the one of above
		t.Errorf("%d peers expire, %v", n, err)
	}
	if keys := keysOf(t, o.Prefix+":*"+h.String()+"*"); len(keys) > 0 {
		t.Errorf("left: %q", keys)
	}
	wantTotals(t, s, swarm.Totals{})
}
