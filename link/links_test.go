package link_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/link"
	"waggle/link/carrier"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

func two(t *testing.T) (hub, leaf *site) {
	t.Helper()
	hub, leaf = newSite(t, "hub1").hub().start(), newSite(t, "leaf1").start()
	leaf.join(hub, everything)
	return hub, leaf
}

func three(t *testing.T) (hub, leaf, other *site) {
	t.Helper()
	hub, leaf = two(t)
	return hub, leaf, newSite(t, "leaf2").start().joined(t, hub)
}

func TestPeerOfOneTrackerIsToldAtTheOther(t *testing.T) {
	hub, leaf := two(t)
	leaf.announce(1, 1, bittorrent.EventStarted, 100)
	hub.awaitPeers(1, 1)
	if r := hub.announce(1, 2, bittorrent.EventStarted, 0); r.Peers.Len() != 1 || r.Incomplete != 1 || r.Complete != 1 {
		t.Errorf("told of %d peers, %d and %d there", r.Peers.Len(), r.Incomplete, r.Complete)
	}
	leaf.awaitPeers(1, 2)
	p := leaf.peers(1)[addr(2)]
	if p.Kind != swarm.Seeder || p.ID[3] != 2 {
		t.Errorf("%+v", p)
	}
	if hub.links.Digest(hash(1)) != leaf.links.Digest(hash(1)) || hub.links.Digest(hash(1)) == 0 {
		t.Error("the digests differ")
	}
}

func TestPeerThatStopsIsGoneAtAllTrackers(t *testing.T) {
	hub, leaf, other := three(t)
	leaf.announce(1, 1, bittorrent.EventStarted, 100)
	leaf.announce(1, 2, bittorrent.EventStarted, 100)
	other.awaitPeers(1, 2)
	leaf.announce(1, 1, bittorrent.EventStopped, 100)
	other.awaitPeers(1, 1)
	hub.awaitPeers(1, 1)
}

func TestPeerThatExpiresWhereItAnnouncedIsGoneEverywhere(t *testing.T) {
	hub, leaf := newSite(t, "hub1").hub(), newSite(t, "leaf1")
	hub.life, leaf.life = 2*time.Second, 2*time.Second
	hub.start()
	leaf.start()
	leaf.join(hub, everything)
	leaf.announce(1, 1, bittorrent.EventStarted, 100)
	hub.awaitPeers(1, 1)
	eventually(t, "it expires", func() bool {
		n, err := leaf.store.Expire(context.Background(), time.Now().Add(-2*time.Second))
		return err == nil && n == 1
	})
	hub.awaitPeers(1, 0)
}

func TestCompletedDownloadsAddUpExactlyOnce(t *testing.T) {
	hub, leaf := two(t)
	const each = 200
	done := make(chan struct{}, 2)
	for i, s := range []*site{hub, leaf} {
		go func() {
			defer func() { done <- struct{}{} }()
			for n := range each {
				s.announce(1, 1000*i+n, bittorrent.EventStarted, 100)
				s.announce(1, 1000*i+n, bittorrent.EventCompleted, 0)
			}
		}()
	}
	<-done
	<-done
	for _, s := range []*site{hub, leaf} {
		eventually(t, s.name+" has counted", func() bool { return s.counts(1).Downloaded == 2*each })
	}
	hub.announce(1, 9999, bittorrent.EventCompleted, 0)
	eventually(t, "one more", func() bool { return leaf.counts(1).Downloaded == 2*each+1 && hub.counts(1).Downloaded == 2*each+1 })
}

func TestDownloadsFromBeforeThereWereLinksCount(t *testing.T) {
	hub, leaf := newSite(t, "hub1").hub().start(), newSite(t, "leaf1").start()
	leaf.announce(1, 1, bittorrent.EventCompleted, 0)
	leaf.announce(1, 2, bittorrent.EventCompleted, 0)
	hub.announce(1, 3, bittorrent.EventCompleted, 0)
	leaf.join(hub, everything)
	hub.awaitPeers(1, 3)
	eventually(t, "it is told", func() bool { return hub.counts(1).Downloaded == 3 && leaf.counts(1).Downloaded == 3 })
}

func TestRestartKeepsCountsAndPeersComeBack(t *testing.T) {
	for _, keep := range []bool{true, false} {
		t.Run(map[bool]string{true: "with its folder", false: "without the state"}[keep], func(t *testing.T) {
			hub, leaf := two(t)
			leaf.announce(1, 1, bittorrent.EventCompleted, 0)
			hub.announce(1, 2, bittorrent.EventCompleted, 0)
			hub.awaitPeers(1, 2)
			eventually(t, "both count", func() bool { return leaf.counts(1).Downloaded == 2 && hub.counts(1).Downloaded == 2 })
			leaf.stop()
			if !keep {
				removeState(t, leaf.dir)
			}
			leaf.start() // with an empty store
			leaf.awaitPeers(1, 2)
			leaf.announce(1, 3, bittorrent.EventCompleted, 0)
			for _, s := range []*site{hub, leaf} {
				eventually(t, s.name, func() bool { return s.counts(1).Downloaded == 3 })
			}
		})
	}
}

// TestKillLosesNoCountThatOthersWereTold puts the folder back as it was before anything was
// counted, as a kill leaves it.
func TestKillLosesNoCountThatOthersWereTold(t *testing.T) {
	hub, leaf := two(t)
	path := filepath.Join(leaf.dir, "state")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	leaf.announce(1, 1, bittorrent.EventCompleted, 0)
	hub.announce(1, 2, bittorrent.EventCompleted, 0)
	eventually(t, "both count", func() bool { return leaf.counts(1).Downloaded == 2 && hub.counts(1).Downloaded == 2 })
	leaf.stop()
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	leaf.start(func(s *memory.Store) { s.RestoreDownloaded(hash(1), 2) }) // as its journal had it
	leaf.announce(1, 3, bittorrent.EventCompleted, 0)
	for _, s := range []*site{hub, leaf} {
		eventually(t, s.name, func() bool { return s.counts(1).Downloaded == 3 })
	}
}

func TestLeafThatIsDroppedTakesItsPeersWithIt(t *testing.T) {
	hub, leaf, other := three(t)
	leaf.announce(1, 1, bittorrent.EventStarted, 100)
	hub.announce(1, 2, bittorrent.EventStarted, 100)
	other.awaitPeers(1, 2)
	if err := hub.links.Drop("leaf1"); err != nil {
		t.Fatal(err)
	}
	other.awaitPeers(1, 1)
	hub.awaitPeers(1, 1)
	leaf.await(link.Refused, link.RoleHub)
	if v := hub.links.Show(); len(v.Links) != 1 || v.Links[0].Name != "leaf2" {
		t.Errorf("%+v", v.Links)
	}
	if err := hub.links.Drop("leaf1"); !errors.Is(err, link.ErrUnknown) {
		t.Errorf("%v", err)
	}
}

func TestLeafThatLeavesForgetsWhatTheHubTold(t *testing.T) {
	hub, leaf := two(t)
	hub.announce(1, 1, bittorrent.EventStarted, 100)
	leaf.announce(1, 2, bittorrent.EventStarted, 100)
	leaf.awaitPeers(1, 2)
	if err := leaf.links.Drop("hub1"); err != nil {
		t.Fatal(err)
	}
	leaf.awaitPeers(1, 1)
	if v := leaf.links.Show(); len(v.Links) != 0 || v.Hub != "" {
		t.Errorf("%+v", v)
	}
	if err := leaf.links.Leave(); !errors.Is(err, link.ErrUnknown) {
		t.Errorf("%v", err)
	}
	if err := hub.links.Drop("leaf1"); err != nil {
		t.Fatal(err)
	}
	leaf.join(hub, everything)
	leaf.awaitPeers(1, 2)
}

func TestRightsLimitWhatCrosses(t *testing.T) {
	hub, leaf := newSite(t, "hub1").hub().start(), newSite(t, "leaf1").start()
	leaf.join(hub, carrier.Rights{Receive: true})
	leaf.announce(1, 1, bittorrent.EventStarted, 100)
	hub.announce(1, 2, bittorrent.EventStarted, 100)
	leaf.awaitPeers(1, 2)
	if n := len(hub.peers(1)); n != 1 {
		t.Errorf("the hub took %d peers of a leaf that only receives", n)
	}
	only := carrier.Rights{Receive: true, Send: true, Torrents: []string{hash(2).String()}, Peers: 1}
	if err := hub.links.SetRights("leaf1", only); err != nil {
		t.Fatal(err)
	}
	leaf.announce(2, 3, bittorrent.EventStarted, 100)
	hub.awaitPeers(2, 1)
	leaf.announce(2, 4, bittorrent.EventStarted, 100)
	eventually(t, "the second peer is capped", func() bool {
		v := hub.links.Show()
		return len(v.Links) == 1 && v.Links[0].Capped > 0
	})
	if len(hub.peers(1)) != 1 || len(hub.peers(2)) != 1 {
		t.Errorf("%d and %d peers", len(hub.peers(1)), len(hub.peers(2)))
	}
	if err := hub.links.SetRights("leaf1", carrier.Rights{}); !errors.Is(err, link.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

func TestLeafThatMayOnlyReceiveTakesBackWhatItTold(t *testing.T) {
	hub, leaf, other := three(t)
	leaf.announce(1, 1, bittorrent.EventStarted, 100)
	hub.announce(1, 2, bittorrent.EventStarted, 100)
	other.awaitPeers(1, 2)
	if err := hub.links.SetRights("leaf1", carrier.Rights{Receive: true}); err != nil {
		t.Fatal(err)
	}
	other.awaitPeers(1, 1)
	hub.awaitPeers(1, 1)
	eventually(t, "the hub says so", func() bool { return hub.log.has("a leaf may not tell of peers any more") })
	hub.announce(1, 3, bittorrent.EventStarted, 100)
	leaf.awaitPeers(1, 3)
	if err := hub.links.SetRights("leaf1", everything); err != nil {
		t.Fatal(err)
	}
	other.awaitPeers(1, 3)
	leaf.stop()
	if err := hub.links.SetRights("leaf1", carrier.Rights{Receive: true}); err != nil { // also while it is away
		t.Fatal(err)
	}
	other.awaitPeers(1, 2)
}

func TestResetLinkComesBackAndHeals(t *testing.T) {
	hub, leaf := two(t)
	began := hub.links.Show().Links[0].Totals.Heals
	if err := hub.links.Reset("leaf1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it heals", func() bool {
		all := hub.links.Show().Links
		return len(all) == 1 && all[0].Totals.Heals > began
	})
	if err := leaf.links.Reset("hub"); err != nil {
		t.Fatal(err)
	}
	leaf.announce(1, 1, bittorrent.EventStarted, 100)
	hub.awaitPeers(1, 1)
	if err := hub.links.Reset("nobody"); !errors.Is(err, link.ErrUnknown) {
		t.Errorf("%v", err)
	}
}

func TestInvitationsAreRefusedInWords(t *testing.T) {
	hub, leaf := newSite(t, "hub1").hub().start(), newSite(t, "leaf1").start()
	for name, want := range map[string]error{"": link.ErrInvalid, "hub": link.ErrInvalid, "a b": link.ErrInvalid} {
		if _, err := hub.links.Invite(name, everything, nil); !errors.Is(err, want) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := leaf.links.Invite("x", everything, nil); !errors.Is(err, link.ErrConflict) {
		t.Errorf("no hub: %v", err)
	}
	if _, err := hub.links.Invite("leaf1", everything, []string{"nowhere"}); !errors.Is(err, link.ErrInvalid) {
		t.Errorf("address: %v", err)
	}
	if err := leaf.links.Join(context.Background(), "nonsense"); !errors.Is(err, link.ErrInvalid) {
		t.Errorf("line: %v", err)
	}
	line, err := hub.links.Invite("leaf1", everything, nil)
	if err != nil {
		t.Fatal(err)
	}
	if v := hub.links.Show(); len(v.Invited) != 1 || v.Invited[0].Name != "leaf1" || len(v.Links) != 0 {
		t.Errorf("%+v", v)
	}
	if _, err := hub.links.Invite("leaf1", everything, nil); !errors.Is(err, link.ErrConflict) {
		t.Errorf("twice: %v", err)
	}
	if err := leaf.links.Join(context.Background(), line); err != nil {
		t.Fatal(err)
	}
	if err := leaf.links.Join(context.Background(), line); !errors.Is(err, link.ErrConflict) {
		t.Errorf("joined twice: %v", err)
	}
	leaf.await(link.Active, link.RoleHub)
	if _, err := newSite(t, "third").hub().start().joined(t, hub).links.Invite("hub1", everything, nil); !errors.Is(err, link.ErrConflict) {
		t.Errorf("a leaf with the name of the hub: %v", err)
	}
	if leaf.log.has(line) || hub.log.has(line) || hub.log.has("waggle-link-1") {
		t.Error("the line is in a log")
	}
}

func TestViewTellsOfBothEnds(t *testing.T) {
	hub := newSite(t, "hub1").hub().with(func(o *link.Options) { o.URLs = []string{"udp://hub.example:6969/announce"} }).start()
	leaf := newSite(t, "leaf1").with(func(o *link.Options) { o.URLs = []string{"udp://leaf.example:6969/announce"} }).start()
	leaf.join(hub, everything)
	for n := range 20 {
		leaf.announce(n, n, bittorrent.EventStarted, 100)
	}
	eventually(t, "the rates show", func() bool {
		l := hub.links.Show().Links[0]
		return l.Peers == 20 && l.Rates.ChangesIn > 0 && l.Rates.BytesIn > 0 && l.LastHeal != nil && l.State == link.Active
	})
	v := hub.links.Show()
	l := v.Links[0]
	if v.Relayed != 20 || v.Own != 0 || v.Torrents != 20 || l.Software != "waggle test" || l.Address == "" || l.Totals.ChangesIn != 20 {
		t.Errorf("%+v", v)
	}
	eventually(t, "the leaf says where clients reach it", func() bool {
		urls := hub.links.Show().Links[0].URLs
		return len(urls) == 1 && urls[0] == "udp://leaf.example:6969/announce"
	})
	eventually(t, "the leaf shows the lag", func() bool { return leaf.links.Show().Links[0].Lag > 0 })
	if v := leaf.links.Show(); v.Hub != "hub1" || v.Links[0].Name != "hub1" || v.Links[0].Role != link.RoleHub || !v.Links[0].Rights.Send {
		t.Errorf("%+v", v)
	}
}

func TestHubThatIsGoneShowsAsSplitAndIsFoundAgain(t *testing.T) {
	hub, leaf := two(t)
	port := hub.links.Show().Listening[0]
	leaf.announce(1, 1, bittorrent.EventStarted, 100)
	hub.awaitPeers(1, 1)
	hub.stop()
	leaf.await(link.Split, link.RoleHub)
	leaf.announce(1, 2, bittorrent.EventStarted, 100)
	hub.with(func(o *link.Options) { o.Listen = port }).start()
	hub.awaitPeers(1, 2)
}

func TestLeafThatCameBeforeTheHubStartedIsNoNewInvitation(t *testing.T) {
	hub, leaf := two(t)
	if _, err := hub.links.Invite("never", everything, nil); err != nil {
		t.Fatal(err)
	}
	leaf.stop()
	hub.stop()
	hub.start()
	v := hub.links.Show()
	if len(v.Links) != 1 || v.Links[0].Name != "leaf1" || v.Links[0].State != link.Connecting || len(v.Invited) != 1 || v.Invited[0].Name != "never" {
		t.Errorf("%+v", v)
	}
}

func TestLinksThatCannotOpenSayWhy(t *testing.T) {
	taken := newSite(t, "taken").hub().start().links.Show().Listening[0]
	options := func() link.Options {
		s := newSite(t, "x")
		store := memory.New(memory.Options{})
		t.Cleanup(func() { _ = store.Close() })
		return link.Options{
			Intake: link.NewIntake(time.Hour), Store: memory.Shown{Store: store}, Name: "x", Directory: s.dir,
			Tracker: tracker.New(store, tracker.Settings{PeerLifetime: time.Hour}, tracker.Options{}),
		}
	}
	for want, change := range map[string]func(*link.Options){
		"link.listen":           func(o *link.Options) { o.Listen = taken },
		"link.name":             func(o *link.Options) { o.Name = "a b" },
		"link.addresses":        func(o *link.Options) { o.Addresses = []string{"nowhere"} },
		"link.nats exclude":     func(o *link.Options) { o.Listen, o.Outside = ":0", &carrier.Outside{} },
		"hub.json is damaged":   func(o *link.Options) { damage(t, o.Directory, "hub.json") },
		"leaves.json is damage": func(o *link.Options) { damage(t, o.Directory, "leaves.json") },
	} {
		o := options()
		change(&o)
		if _, err := link.Open(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func damage(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
}
