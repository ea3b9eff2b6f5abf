package interop

import (
	"path/filepath"
	"testing"

	"waggle/bittorrent"
)

// Its file has peers of others, which it must not take for its own.
func TestLeafThatIsBackWithItsStoreDoesNotBringBackWhoLeftMeanwhile(t *testing.T) {
	t.Parallel()
	hub, other := newHub(t, "ams"), newNode(t, "fra")
	leaf := newNode(t, "lon", "--store", "sqlite:"+filepath.Join(t.TempDir(), "waggle.db"))
	all := []*node{hub, other, leaf}
	for _, n := range all[1:] {
		if err := n.join(t, hub.invite(t, n.name)); err != nil {
			t.Fatal(err)
		}
		n.waitForState(t, healLimit, hub.name, "active")
	}
	hash := bittorrent.InfoHash{6}.String()
	for i, n := range all {
		n.come(t, caller{hash, uint16(1001 + i), 7}, caller{hash, uint16(1011 + i), 7})
	}
	agree(t, relayLimit, all, hash, counts{incomplete: 6})

	if err := leaf.stop(); err != nil {
		t.Fatal(err)
	}
	for i, n := range all[:2] {
		if _, err := n.announce(caller{hash, uint16(1001 + i), 7}, "stopped"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.announce(caller{hash, 1012, 0}, "completed"); err != nil {
		t.Fatal(err)
	}
	agree(t, relayLimit, all[:2], hash, counts{complete: 1, incomplete: 3, downloaded: 1})
	leaf.begin(t)
	agree(t, healLimit, all, hash, counts{complete: 1, incomplete: 3, downloaded: 1})
	leaf.waitForState(t, healLimit, hub.name, "active")
	agree(t, relayLimit, all, hash, counts{complete: 1, incomplete: 3, downloaded: 1})
	if _, err := leaf.announce(caller{hash, 1003, 7}, "stopped"); err != nil {
		t.Fatal(err)
	}
	agree(t, relayLimit, all, hash, counts{complete: 1, incomplete: 2, downloaded: 1})
}
