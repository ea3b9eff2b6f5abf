package redis_test

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// said returns what a server says, in words.
func said(t testing.TB, n *node, args ...string) string {
	t.Helper()
	out, err := n.cli(append([]string{"-c"}, args...)...)
	if err != nil {
		t.Fatal(out)
	}
	return strings.Join(strings.Fields(out), " ")
}

func wantSaid(t *testing.T, n *node, want string, args ...string) {
	t.Helper()
	if got := said(t, n, args...); got != want {
		t.Errorf("%q is %q, want %q", args, got, want)
	}
}

// written waits until a host is there.
func written(t testing.TB, n *node, key string) {
	t.Helper()
	eventually(t, key+" is written", func() bool { return said(t, n, "EXISTS", key) == "1" })
}

func TestHostsAndRacksThatWereSeenAreKept(t *testing.T) {
	t.Parallel()
	for _, n := range []*node{alone, cluster[0]} {
		url := n.url()
		if n != alone {
			url = urlOf(cluster)
		}
		o := options(t, url, newPrefix())
		o.Host = func(ip netip.Addr) string {
			if ip == netip.AddrFrom4([4]byte{10, 0, 0, 1}) {
				return "h1.example"
			}
			return ""
		}
		s, h := opened(t, o), hash(1, 1)
		do(t, s, leecher(h, 4))
		later := located(t, &o, "r2", leecher(h, 26))
		later.Now = now.Add(time.Minute)
		for _, a := range []*swarm.Announce{located(t, &o, "r1", leecher(h, 1)), located(t, &o, "r1", leecher(h, 2)), later} {
			do(t, s, a)
		}
		written(t, n, o.Prefix+":{1a}:host:10.0.0.26")
		wantSaid(t, n, "location r1 seen 1800000000 name h1.example", "HGETALL", o.Prefix+":{01}:host:10.0.0.1")
		wantSaid(t, n, "location r1 seen 1800000000", "HGETALL", o.Prefix+":{02}:host:10.0.0.2")
		wantSaid(t, n, "0", "EXISTS", o.Prefix+":{04}:host:10.0.0.4")
		wantSaid(t, n, "r1 1800000000 r2 1800000060", "ZRANGE", o.Prefix+":{00}:racks", "0", "-1", "WITHSCORES")
		var rack string
		for _, key := range keysOf(t, o.Prefix+":*:rack:r1") {
			rack = key
		}
		wantSaid(t, n, "10.0.0.1 1800000000 10.0.0.2 1800000000", "ZRANGE", rack, "0", "-1", "WITHSCORES")
		for _, key := range []string{o.Prefix + ":{01}:host:10.0.0.1", rack, o.Prefix + ":{00}:racks"} {
			if left, err := strconv.Atoi(said(t, n, "TTL", key)); err != nil || left > 30*24*3600 || left < 30*24*3600-60 {
				t.Errorf("%s goes in %d s, %v", key, left, err)
			}
		}
	}
}

func TestHostIsWrittenOnceAnHour(t *testing.T) {
	t.Parallel()
	o := options(t, alone.url(), newPrefix())
	s, h := opened(t, o), hash(1, 1)
	seen := func(n int, at time.Duration) {
		a := located(t, &o, "r1", leecher(h, n))
		a.Now = now.Add(at)
		do(t, s, a)
	}
	key := func(n int) string { return fmt.Sprintf("%s:{%02x}:host:10.0.0.%d", o.Prefix, n, n) }
	seen(1, 0)
	written(t, alone, key(1))
	seen(1, 59*time.Minute)
	seen(2, 59*time.Minute)
	written(t, alone, key(2))
	wantSaid(t, alone, "1800000000", "HGET", key(1), "seen")
	seen(1, time.Hour)
	seen(3, time.Hour)
	written(t, alone, key(3))
	wantSaid(t, alone, "1800003600", "HGET", key(1), "seen")
	seen(2, 90*time.Minute)
	seen(1, 121*time.Minute)
	seen(4, 121*time.Minute)
	written(t, alone, key(4))
	wantSaid(t, alone, "1800007260", "HGET", key(1), "seen")
	wantSaid(t, alone, "1800003540", "HGET", key(2), "seen")
}

func TestHostThatWasNotSeenForAMonthIsNotInItsRackAnyMore(t *testing.T) {
	t.Parallel()
	o := options(t, alone.url(), newPrefix())
	s, h := opened(t, o), hash(1, 1)
	do(t, s, located(t, &o, "r2", leecher(h, 9)))
	do(t, s, located(t, &o, "r1", leecher(h, 1)))
	written(t, alone, o.Prefix+":{01}:host:10.0.0.1")
	a := located(t, &o, "r1", leecher(h, 2))
	a.Now = now.Add(31 * 24 * time.Hour)
	do(t, s, a)
	written(t, alone, o.Prefix+":{02}:host:10.0.0.2")
	wantSaid(t, alone, "10.0.0.2", "ZRANGE", keysOf(t, o.Prefix+":*:rack:r1")[0], "0", "-1")
	wantSaid(t, alone, "r1", "ZRANGE", o.Prefix+":{00}:racks", "0", "-1")
}

// TestHostsAreLeftOutWhileRedisIsGone has a server that goes, comes back empty, and stands
// still.
func TestHostsAreLeftOutWhileRedisIsGone(t *testing.T) {
	t.Parallel()
	n := launched(t)
	o := options(t, n.url(), "a")
	o.Timeout = 200 * time.Millisecond
	s := open(t, o)
	h := hash(1, 1)
	try := func(i int) error {
		return s.Announce(context.Background(), located(t, &o, "r1", leecher(h, i)), new(swarm.Reply))
	}
	if err := try(1); err != nil {
		t.Fatal(err)
	}
	written(t, n, "a:{01}:host:10.0.0.1")
	n.stop()
	eventually(t, "announces are refused", func() bool { return try(2) != nil && s.Healthy() != nil })
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a host is written that was left out", func() bool {
		return try(2) == nil && said(t, n, "EXISTS", "a:{02}:host:10.0.0.2") == "1"
	})
	still(t, n, syscall.SIGSTOP)
	for i := range 600 {
		_ = try(3 + i)
	}
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the store closes in %v", took)
	}
}

// TestRecordTellsTheEventAndTheForm reads records as redis-cli shows them.
func TestRecordTellsTheEventAndTheForm(t *testing.T) {
	o := options(t, alone.url(), newPrefix())
	s, h := opened(t, o), hash(1, 1)
	words := func(n int) string {
		fields := strings.Fields(said(t, alone, "HGET", fmt.Sprintf("%s:{01}:%v:peers", o.Prefix, h), fmt.Sprintf("10.0.0.%d:6881", n)))
		if len(fields) != 11 {
			t.Fatalf("%q", fields)
		}
		return strings.Join(fields[8:10], " ")
	}
	for n, c := range []struct {
		event   bittorrent.Event
		form    bittorrent.PeerForm
		relayed time.Duration
		want    string
	}{
		{bittorrent.EventStarted, bittorrent.PeersCompact, 0, "started compact"},
		{bittorrent.EventNone, bittorrent.PeersFull, 0, "- full"},
		{bittorrent.EventPaused, bittorrent.PeersWithoutIDs, 0, "paused full"},
		{bittorrent.EventCompleted, bittorrent.PeersCompact, time.Hour, "completed -"},
	} {
		a := leecher(h, n)
		a.Event, a.Form, a.Relayed = c.event, c.form, c.relayed
		do(t, s, a)
		if got := words(n); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	a := leecher(h, 9)
	if err := s.Restore(t.Context(), swarm.Snapshot{InfoHash: h, Peers: []swarm.Peer{{ID: a.PeerID, Addr: a.Addr(), Kind: swarm.Leecher, First: now, Last: now}}}); err != nil {
		t.Fatal(err)
	}
	if got := words(9); got != "- -" {
		t.Errorf("%q of one that was restored", got)
	}
}
