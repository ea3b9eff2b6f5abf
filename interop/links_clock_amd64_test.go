package interop

import (
	"testing"
	"time"

	"waggle/bittorrent"
)

// One leaf is an hour ahead of the hub, one an hour behind.
func TestTrackersWhoseClocksAreAnHourApartAgree(t *testing.T) {
	t.Parallel()
	hub := newHub(t, "ams")
	early, late := newNodeOn(t, ahead(time.Hour), "fra"), newNodeOn(t, ahead(-time.Hour), "lon")
	all := []*node{hub, early, late}
	link(t, hub, early, late)
	hash := bittorrent.InfoHash{10}.String()
	for i, n := range all {
		n.come(t, caller{hash, uint16(1001 + i), 7})
	}
	agree(t, relayLimit, all, hash, counts{incomplete: 3})

	// What a peer said last counts, wherever, and not what has the later date.
	moves := caller{hash, 1010, 7}
	early.come(t, moves)
	agree(t, relayLimit, all, hash, counts{incomplete: 4})
	moves.left = 0
	if _, err := late.announce(moves, "completed"); err != nil {
		t.Fatal(err)
	}
	agree(t, relayLimit, all, hash, counts{complete: 1, incomplete: 3, downloaded: 1})
	<-time.After(movesWithin)
	if _, err := hub.announce(caller{hash, 1002, 7}, "stopped"); err != nil {
		t.Fatal(err)
	}
	agree(t, relayLimit, all, hash, counts{complete: 1, incomplete: 2, downloaded: 1})

	// Also of what neither could know of the other.
	hub.killNine(t)
	for _, n := range all[1:] {
		n.waitForState(t, healLimit, hub.name, "split")
	}
	early.come(t, caller{hash, 1011, 7})
	<-time.After(movesWithin)
	for event, c := range map[string]caller{"completed": {hash, 1011, 0}, "stopped": {hash, 1010, 0}} {
		if _, err := late.announce(c, event); err != nil {
			t.Fatal(err)
		}
	}
	hub.begin(t)
	agree(t, healLimit, all, hash, counts{complete: 1, incomplete: 2, downloaded: 2})
}

func TestClocksThatAreWrongChangeNoLifetime(t *testing.T) {
	t.Parallel()
	const lifetime = 6 * time.Second
	flags := []string{"--announce-interval", "5s", "--announce-min-interval", "0s", "--announce-peer-lifetime", lifetime.String()}
	hub, leaf := newHub(t, "ams", flags...), newNodeOn(t, ahead(time.Hour), "fra", flags...)
	all := []*node{hub, leaf}
	link(t, hub, leaf)
	hash := bittorrent.InfoHash{11}.String()
	began := time.Now()
	for i, n := range all {
		n.come(t, caller{hash, uint16(1001 + i), 7})
	}
	agree(t, lifetime/2, all, hash, counts{incomplete: 2})
	agree(t, 2*lifetime, all, hash, counts{})
	if lived := time.Since(began); lived < lifetime-time.Second {
		t.Errorf("they lived for %v, which should be %v", lived, lifetime)
	}
}

func TestClocksThatAreTooFarApartAreRefusedInWords(t *testing.T) {
	t.Parallel()
	hub := newHub(t, "ams")
	const certificate = "it did not take this hub's certificate"
	for name, test := range map[string]struct {
		by           time.Duration
		leaf, remedy string // what the leaf says, and the hub
	}{
		"fra": {30 * time.Hour, "the clocks of the two trackers are 30h0m0s apart: set them", "the clocks of the two trackers are 30h0m0s apart: set them"},
		"lon": {100 * 24 * time.Hour, "the hub's certificate has expired", certificate},
		"par": {-3 * 24 * time.Hour, "the hub's certificate is not good yet", certificate},
	} {
		leaf := newNodeOn(t, ahead(test.by), name)
		if err := leaf.join(t, hub.invite(t, name)); err != nil {
			t.Fatal(err)
		}
		leaf.said(t, test.leaf)
		hub.said(t, test.remedy)
	}
}
