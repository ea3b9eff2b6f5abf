package interop

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"waggle/bittorrent"
)

// Its file has peers of others, which it must not take for its own.
func TestTrackerThatIsBackWithItsStoreDoesNotBringBackWhoLeftMeanwhile(t *testing.T) {
	for name, which := range map[string]int{"hub": 0, "leaf": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var flags [3][]string
			flags[which] = []string{"--store", "sqlite:" + filepath.Join(t.TempDir(), "waggle.db")}
			hub := newHub(t, "ams", flags[0]...)
			all := []*node{hub, newNode(t, "fra", flags[1]...), newNode(t, "lon", flags[2]...)}
			link(t, hub, all[1:]...)
			stopAndBegin(t, all, which)
		})
	}
}

// stopAndBegin stops a tracker, and starts it again after peers of the others have left,
// and one is done.
func stopAndBegin(t *testing.T, all []*node, which int) {
	t.Helper()
	stopped := all[which]
	others := slices.Delete(slices.Clone(all), which, which+1)
	hash := bittorrent.InfoHash{6, byte(which)}.String()
	first, second := caller{hash, 1001, 7}, caller{hash, 1002, 7}
	others[0].come(t, first)
	others[1].come(t, second, caller{hash, 1003, 7}, caller{hash, 1004, 7})
	stopped.come(t, caller{hash, 1005, 7}, caller{hash, 1006, 7})
	agree(t, relayLimit, all, hash, counts{incomplete: 6})

	if err := stopped.stop(); err != nil {
		t.Fatal(err)
	}
	second.left = 0
	for _, c := range []struct {
		at    *node
		peer  caller
		event string
	}{{others[0], first, "stopped"}, {others[1], second, "completed"}, {others[1], caller{hash, 1003, 7}, "stopped"}} {
		if _, err := c.at.announce(c.peer, c.event); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(2 * time.Second) // stores keep whole seconds: it is back clearly later
	stopped.begin(t)
	agree(t, healLimit, all, hash, counts{complete: 1, incomplete: 3, downloaded: 1})
	linked(t, all[0], all[1:]...)
	agree(t, relayLimit, all, hash, counts{complete: 1, incomplete: 3, downloaded: 1})
	if _, err := stopped.announce(caller{hash, 1005, 7}, "stopped"); err != nil {
		t.Fatal(err)
	}
	agree(t, relayLimit, all, hash, counts{complete: 1, incomplete: 2, downloaded: 1})
}
