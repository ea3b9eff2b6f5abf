package shared_test

import (
	"context"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/store/shared"
	"waggle/swarm"
)

func (c *cluster) tend(tracker int) int {
	c.t.Helper()
	n, err := c.trackers[tracker].Tend(context.Background(), c.clock(), 0)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

func TestSilentPeersAreTendedAndReplacedOnce(t *testing.T) {
	c := newCluster(t, 2, "strict", "rack")
	origin, one, two := seeder(100, "r0"), leecher(1, "r1"), leecher(2, "r1")
	for n := range 2 {
		c.do(n, origin)
	}
	c.do(0, one)
	c.do(1, two)
	for range 45 { // the longest patience before the second announce is 600 s
		c.pass(15 * time.Second)
		c.do(0, origin)
		c.do(1, two)
	}
	c.interrupt(2, func() { c.tend(1) }) // when tracker 0 is about to remove one
	if n := c.tend(0); n != 0 {
		t.Errorf("a peer that another tracker tended is counted %d times", n)
	}
	if all := c.truthOf(t); len(all) != 2 || all[two.addr].Reach != 1 || c.host.has(one.addr) {
		t.Errorf("the members are%s", dump(all))
	}
	if n := c.tend(0) + c.tend(1); n != 0 {
		t.Errorf("%d more", n)
	}
}

func TestPeerThatAnotherTrackerHearsIsNotSilent(t *testing.T) {
	c := newCluster(t, 2, "strict", "rack")
	origin, one := seeder(100, "r0"), leecher(1, "r1")
	c.do(0, origin)
	c.do(0, one)
	for range 45 {
		c.pass(15 * time.Second)
		c.do(1, origin)
		c.do(1, one)
	}
	c.do(0, origin) // so that tracker 0 tends the torrent
	if n := c.tend(0); n != 0 || len(c.truthOf(t)) != 2 {
		t.Errorf("%d were forgotten", n)
	}
}

func TestPeerThatTheStoreHeardOfIsKept(t *testing.T) {
	c := newCluster(t, 2, "strict", "rack")
	origin, one := seeder(100, "r0"), leecher(1, "r1")
	c.do(0, origin)
	c.do(0, one)
	c.pass(601 * time.Second)
	c.host.record(c.announceOf(one)) // and the tracker that heard it died
	c.do(0, origin)
	if n := c.tend(0); n != 0 || !c.host.has(one.addr) || len(c.truthOf(t)) != 2 {
		t.Errorf("%d were forgotten", n)
	}
	before := c.trackers[0].Figures()
	if c.tend(0); c.trackers[0].Figures().Steps != before.Steps {
		t.Error("one that is alive is asked for again")
	}
}

func TestTendingAsksForNothingWhereNobodyIsSilent(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	origin, one := seeder(100, "r0"), leecher(1, "r1")
	for range 5 {
		c.do(0, origin)
		c.do(0, one)
		before := c.trackers[0].Figures()
		c.pass(time.Second)
		c.tend(0)
		c.pass(14 * time.Second)
		c.tend(0)
		if after := c.trackers[0].Figures(); after.Steps != before.Steps {
			t.Fatalf("%d steps", after.Steps-before.Steps)
		}
	}
}

func TestIdleReplicaIsForgottenAndLoadedAgain(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	origin, one := seeder(100, "r0"), leecher(1, "r1")
	c.do(0, origin)
	c.do(0, one)
	want := c.truthOf(t)
	c.pass(11 * time.Minute)
	c.tend(0)
	if f := c.trackers[0].Figures(); f.Replicas != 0 || f.Members != 0 {
		t.Errorf("%+v", f)
	}
	c.do(0, one)
	if got := c.truthOf(t); !alike(got, want) {
		t.Errorf("from%s\nto%s", dump(want), dump(got))
	}
}

func TestProbeThatSucceedsIsToldToOthers(t *testing.T) {
	c := newCluster(t, 2, "strict", "rack")
	origin, one, two := seeder(100, "r0"), leecher(1, "r1"), leecher(2, "r1")
	for _, p := range []*peer{origin, one, two} {
		c.do(0, p)
	}
	probe := roster.Probe{InfoHash: torrent, Addr: one.addr}
	probes, err := c.trackers[0].Probable(t.Context())
	if err != nil || !slices.Contains(probes, probe) {
		t.Fatalf("%v is not among %v, %v", probe, probes, err)
	}
	c.probed(0, probe, true, false)
	c.tend(0)
	if !c.truthOf(t)[one.addr].Probed {
		t.Error("nobody else knows")
	}
	c.do(1, two)
	c.probed(1, probe, false, false)
	c.probed(1, probe, false, true) // it could be connected to by tracker 0
	if all := c.truthOf(t); all[two.addr].Reach != 1 || len(all) != 2 || c.host.has(one.addr) {
		t.Errorf("the members are%s", dump(all))
	}
}

func (c *cluster) probed(tracker int, p roster.Probe, ok, want bool) {
	c.t.Helper()
	dead, err := c.trackers[tracker].Probed(context.Background(), p, ok)
	if err != nil || dead != want {
		c.t.Fatalf("dead %v, %v; want %v", dead, err, want)
	}
}

func TestDeadPeerThatAnnouncedElsewhereLives(t *testing.T) {
	c := newCluster(t, 2, "strict", "rack")
	origin, one := seeder(100, "r0"), leecher(1, "r1")
	c.do(0, origin)
	c.do(0, one)
	probe := roster.Probe{InfoHash: torrent, Addr: one.addr}
	c.probed(0, probe, true, false)
	c.probed(0, probe, false, false)
	c.pass(time.Second)
	c.do(1, one)
	c.probed(0, probe, false, false)
	if !c.host.has(one.addr) {
		t.Error("it was dropped")
	}
}

func TestPeersThatTheStoreForgotAreReplaced(t *testing.T) {
	c := newCluster(t, 2, "strict", "rack")
	origin, one, two := seeder(100, "r0"), leecher(1, "r1"), leecher(2, "r1")
	for _, p := range []*peer{origin, one, two} {
		c.do(0, p)
	}
	gone := c.announceOf(one)
	gone.Event = bittorrent.EventStopped
	c.host.record(gone)
	if err := c.trackers[1].Remove(t.Context(), torrent, []netip.AddrPort{one.addr, leecher(9, "r1").addr}, c.clock().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	c.do(1, two)
	if all := c.truthOf(t); len(all) != 2 || all[two.addr].Reach != 1 {
		t.Errorf("the members are%s", dump(all))
	}
}

// TestPeerThatComesBackWhileItExpiresKeepsItsRole lets a peer announce between the store's
// forgetting it and what follows.
func TestPeerThatComesBackWhileItExpiresKeepsItsRole(t *testing.T) {
	c := newCluster(t, 2, "strict", "rack")
	c.do(0, seeder(100, "r0"))
	back := leecher(1, "r1")
	c.do(0, back)
	before := c.clock().Add(time.Second)
	c.pass(time.Hour)
	c.do(1, back)
	if err := c.trackers[0].Remove(t.Context(), torrent, []netip.AddrPort{back.addr, leecher(9, "r1").addr}, before); err != nil {
		t.Fatal(err)
	}
	if all := c.truthOf(t); len(all) != 2 || all[back.addr].Reach != 1 {
		t.Errorf("the members are%s", dump(all))
	}
}

func TestPolicyOfATorrentIsItsOwn(t *testing.T) {
	c := newCluster(t, 1, "strict", "row", "rack")
	c.do(0, seeder(100, "b/r0"))
	for n, path := range []string{"a/r1", "a/r1", "a/r2", "a/r3"} {
		c.do(0, leecher(n, path))
	}
	other := c.announceOf(leecher(50, "a/r1"))
	policy, err := swarm.NewPolicy("parity", 15*time.Second, 300*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	other.InfoHash, other.Policy = bittorrent.InfoHash{9}, &policy
	if _, err := c.try(c.trackers[0], other); err != nil {
		t.Fatal(err)
	}
	gone := leecher(0, "").addr
	c.host.forget(gone)
	if err := c.trackers[0].Remove(t.Context(), torrent, []netip.AddrPort{gone}, c.clock().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if all := c.truthOf(t); len(summarise(all, c.at("a/r1").Up()).importers) != 1 {
		t.Errorf("a row has not one importer:%s", dump(all))
	}
}

func TestTorrentWhoseLocatedPeersAreGoneLeavesNoValues(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	stranger, one := seeder(100, ""), leecher(1, "r1")
	c.do(0, stranger)
	if got := c.do(0, one); !slices.Equal(got, []netip.AddrPort{stranger.addr}) {
		t.Fatalf("told of %v", got)
	}
	c.do(0, stranger)
	c.stop(0, one)
	announced, records := c.m.Values(torrent)
	if len(announced)+len(records) > 0 {
		t.Errorf("%v and %v are left", announced, records)
	}
	// The stop is answered before the replica goes.
	for began := time.Now(); c.trackers[0].Figures().Replicas != 0; runtime.Gosched() {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%+v", c.trackers[0].Figures())
		}
	}
}

func TestBudgetCountsWhatOtherTrackersGave(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	budget := roster.NewBudget(1)
	s := c.trackerWith(shared.Options{Budget: budget})
	for n := range 3 {
		a := c.announceOf(leecher(n, "r1"))
		a.InfoHash[0] = byte(n)
		if _, err := c.try(c.trackers[0], a); err != nil {
			t.Fatal(err)
		}
		if _, err := c.try(s, a); err != nil {
			t.Fatal(err)
		}
	}
	if n := budget.Used(c.at("r1")); n != 3 {
		t.Errorf("%d of the budget are used by three torrents", n)
	}
	a := c.announceOf(leecher(9, "r1"))
	a.InfoHash[0] = 9
	if _, err := c.try(s, a); err != nil {
		t.Fatal(err)
	}
	if n := budget.Used(c.at("r1")); n != 3 {
		t.Errorf("an importer was given beyond the budget")
	}
	_ = s.Close()
	if n := budget.Used(c.at("r1")); n != 0 {
		t.Errorf("%d of the budget are used by nobody", n)
	}
}
