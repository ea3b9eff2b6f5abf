package link_test

import (
	"context"
	"errors"
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

// TestLoopDoesNoHarm joins two trackers to each other, both ways.
func TestLoopDoesNoHarm(t *testing.T) {
	a, b := newSite(t, "a1").hub().start(), newSite(t, "b1").hub().start()
	a.join(b, everything)
	b.join(a, everything)
	a.announce(1, 1, bittorrent.EventCompleted, 0)
	b.announce(1, 2, bittorrent.EventStarted, 100)
	for _, s := range []*site{a, b} {
		s.awaitPeers(1, 2)
		eventually(t, s.name+" counts once", func() bool { return s.counts(1).Downloaded == 1 })
	}
	a.announce(1, 1, bittorrent.EventStopped, 100)
	b.awaitPeers(1, 1)
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
