package swarm_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"waggle/bittorrent"
	"waggle/swarm"
)

func TestSampleDrawsDifferentNumbersWithinTheRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 500).Draw(t, "n")
		k := rapid.IntRange(1, 600).Draw(t, "k")
		s := swarm.NewSelector(rapid.Uint64().Draw(t, "seed"), 0)
		seen := make([]bool, n)
		picks := s.Sample(n, k)
		for _, i := range picks {
			if int(i) >= n || seen[i] {
				t.Fatalf("drew %d of %d, out of range or again", i, n)
			}
			seen[i] = true
		}
		if len(picks) != min(n, k) {
			t.Fatalf("drew %d, want %d", len(picks), min(n, k))
		}
	})
}

// TestSampleFavoursNobody uses a range that k does not divide, where the parts
// are of different sizes. The bound is six standard deviations.
func TestSampleFavoursNobody(t *testing.T) {
	const n, k, rounds = 13, 5, 26_000
	s := swarm.NewSelector(1, 2)
	var drawn [n]int
	for range rounds {
		for _, i := range s.Sample(n, k) {
			drawn[i]++
		}
	}
	const mean, bound = rounds * k / n, 6 * 79 // sqrt(26000 x 5/13 x 8/13) < 79
	for i, times := range drawn {
		if times < mean-bound || times > mean+bound {
			t.Errorf("%d was drawn %d times, want %d +- %d", i, times, mean, bound)
		}
	}
}

func TestKindFollowsLeftAndEvent(t *testing.T) {
	for _, test := range []struct {
		left  int64
		event bittorrent.Event
		want  swarm.Kind
	}{
		{0, bittorrent.EventNone, swarm.Seeder},
		{0, bittorrent.EventPaused, swarm.Seeder},
		{1, bittorrent.EventPaused, swarm.PartialSeed},
		{1, bittorrent.EventCompleted, swarm.Leecher},
		{bittorrent.LeftUnknown, bittorrent.EventStarted, swarm.Leecher},
	} {
		a := swarm.Announce{AnnounceRequest: bittorrent.AnnounceRequest{Left: test.left, Event: test.event}}
		if got := a.Kind(); got != test.want {
			t.Errorf("left %d, %v: %v, want %v", test.left, test.event, got, test.want)
		}
	}
}

func TestResetReplyKeepsItsMemory(t *testing.T) {
	r := swarm.Reply{AnnounceResponse: bittorrent.AnnounceResponse{Complete: 3, Warning: "x"}}
	r.Peers.AppendWithID(netip.MustParseAddrPort("192.0.2.1:1"), bittorrent.PeerID{})
	before := cap(r.Peers.V4)
	r.Reset()
	if r.Complete != 0 || r.Warning != "" || r.Peers.Len() != 0 || len(r.Peers.IDs4) != 0 || cap(r.Peers.V4) != before {
		t.Errorf("got %+v", r)
	}
}
