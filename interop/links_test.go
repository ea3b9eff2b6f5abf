package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	var shown nodeLinks
	if err := json.Unmarshal([]byte(hub.command(t, "links", "--json")), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Links) != 3 || len(shown.Invited) != 0 {
		t.Errorf("waggle links --json says %+v, want three leaves", shown)
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

// The lowest of three levels is two links away from the one above, and three from the last.
func TestLowestLinkedTrackerNamesAllInATorrent(t *testing.T) {
	t.Parallel()
	world, ams, fra, lon := newHub(t, "world"), newHub(t, "ams"), newNode(t, "fra"), newNode(t, "lon")
	link(t, world, ams, lon)
	link(t, ams, fra)
	payload := filepath.Join(t.TempDir(), payloadName)
	writePayload(t, payload)
	file := payload + ".torrent"
	waggleTorrentCreate(t, payload, fra.url(t, "udp", ipv4Loopback), file)
	var want [2][]string
	for _, n := range []*node{world, ams, fra, lon} {
		want[0] = append(want[0], n.url(t, "udp", ipv4Loopback))
		want[1] = append(want[1], n.url(t, "http", ipv4Loopback))
	}
	const spread = 20 * time.Second // two seconds a link, and some more
	eventually(t, spread, "a torrent names all four trackers", func() error {
		var report struct {
			Files []struct{ After [][]string }
		}
		if err := json.Unmarshal([]byte(fra.command(t, "torrent", "announce", file, "--from-links", "--json")), &report); err != nil {
			return err
		}
		has := report.Files[0].After
		for tier := range want {
			if len(has) != len(want) || !slices.Equal(slices.Sorted(slices.Values(has[tier])), slices.Sorted(slices.Values(want[tier]))) {
				return fmt.Errorf("it names %q, want %q", has, want)
			}
		}
		return nil
	})
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
		if is := n.waitForState(t, healLimit, hub.name, "split"); is.Why == "" {
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

// All that is left to it is the hub that it has joined.
func TestLeafThatIsBackWithAnEmptyDiskKnowsAllPeersAgain(t *testing.T) {
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
	if err := os.Remove(filepath.Join(leaf.dir, "state")); err != nil {
		t.Fatal(err)
	}
	leaf.begin(t)
	agree(t, healLimit, all, hash, counts{complete: 1, incomplete: 3, downloaded: 1})
	leaf.come(t, caller{hash, 1011, 7})
	agree(t, relayLimit, all, hash, counts{complete: 1, incomplete: 4, downloaded: 1})
}

func TestLeafThatIsFrozenIsSplitWithinTenSecondsAndCatchesUp(t *testing.T) {
	t.Parallel()
	all := linkedNodes(t)
	freeze(t, all, 3, 0)
}

// freeze stops a tracker, and has it go on when the others have noticed, and after a while
// at the earliest. Its connections stay open, so its silence alone tells them. Peers come
// and leave meanwhile.
func freeze(t *testing.T, all []*node, which int, during time.Duration) {
	t.Helper()
	stopped := all[which]
	others := slices.Delete(slices.Clone(all), which, which+1)
	hash := bittorrent.InfoHash{4, byte(which)}.String()
	stopped.come(t, caller{hash, 1001, 7})
	others[0].come(t, caller{hash, 1002, 7})
	agree(t, relayLimit, all, hash, counts{incomplete: 2})

	thaw := time.After(during)
	stopped.signal(t, syscall.SIGSTOP)
	for _, n := range others {
		if n.name != all[0].name && which != 0 {
			continue // it has no link with the one that is frozen
		}
		if is := n.waitForState(t, healLimit, stopped.name, "split"); is.Why == "" {
			t.Errorf("%s does not say why the link is %s", n.name, is.State)
		}
		n.said(t, "is closed")
	}
	others[1].come(t, caller{hash, 1003, 0})
	if _, err := others[0].announce(caller{hash, 1002, 7}, "stopped"); err != nil {
		t.Fatal(err)
	}
	if which != 0 { // without the hub, leaves do not hear of each other
		agree(t, relayLimit, others, hash, counts{complete: 1, incomplete: 1})
	}
	<-thaw
	stopped.signal(t, syscall.SIGCONT)
	agree(t, healLimit, all, hash, counts{complete: 1, incomplete: 1})
	linked(t, all[0], all[1:]...)
	if _, err := stopped.announce(caller{hash, 1001, 7}, "stopped"); err != nil {
		t.Fatal(err)
	}
	agree(t, relayLimit, all, hash, counts{complete: 1})
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
	other.command(t, "link", "drop", "fra")
	if err := leaf.join(t, gone); err != nil {
		t.Fatal(err)
	}
	const unknown = "the hub does not know this tracker's key"
	leaf.waitForRefusal(t, "hub", unknown)
	leaf.said(t, unknown)
	other.said(t, "its key is not in the book of this hub")
	leaf.command(t, "link", "leave")
	if err := leaf.join(t, line); err != nil {
		t.Fatal(err)
	}
	linked(t, hub, leaf)

	// The hub was set up anew where it was: it has another key.
	if err := hub.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(hub.dir); err != nil {
		t.Fatal(err)
	}
	hub.begin(t)
	const another = "is not the hub that invited: its key is another"
	leaf.waitForRefusal(t, "hub", another)
	leaf.said(t, another)
	hub.said(t, "it did not take this hub's certificate")
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
	hub.command(t, "link", "drop", leaf.name)
	agree(t, relayLimit, all[:3], hash, counts{incomplete: 3})
	leaf.waitForRefusal(t, "hub", "revoked: ask the")
	leaf.said(t, "revoked: ask the")
	hub.said(t, "a link was dropped with its peers")
	hubSays := hub.links(t)
	if _, there := hubSays.find(leaf.name); there || len(hubSays.Links) != 2 {
		t.Errorf("the hub still shows the leaf: %+v", hubSays)
	}
	// What it is told now stays with it.
	leaf.come(t, caller{hash, 1010, 7})
	all[1].come(t, caller{hash, 1011, 7})
	agree(t, relayLimit, all[:3], hash, counts{incomplete: 4})
}
