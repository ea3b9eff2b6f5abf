package link_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"waggle/bittorrent"
	"waggle/link"
	"waggle/link/carrier"
)

// TestHubMayBeTheLeafOfAnother has a tree of three levels.
func TestHubMayBeTheLeafOfAnother(t *testing.T) {
	root, middle, leaf := newSite(t, "root").hub().start(), newSite(t, "middle").hub().start(), newSite(t, "leaf1").start()
	middle.join(root, everything)
	leaf.join(middle, everything)
	leaf.announce(1, 1, bittorrent.EventStarted, 100)
	root.announce(1, 2, bittorrent.EventCompleted, 0)
	for _, s := range []*site{root, middle, leaf} {
		s.awaitPeers(1, 2)
		eventually(t, s.name+" counts", func() bool { return s.counts(1).Downloaded == 1 })
	}
	if v := middle.links.Show(); len(v.Links) != 2 || v.Links[0].Role != link.RoleHub || v.Links[0].Name != "root" || v.Links[1].Name != "leaf1" {
		t.Errorf("%+v", v.Links)
	}
	leaf.announce(1, 1, bittorrent.EventStopped, 100)
	root.awaitPeers(1, 1)
}

// reachable gives a tracker URLs of its name.
func reachable(s *site) *site {
	return s.with(func(o *link.Options) {
		o.URLs = []string{"udp://" + s.name + ".example:6969/announce", "http://" + s.name + ".example:6969/announce"}
	})
}

// listsAll waits until the announce list of a tracker names some and no others.
func listsAll(t *testing.T, s *site, names ...string) {
	t.Helper()
	var lists [][]string
	defer func() {
		if t.Failed() {
			t.Logf("%s lists %q", s.name, lists)
		}
	}()
	eventually(t, s.name+" lists "+strings.Join(names, " "), func() bool {
		if lists = s.links.AnnounceLists(); len(lists) != 2 || len(lists[0]) != len(names) || len(lists[1]) != len(names) {
			return false
		}
		for _, name := range names {
			if !slices.Contains(lists[0], "udp://"+name+".example:6969/announce") || !slices.Contains(lists[1], "http://"+name+".example:6969/announce") {
				return false
			}
		}
		return true
	})
}

// TestAnnounceListNamesAllTrackersOfTheTree has three levels, and one leaf that only
// receives: a client of that one would not be told to others.
func TestAnnounceListNamesAllTrackersOfTheTree(t *testing.T) {
	var all []*site
	for _, name := range []string{"root", "middle", "other", "lowest", "deaf"} {
		s := reachable(newSite(t, name))
		if name == "root" || name == "middle" {
			s.hub()
		}
		all = append(all, s.start())
	}
	root, middle, other, lowest, deaf := all[0], all[1], all[2], all[3], all[4]
	listsAll(t, lowest, "lowest")
	middle.join(root, everything)
	other.join(root, everything)
	lowest.join(middle, everything)
	deaf.join(root, carrier.Rights{Receive: true})
	for _, s := range all[:4] {
		listsAll(t, s, "root", "middle", "other", "lowest")
	}
	eventually(t, "the hub shows where the one that only receives is", func() bool {
		for _, l := range root.links.Show().Links {
			if l.Name == "deaf" {
				return len(l.URLs) == 2
			}
		}
		return false
	})
	listsAll(t, deaf, "deaf")

	lowest.stop() // they are still known
	middle.await(link.Split, link.RoleLeaf)
	listsAll(t, other, "root", "middle", "other", "lowest")
	if err := root.links.Drop("middle"); err != nil {
		t.Fatal(err)
	}
	listsAll(t, other, "root", "other")
	listsAll(t, root, "root", "other")
}

// TestLoopDoesNoHarm joins three trackers in a ring.
func TestLoopDoesNoHarm(t *testing.T) {
	var all []*site
	for _, name := range []string{"a1", "b1", "c1"} {
		all = append(all, reachable(newSite(t, name)).hub().start())
	}
	for i, s := range all {
		s.join(all[(i+1)%3], everything)
	}
	a, b := all[0], all[1]
	a.announce(1, 1, bittorrent.EventCompleted, 0)
	b.announce(1, 2, bittorrent.EventStarted, 100)
	for _, s := range all {
		s.awaitPeers(1, 2)
		eventually(t, s.name+" counts once", func() bool { return s.counts(1).Downloaded == 1 })
		listsAll(t, s, "a1", "b1", "c1")
	}
	a.announce(1, 1, bittorrent.EventStopped, 100)
	b.awaitPeers(1, 1)
}

// TestNamesThatTwoTrackersWouldHaveAreRefused has who is the hub of one be its leaf, too.
func TestNamesThatTwoTrackersWouldHaveAreRefused(t *testing.T) {
	a, b := newSite(t, "a1").hub().start(), newSite(t, "b1").hub().start()
	if _, err := a.links.Invite("a1", everything, nil); !errors.Is(err, link.ErrInvalid) || !strings.Contains(err.Error(), "this tracker itself has that name") {
		t.Errorf("%v", err)
	}
	a.join(b, everything)
	line, err := a.links.Invite("b2", everything, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.links.Join(context.Background(), line); !errors.Is(err, link.ErrConflict) || !strings.Contains(err.Error(), "the hub is named a1, as a leaf of this tracker is") {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"hub", "b1"} {
		if err := a.links.SetRights(name, everything); !errors.Is(err, link.ErrConflict) || !strings.Contains(err.Error(), "its hub's to set") {
			t.Errorf("%v", err)
		}
	}
}

// TestLeafWithMorePeersThanItMayBringSaysSo has the hub leave out one of two.
func TestLeafWithMorePeersThanItMayBringSaysSo(t *testing.T) {
	hub, leaf := newSite(t, "hub1").hub().start(), newSite(t, "leaf1").start()
	leaf.join(hub, carrier.Rights{Receive: true, Send: true, Peers: 1})
	hub.announce(1, 1, bittorrent.EventStarted, 100)
	leaf.announce(1, 2, bittorrent.EventStarted, 100)
	leaf.awaitPeers(1, 2)
	const words = "this tracker has more peers than its link may bring"
	leaf.links.Show()
	if leaf.log.has(words) {
		t.Error("it says so with as many as it may")
	}
	leaf.announce(1, 3, bittorrent.EventStarted, 100)
	eventually(t, "the leaf says so", func() bool { return leaf.log.has(words) })
}

func TestTrackersMeetOverANATSThatIsThereAlready(t *testing.T) {
	nats, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	nats.Start()
	t.Cleanup(func() { nats.Shutdown(); nats.WaitForShutdown() })
	if !nats.ReadyForConnections(patience) {
		t.Fatal("the NATS does not come up")
	}
	outside := func(isHub bool) func(*link.Options) {
		return func(o *link.Options) {
			o.Outside, o.OutsideHub = &carrier.Outside{URL: nats.ClientURL()}, isHub
		}
	}
	hub := newSite(t, "hub1").with(outside(true)).start()
	if line, err := hub.links.Invite("leaf1", everything, nil); err != nil || line != "" {
		t.Fatalf("%q, %v", line, err)
	}
	leaf := newSite(t, "leaf1").with(outside(false)).start() // refused for a minute before
	leaf.await(link.Active, link.RoleHub)
	leaf.announce(1, 1, bittorrent.EventStarted, 100)
	hub.awaitPeers(1, 1)
	if err := leaf.links.Leave(); !errors.Is(err, link.ErrConflict) {
		t.Errorf("%v", err)
	}
	if err := leaf.links.Join(context.Background(), "x"); !errors.Is(err, link.ErrConflict) {
		t.Errorf("%v", err)
	}
}

// BenchmarkChanges announces new peers at a leaf until its hub has them.
func BenchmarkChanges(b *testing.B) {
	hub, leaf := benchPair(b)
	n := 0
	for b.Loop() {
		leaf.announce(n%1000, n, bittorrent.EventStarted, 100)
		n++
	}
	eventually(b, "the hub has them", func() bool { return hub.links.Show().Relayed >= min(n, 1<<24) })
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "changes/s")
}

// BenchmarkLag announces one peer after the other, each when the hub has the one before.
func BenchmarkLag(b *testing.B) {
	hub, leaf := benchPair(b)
	ticker := time.NewTicker(200 * time.Microsecond)
	defer ticker.Stop()
	n := 0
	for b.Loop() {
		leaf.announce(n, n, bittorrent.EventStarted, 100)
		for len(hub.peers(n)) == 0 {
			<-ticker.C
		}
		n++
	}
}
