package tracker_test

import (
	"errors"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

func relay(t *testing.T, tr *tracker.Tracker, a *swarm.Announce) {
	t.Helper()
	a.Relayed = tr.Lifetime()
	if err := tr.Relay(t.Context(), a, new(swarm.Reply)); err != nil {
		t.Error(err)
	}
}

func TestRelayedAnnouncesAreNotLimitedAndTellNobody(t *testing.T) {
	s, gate := memory.New(memory.Options{}), newList()
	gate.active[hashed(1)] = true
	few := settings
	few.Rate = 1
	tr := tracker.New(s, few, tracker.Options{Gate: gate})
	for n := range 100 {
		a := announceOf(hashed(1), n)
		a.Event = bittorrent.EventStarted
		relay(t, tr, a)
	}
	if n := peers(t, s); n != 100 {
		t.Errorf("%d peers", n)
	}
	if gate.heard(hashed(1)) != [3]time.Time{} {
		t.Error("the catalogue heard of it")
	}
	if f := tr.Figures(); f.Relayed != 100 || f.Announces != 0 || f.Shed != 0 {
		t.Errorf("%+v", f)
	}
}

func TestRelayedAnnouncesOfWhatIsNotServedAreDropped(t *testing.T) {
	s, gate := memory.New(memory.Options{}), newList()
	gate.active[hashed(1)], gate.inactive[hashed(2)] = true, true
	listed := settings
	listed.Listed, listed.Denied = true, tracker.Denied{hashed(4): {}}
	tr := tracker.New(s, listed, tracker.Options{Gate: gate})
	for n := range byte(5) {
		h := hashed(n)
		if tr.Serves(&h) != (n == 1) {
			t.Errorf("torrent %d is served: %t", n, n != 1)
		}
		relay(t, tr, announceOf(h, 1))
	}
	if n := peers(t, s); n != 1 {
		t.Errorf("%d peers", n)
	}
	gate.active[hashed(1)] = false
	gone := announceOf(hashed(1), 1)
	gone.Event = bittorrent.EventStopped
	relay(t, tr, gone)
	if n := peers(t, s); n != 0 {
		t.Errorf("%d peers are left that stopped", n)
	}
}

func TestRelayedAddressThatNobodyCouldConnectToIsRefused(t *testing.T) {
	tr := tracker.New(memory.New(memory.Options{}), settings, tracker.Options{})
	a := announce(1, time.Unix(7, 0))
	a.Port = 0
	if err := tr.Relay(t.Context(), a, new(swarm.Reply)); !errors.Is(err, bittorrent.ErrPort) {
		t.Errorf("%v", err)
	}
}
