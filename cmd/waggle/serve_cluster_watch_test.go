//go:build !function

package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

func TestTroubleOfAClusterIsToldOnceAsLongAsItGoesOn(t *testing.T) {
	var out bytes.Buffer
	var w clusterWatch
	var m clusterMoment
	log, now := slog.New(slog.NewTextHandler(&out, nil)), time.Unix(1_700_000_000, 0)
	told := func(after time.Duration, refused uint64) int {
		now = now.Add(after)
		m.node.Refused = refused
		w.look(now, &m, log)
		return strings.Count(out.String(), "no room for some")
	}
	for _, step := range []struct {
		after   time.Duration
		refused uint64
		want    int
	}{{0, 0, 0}, {time.Second, 3, 1}, {9 * time.Minute, 4, 1}, {9 * time.Minute, 5, 1}, {10 * time.Minute, 5, 1}, {0, 6, 2}, {time.Second, 7, 2}} {
		if n := told(step.after, step.refused); n != step.want {
			t.Errorf("after %v and %d it was told %d times, want %d", step.after, step.refused, n, step.want)
		}
	}
	m.carried.Replayed, m.peers.Lost = 1, 1
	w.look(now, &m, log)
	for _, want := range []string{"the network doubles them", "requests of peers come faster", "count=3"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// slowSource knows where addresses are when it is told to.
type slowSource chan struct{}

func (slowSource) String() string { return "slow" }

func (s slowSource) Locate(ctx context.Context, _ netip.Addr) (string, error) {
	select {
	case <-s:
		return "rack1", nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func TestPeerThatAnotherTrackerWasToldOfIsLookedUpForItsNextAnnounce(t *testing.T) {
	tree, err := locality.NewTree(10, "rack")
	if err != nil {
		t.Fatal(err)
	}
	source := make(slowSource)
	l, err := locality.New(tree, locality.Options{Sources: []locality.Source{source}, LookupTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	u := newLookUps(l)
	relays := relaying{tracker.New(memory.New(memory.Options{}), tracker.Settings{PeerLifetime: time.Hour, Policies: tracker.Policies{Default: new(swarm.Policy)}}, tracker.Options{Locator: l}), u}
	relay := func(host byte) *swarm.Announce {
		a := &swarm.Announce{From: netip.AddrFrom4([4]byte{192, 0, 2, host}), Now: time.Now(), Relayed: time.Hour}
		a.InfoHash, a.Port, a.Left = bittorrent.InfoHash{1}, 1, 1
		if err := relays.Relay(t.Context(), a, new(swarm.Reply)); err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := relay(1); a.Location != nil {
		t.Errorf("it is at %v before anybody knows", a.Location)
	}
	select {
	case source <- struct{}{}:
	case <-time.After(time.Minute):
		t.Fatal("nobody looks it up")
	}
	eventually(t, "it is located when it announces again", func() bool {
		a := relay(1)
		return a.Location != nil && a.Location.Path() == "rack1"
	})
	for host := range byte(mostLookUps + 10) { // more than are looked up at a time
		relay(100 + host)
	}
	u.close() // ends what is under way
	if n := l.Lookups().UnderWay; n > mostLookUps {
		t.Errorf("%d look-ups were under way", n)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
