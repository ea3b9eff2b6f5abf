package shared_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/shared"
	"waggle/swarm"
)

func TestTrackersOnOneMapActAsOne(t *testing.T) {
	c := newCluster(t, 2, "strict", "rack")
	origin, one, two := seeder(100, "r0"), leecher(1, "r1"), leecher(2, "r1")
	c.do(0, origin)
	c.do(0, one)
	c.do(1, two)
	if got := c.do(0, one); !slices.Contains(got, two.addr) || !slices.Contains(got, origin.addr) {
		t.Errorf("the importer is told of %v", got)
	}
	if got := c.do(1, two); !slices.Equal(got, []netip.AddrPort{one.addr}) {
		t.Errorf("its neighbour is told of %v", got)
	}
	if got := c.do(1, origin); !slices.Equal(got, []netip.AddrPort{one.addr}) {
		t.Errorf("the origin is told of %v", got)
	}
	for n := range c.trackers {
		if p := c.place(n, "r1"); !slices.Equal(p.Importers, []netip.AddrPort{one.addr}) || p.Starving {
			t.Errorf("tracker %d: %+v", n, p)
		}
	}
	c.stop(1, one)
	if p := c.place(0, "r1"); !slices.Equal(p.Importers, []netip.AddrPort{two.addr}) || p.Leechers != 1 {
		t.Errorf("%+v", p)
	}
}

func TestAnnounceOfAPeerWhoseRoleStaysTakesOneStep(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	c.do(0, seeder(100, "r0"))
	for n := range 5 {
		c.do(0, leecher(n, "r1"))
	}
	for n := range 20 {
		before := c.trackers[0].Figures()
		c.do(0, leecher(10+n, "r1"))
		c.do(0, leecher(3, "r1"))
		if after := c.trackers[0].Figures(); after.Steps != before.Steps+2 || after.Commits != before.Commits {
			t.Fatalf("two announces took %d steps and %d commits", after.Steps-before.Steps, after.Commits-before.Commits)
		}
	}
}

// interrupt lets something happen before a step of the Map that is due, once.
func (c *cluster) interrupt(step int, with func()) {
	n := 0
	c.m.Before = func(context.Context, *shared.Update) error {
		if n++; n == step {
			c.m.Before = nil
			with()
		}
		return nil
	}
}

func TestTwoTrackersThatDecideAtOnceGiveARoleOnce(t *testing.T) {
	c := newCluster(t, 2, "strict", "rack")
	c.do(0, seeder(100, "r0"))
	c.do(1, seeder(100, "r0"))
	one, two := leecher(1, "r1"), leecher(2, "r1")
	c.interrupt(2, func() { c.do(1, two) }) // when tracker 0 is about to make one the importer
	if got := c.do(0, one); !slices.Equal(got, []netip.AddrPort{two.addr}) {
		t.Errorf("who was later is told of %v", got)
	}
	if p := c.place(0, "r1"); !slices.Equal(p.Importers, []netip.AddrPort{two.addr}) || p.Leases != 1 || p.Leechers != 2 {
		t.Errorf("%+v", p)
	}
	if f := c.trackers[0].Figures(); f.Conflicts != 1 {
		t.Errorf("%+v", f)
	}
}

func TestDecisionThatOthersAlwaysOutrunIsBusyAndMendedLater(t *testing.T) {
	c := newCluster(t, 2, "strict", "rack")
	c.do(0, seeder(1000, "r0"))
	c.do(1, seeder(1000, "r0"))
	next := 0
	c.m.Before = func(_ context.Context, u *shared.Update) error {
		if len(u.Commit) == 0 || u.Commit[0].Peer.Port() != 6881 {
			return nil
		}
		before := c.m.Before
		c.m.Before = nil
		next++
		c.do(1, leecher(next, fmt.Sprintf("r%d", next)))
		c.m.Before = before
		return nil
	}
	late := leecher(500, "r500")
	if _, err := c.try(c.trackers[0], c.announceOf(late)); !errors.Is(err, swarm.ErrBusy) {
		t.Fatalf("%v", err)
	}
	c.m.Before = nil
	if f := c.trackers[0].Figures(); f.Lost != 1 || f.Conflicts != 8 {
		t.Errorf("%+v", f)
	}
	c.do(0, late)
	if p := c.place(1, "r500"); len(p.Importers) != 1 || p.Starving {
		t.Errorf("%+v", p)
	}
}

func TestTrackerThatDiesBetweenBothStepsLeavesWhatTheNextAnnounceMends(t *testing.T) {
	c := newCluster(t, 2, "strict", "rack")
	c.do(0, seeder(100, "r0"))
	one, two := leecher(1, "r1"), leecher(2, "r1")
	c.do(0, one)
	c.do(0, two)
	one.get(fileSize)
	c.m.Before = func(_ context.Context, u *shared.Update) error {
		if len(u.Commit) > 0 {
			return errServer
		}
		return nil
	}
	if _, err := c.try(c.trackers[0], c.announceOf(one)); !errors.Is(err, errServer) {
		t.Fatal(err)
	}
	c.m.Before = nil
	if p := c.place(1, "r1"); p.Leechers != 2 || !slices.Equal(p.Importers, []netip.AddrPort{one.addr}) {
		t.Errorf("before it announces again: %+v", p)
	}
	c.do(1, one)
	if p := c.place(0, "r1"); p.Leechers != 1 || p.Seeders != 1 || len(p.Importers) != 0 || !slices.Equal(p.Exporters, []netip.AddrPort{one.addr}) {
		t.Errorf("after: %+v", p)
	}
}

func TestLostAnswerIsFoundWritten(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	c.do(0, seeder(100, "r0"))
	one := leecher(1, "r1")
	c.m.After = func(_ context.Context, u *shared.Update, _ *shared.Answer) error {
		if len(u.Commit) > 0 {
			return errServer
		}
		return nil
	}
	if _, err := c.try(c.trackers[0], c.announceOf(one)); !errors.Is(err, errServer) {
		t.Fatal(err)
	}
	c.m.After = nil
	before := c.trackers[0].Figures()
	c.do(0, one)
	if after := c.trackers[0].Figures(); after.Commits != before.Commits || after.Loads != before.Loads+1 {
		t.Errorf("from %+v to %+v", before, after)
	}
	if p := c.place(0, "r1"); !slices.Equal(p.Importers, []netip.AddrPort{one.addr}) || p.Leases != 1 {
		t.Errorf("%+v", p)
	}
}

// TestReplicaThatIsLoadedAgainDecidesAlike compares a tracker that keeps its replica
// with trackers that know nothing, one for each announce.
func TestReplicaThatIsLoadedAgainDecidesAlike(t *testing.T) {
	keeps, forgets := newCluster(t, 1, "balanced", "row", "rack"), newCluster(t, 1, "balanced", "row", "rack")
	forgets.tree = keeps.tree
	var peers [2][]*peer
	for i := range peers {
		peers[i] = append(peers[i], seeder(1000, "a/r0"))
		for n := range 40 {
			peers[i] = append(peers[i], leecher(n, fmt.Sprintf("%c/r%d", 'a'+n%2, n%5)))
		}
	}
	for round := range 4 {
		for n := range peers[0] {
			for i, c := range [...]*cluster{keeps, forgets} {
				p := peers[i][n]
				c.pass(time.Millisecond)
				if p.get(int64(round * n * 10)); i == 1 {
					_ = c.trackers[0].Close()
					c.trackers[0] = c.tracker()
				}
				if round == 2 && n%7 == 3 {
					c.stop(0, p)
				} else {
					c.do(0, p)
				}
			}
			if a, b := keeps.truthOf(t), forgets.truthOf(t); !alike(a, b) {
				t.Fatalf("round %d, peer %d: one that keeps its replica comes to%s\n others%s", round, n, dump(a), dump(b))
			}
		}
	}
}

func TestManyAnnouncesToManyTrackersLoseNobody(t *testing.T) {
	c := newCluster(t, 4, "strict", "row", "rack")
	c.do(0, seeder(5000, "a/r0"))
	var all sync.WaitGroup
	var busy atomic.Int64
	const each = 8
	for w := range 64 {
		all.Go(func() {
			for n := range each {
				p := leecher(w*each+n, fmt.Sprintf("%c/r%d", 'a'+n%3, w%10))
				for _, tracker := range []int{w % 4, (w + 1) % 4} {
					a := c.announceOf(p)
					_, err := c.try(c.trackers[tracker], a)
					for ; errors.Is(err, swarm.ErrBusy); _, err = c.try(c.trackers[tracker], a) {
						busy.Add(1)
					}
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	truth := c.truthOf(t)
	if len(truth) != 64*each+1 {
		t.Errorf("%d members", len(truth))
	}
	for g := range 30 {
		place := c.at(fmt.Sprintf("%c/r%d", 'a'+g%3, g/3))
		if s := summarise(truth, place); s.complete == 0 && s.incomplete > 0 && (len(s.importers) != 1 || !s.reaches) {
			t.Errorf("%s has the importers %v, and sources lead to a seeder: %v", place.Path(), s.importers, s.reaches)
		}
	}
	for n, s := range c.trackers {
		if has := members(t, s); !alike(has, truth) {
			t.Errorf("tracker %d has%s\n and the Map%s", n, dump(has), dump(truth))
		}
	}
	t.Logf("%d times busy; %+v", busy.Load(), c.trackers[0].Figures())
}

func TestFirstAnnouncesOfARollOutNeedFewCommits(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	c.do(0, seeder(5000, "r0"))
	for n := range 2000 {
		c.do(0, leecher(n, fmt.Sprintf("r%d", 1+n%20)))
	}
	if f := c.trackers[0].Figures(); f.Commits > 60 || f.Steps > 2000+80 { // an importer and one on standby a rack
		t.Errorf("%+v", f)
	}
}

func TestReplicasInMemoryAreBounded(t *testing.T) {
	c := newCluster(t, 0, "strict", "rack")
	s := c.trackerWith(shared.Options{MaxReplicas: 3, MaxMembers: 20})
	announce := func(torrent byte, n int) *swarm.Reply {
		a := c.announceOf(leecher(n, "r1"))
		a.InfoHash = bittorrent.InfoHash{torrent}
		r, err := c.try(s, a)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for torrent := range byte(10) {
		for n := range 2 {
			announce(torrent, n)
		}
		if f := s.Figures(); f.Replicas > 3 || f.Members > 6 {
			t.Fatalf("%+v", f)
		}
	}
	for n := range 20 {
		announce(0, n)
		if f := s.Figures(); f.Members > 20 {
			t.Fatalf("%+v", f)
		}
	}
	if r := announce(0, 30); r.Warning == "" || r.Peers.Len() > 0 {
		t.Errorf("one more located peer than there may be is answered %+v", r)
	}
	if r := announce(0, 3); r.Warning != "" || r.Peers.Len() == 0 {
		t.Errorf("one that is known is answered %+v", r)
	}
}

// TestBusyMapIsNotAskedForAllAgain is of an overload, which must not grow by itself.
func TestBusyMapIsNotAskedForAllAgain(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	c.do(0, seeder(100, "r0"))
	before := c.trackers[0].Figures()
	c.m.Before = func(context.Context, *shared.Update) error { return swarm.ErrBusy }
	for n := range 5 {
		if _, err := c.try(c.trackers[0], c.announceOf(leecher(n, "r1"))); !errors.Is(err, swarm.ErrBusy) {
			t.Fatal(err)
		}
	}
	c.m.Before = nil
	c.do(0, leecher(1, "r1"))
	if after := c.trackers[0].Figures(); after.Loads != before.Loads {
		t.Errorf("from %+v to %+v", before, after)
	}
}

// TestLitterBeyondACommitIsRemovedFirst is of very many importers that left while no
// tracker that heard of it could commit.
func TestLitterBeyondACommitIsRemovedFirst(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	var gone [2][]shared.Entry
	for n := range 900 {
		p := leecher(n, fmt.Sprintf("r%d", n))
		c.do(0, p)
		gone[n%2] = append(gone[n%2], shared.Entry{Peer: p.addr})
	}
	for _, some := range gone {
		if err := c.m.Update(t.Context(), &shared.Update{InfoHash: torrent, Announced: some}, &shared.Answer{}); err != nil {
			t.Fatal(err)
		}
	}
	clear(c.host.peers)
	c.do(0, leecher(5000, "r1"))
	announced, records := c.m.Values(torrent)
	if all := c.truthOf(t); len(all) != 1 || len(announced) != 1 || len(records) != 1 || all[leecher(5000, "r1").addr].Reach != 1 {
		t.Errorf("%d announced values and %d records are left:%s", len(announced), len(records), dump(all))
	}
}

func TestClosedReplicasRefuse(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	c.do(0, leecher(1, "r1"))
	_ = c.trackers[0].Close()
	if _, err := c.try(c.trackers[0], c.announceOf(leecher(2, "r1"))); err == nil {
		t.Error("a closed store takes announces")
	}
}
