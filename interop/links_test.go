package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
)

// What trackers that are linked promise.
const (
	relayLimit = 5 * time.Second  // until all know what one was told
	healLimit  = 10 * time.Second // until all agree again, and until a split is noticed
)

// The example of the documentation of tracker links of 2005: what a client says to
// tracker 1, the hub passes on to the others, and a client of tracker 2 is told of it.
func TestClientOfALinkedTrackerIsToldOfClientsOfOthers(t *testing.T) {
	t.Parallel()
	all := linkedNodes(t)
	hub, one, two := all[0], all[1], all[2]
	hash := bittorrent.InfoHash{1}.String()
	first := caller{infoHash: hash, port: 1001, left: 7}
	one.come(t, first)
	agree(t, relayLimit, all, hash, counts{incomplete: 1})

	second := caller{infoHash: hash, port: 1002, left: 7}
	body, err := two.announce(second, "started")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(body, first.compact()) {
		t.Errorf("the client of the second tracker is told %q, not of the client of the first", body)
	}
	agree(t, relayLimit, all, hash, counts{incomplete: 2})

	first.left = 0
	if _, err := one.announce(first, "completed"); err != nil {
		t.Fatal(err)
	}
	agree(t, relayLimit, all, hash, counts{complete: 1, incomplete: 1, downloaded: 1})
	for _, c := range []struct {
		at *node
		caller
	}{{one, first}, {two, second}} {
		if _, err := c.at.announce(c.caller, "stopped"); err != nil {
			t.Fatal(err)
		}
	}
	agree(t, relayLimit, all, hash, counts{downloaded: 1})
	if l := hub.links(t); len(l.Links) != 3 || len(l.Invited) != 0 {
		t.Errorf("the hub shows %+v, want three leaves", l)
	}
}

// The seeder is a client of one leaf; those who fetch are clients of the hub and of the
// other leaves. A last one comes when the seeder is gone, and fetches from those.
func TestClientsOfLinkedTrackersFinishOneDownloadOfEachOther(t *testing.T) {
	t.Parallel()
	all := linkedNodes(t)
	dir := t.TempDir()
	payload := filepath.Join(dir, "seeder", payloadName)
	want := writePayload(t, payload)
	var torrents []string
	for i, n := range all {
		torrents = append(torrents, filepath.Join(dir, n.name+".torrent"))
		waggleTorrentCreate(t, payload, n.url(t, []string{"udp", "http"}[i%2], ipv4Loopback), torrents[i])
	}
	hash := infoHash(t, torrents[0])

	seeder := startLibtorrent(t, loopback4, torrents[1], filepath.Dir(payload))
	agree(t, transferLimit, all, hash, counts{complete: 1})
	everybody := []*process{seeder}
	fetch := func(name string, from int) (path string) {
		to := filepath.Join(dir, name)
		if err := os.Mkdir(to, 0o755); err != nil {
			t.Fatal(err)
		}
		everybody = append(everybody, startLibtorrent(t, loopback4, torrents[from], to))
		return filepath.Join(to, payloadName)
	}
	var paths []string
	for _, from := range []int{0, 2, 3} {
		paths = append(paths, fetch(fmt.Sprint("fetcher", from), from))
	}
	for _, path := range paths {
		waitForPayload(t, path, want, everybody)
	}
	all[0].waitForCounts(t, hash, counts{complete: 4, downloaded: 3})
	agree(t, relayLimit, all, hash, counts{complete: 4, downloaded: 3})

	if err := seeder.leaveSwarm(); err != nil {
		t.Fatal(err)
	}
	all[1].waitForCounts(t, hash, counts{complete: 3, downloaded: 3})
	agree(t, relayLimit, all, hash, counts{complete: 3, downloaded: 3})
	everybody = everybody[1:]
	waitForPayload(t, fetch("last", 1), want, everybody)
	all[1].waitForCounts(t, hash, counts{complete: 4, downloaded: 4})
	agree(t, relayLimit, all, hash, counts{complete: 4, downloaded: 4})
}

func TestPeersThatComeWhileTheHubIsDeadAreKnownToAllWhenItIsBack(t *testing.T) {
	t.Parallel()
	all := linkedNodes(t)
	hub, leaves := all[0], all[1:]
	hash := bittorrent.InfoHash{2}.String()
	hub.come(t, caller{hash, 1000, 0})
	for i, n := range leaves {
		n.come(t, caller{hash, uint16(1001 + i), 7})
	}
	agree(t, relayLimit, all, hash, counts{complete: 1, incomplete: 3})

	hub.killNine(t)
	for _, n := range leaves {
		if is := n.waitForState(t, healLimit, hub.name, "split", "connecting"); is.Why == "" {
			t.Errorf("%s does not say why its link is %s", n.name, is.State)
		}
	}
	// One comes, one is done, one leaves. Who announced at the hub is kept.
	leaves[0].come(t, caller{hash, 1010, 7})
	for _, c := range []struct {
		at    *node
		peer  caller
		event string
	}{{leaves[1], caller{hash, 1002, 0}, "completed"}, {leaves[2], caller{hash, 1003, 7}, "stopped"}} {
		if _, err := c.at.announce(c.peer, c.event); err != nil {
			t.Fatal(err)
		}
	}
	hub.begin(t)
	agree(t, healLimit, all, hash, counts{complete: 2, incomplete: 2, downloaded: 1})
	for _, n := range leaves {
		hub.waitForState(t, healLimit, n.name, "active")
	}
}

func TestLeafThatIsBackWithAnEmptyStoreKnowsAllPeersAgain(t *testing.T) {
	t.Parallel()
	all := linkedNodes(t)
	leaf := all[2]
	leaf.killNine(t)
	leaf.flags = append(leaf.flags, "--store", "sqlite:"+filepath.Join(t.TempDir(), "waggle.db"))
	leaf.begin(t)
	leaf.waitForState(t, healLimit, all[0].name, "active")
	hash := bittorrent.InfoHash{3}.String()
	for i, n := range all {
		n.come(t, caller{hash, uint16(1001 + i), 7})
	}
	if _, err := leaf.announce(caller{hash, 1003, 0}, "completed"); err != nil {
		t.Fatal(err)
	}
	agree(t, relayLimit, all, hash, counts{complete: 1, incomplete: 3, downloaded: 1})

	leaf.killNine(t)
	leaf.flags[len(leaf.flags)-1] = "sqlite:" + filepath.Join(t.TempDir(), "waggle.db")
	leaf.begin(t)
	agree(t, healLimit, all, hash, counts{complete: 1, incomplete: 3, downloaded: 1})
	leaf.come(t, caller{hash, 1011, 7})
	agree(t, relayLimit, all, hash, counts{complete: 1, incomplete: 4, downloaded: 1})
}

// Connections of a process that is frozen stay open: its silence alone tells.
func TestLeafThatIsFrozenIsSplitWithinTenSecondsAndCatchesUp(t *testing.T) {
	t.Parallel()
	const frozen = 12 * time.Second
	all := linkedNodes(t)
	hub, leaf := all[0], all[3]
	hash := bittorrent.InfoHash{4}.String()
	leaf.come(t, caller{hash, 1001, 7})
	agree(t, relayLimit, all, hash, counts{incomplete: 1})

	thaw := time.After(frozen)
	leaf.signal(t, syscall.SIGSTOP)
	if is := hub.waitForState(t, healLimit, leaf.name, "split", "connecting"); is.Why == "" {
		t.Errorf("the hub does not say why the link is %s", is.State)
	}
	hub.come(t, caller{hash, 1002, 7})
	all[1].come(t, caller{hash, 1003, 0})
	agree(t, relayLimit, all[:3], hash, counts{complete: 1, incomplete: 2})
	<-thaw
	leaf.signal(t, syscall.SIGCONT)
	agree(t, healLimit, all, hash, counts{complete: 1, incomplete: 2})
	hub.waitForState(t, healLimit, leaf.name, "active")
	if _, err := leaf.announce(caller{hash, 1001, 7}, "stopped"); err != nil {
		t.Fatal(err)
	}
	agree(t, relayLimit, all, hash, counts{complete: 1, incomplete: 1})
}

func TestLinesThatAreNotGoodAreRefusedInWords(t *testing.T) {
	t.Parallel()
	hub, other, leaf := newHub(t, "ams"), newHub(t, "nyc"), newNode(t, "fra")
	line := hub.invite(t, "fra")
	for name, bad := range map[string]string{
		"cut off":   line[:len(line)/2] + "\n",
		"no line":   "waggle-link-1\n",
		"something": "please\n",
		"empty":     "\n",
	} {
		err := leaf.join(t, bad)
		if err == nil {
			t.Fatalf("a leaf joined with a line that is %s", name)
		}
		if strings.Contains(err.Error(), "panic") || len(err.Error()) > 1000 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l := leaf.links(t); len(l.Links) != 0 {
		t.Errorf("it has links after lines that are bad: %+v", l)
	}

	// An invitation that was taken back: the line is whole, the hub does not want it.
	gone := other.invite(t, "fra")
	run(t, waggle(t), "link", "drop", "fra", "--console", consoleOf(t, other.tracker))
	if err := leaf.join(t, gone); err != nil {
		t.Fatal(err)
	}
	eventually(t, healLimit, "the leaf says that it is refused", func() error {
		l := leaf.links(t)
		if len(l.Links) != 1 || l.Links[0].State != "refused" || l.Links[0].Why == "" {
			return fmt.Errorf("waggle links says %+v", l)
		}
		return nil
	})
	said(t, leaf, "refused")
	run(t, waggle(t), "link", "leave", "--console", consoleOf(t, leaf.tracker))
	if err := leaf.join(t, line); err != nil {
		t.Fatal(err)
	}
	leaf.waitForState(t, healLimit, hub.name, "active")
}

// said waits until the log of a tracker has a word.
func said(t *testing.T, n *node, word string) {
	t.Helper()
	eventually(t, healLimit, fmt.Sprintf("the log of %s says %q", n.name, word), func() error {
		for _, line := range n.stderr.lines() {
			if strings.Contains(line, word) {
				return nil
			}
		}
		return fmt.Errorf("not in %d lines", len(n.stderr.lines()))
	})
}

func TestLeafThatIsDroppedIsForgottenWithItsPeers(t *testing.T) {
	t.Parallel()
	all := linkedNodes(t)
	hub, leaf := all[0], all[3]
	hash := bittorrent.InfoHash{5}.String()
	for i, n := range all {
		n.come(t, caller{hash, uint16(1001 + i), 7})
	}
	agree(t, relayLimit, all, hash, counts{incomplete: 4})
	run(t, waggle(t), "link", "drop", leaf.name, "--console", consoleOf(t, hub.tracker))
	agree(t, relayLimit, all[:3], hash, counts{incomplete: 3})
	eventually(t, healLimit, "the leaf that was dropped says so", func() error {
		l := leaf.links(t)
		if len(l.Links) != 1 || l.Links[0].State != "refused" || l.Links[0].Why == "" {
			return fmt.Errorf("waggle links says %+v", l)
		}
		return nil
	})
	hubSays := hub.links(t)
	if _, there := hubSays.find(leaf.name); there || len(hubSays.Links) != 2 {
		t.Errorf("the hub still shows the leaf: %+v", hubSays)
	}
	// What it is told now stays with it.
	leaf.come(t, caller{hash, 1010, 7})
	all[1].come(t, caller{hash, 1011, 7})
	agree(t, relayLimit, all[:3], hash, counts{incomplete: 4})
}
