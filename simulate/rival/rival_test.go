package rival_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/roster"
	"waggle/simulate/rival"
	"waggle/store/storetest"
	"waggle/swarm"
)

var hash = bittorrent.InfoHash{7}

func racks(t *testing.T, n int) (groups []*locality.Group) {
	t.Helper()
	tree, err := locality.NewTree(n, "rack")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		g, err := tree.Group(fmt.Sprintf("r%d", i))
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, g)
	}
	return groups
}

// host is the announce of a leecher of a rack.
func host(rack *locality.Group, n int) *swarm.Announce {
	return &swarm.Announce{
		AnnounceRequest: bittorrent.AnnounceRequest{
			InfoHash: hash, PeerID: bittorrent.PeerID{byte(n >> 8), byte(n), 1}, Port: 6881, Left: 1, NumWant: 50,
		},
		From: netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), Now: time.Unix(1000, 0),
		Families: swarm.IPv4, Location: rack,
	}
}

func done(a *swarm.Announce) *swarm.Announce {
	a.Left, a.Event = 0, bittorrent.EventCompleted
	return a
}

// told returns whom the store tells the announcing peer of, in order, by their
// numbers.
func told(t *testing.T, s swarm.Store, a *swarm.Announce) (numbers []int) {
	t.Helper()
	var r swarm.Reply
	if err := s.Announce(context.Background(), a, &r); err != nil {
		t.Fatal(err)
	}
	for addr := range r.Peers.All() {
		ip := addr.Addr().As4()
		numbers = append(numbers, int(ip[2])<<8|int(ip[3]))
	}
	slices.Sort(numbers)
	return numbers
}

func want(t *testing.T, got []int, numbers ...int) {
	t.Helper()
	if !slices.Equal(got, numbers) {
		t.Errorf("told of %v, want %v", got, numbers)
	}
}

func TestRandomConformsAndKnowsNoLocations(t *testing.T) {
	storetest.Run(t, func(*testing.T) swarm.Store { return rival.Random([2]uint64{1, 2}) })
	s := rival.Random([2]uint64{})
	g := racks(t, 2)
	told(t, s, host(g[0], 1))
	want(t, told(t, s, host(g[1], 2)), 1)
	if _, ok := s.(roster.Store); ok {
		t.Error("it has rosters: others would think that it knows locations")
	}
}

func TestSubnetFirstFillsUpWithOthersOnceTheRackIsTold(t *testing.T) {
	s := rival.SubnetFirst([2]uint64{})
	g := racks(t, 2)
	for n := range 4 {
		told(t, s, host(g[0], n))
		told(t, s, host(g[1], 10+n))
	}
	a := host(g[0], 0)
	a.NumWant = 3
	want(t, told(t, s, a), 1, 2, 3)
	a.NumWant = 5
	if got := told(t, s, a); len(got) != 5 || !slices.Equal(got[:3], []int{1, 2, 3}) || got[3] < 10 {
		t.Errorf("told of %v, want 1, 2, 3 and two of the other rack", got)
	}
	a.NumWant = 50
	want(t, told(t, s, a), 1, 2, 3, 10, 11, 12, 13)
}

func TestSubnetFirstForgetsWhoStopsOrFallsSilent(t *testing.T) {
	s := rival.SubnetFirst([2]uint64{})
	g := racks(t, 1)
	for n := range 4 {
		told(t, s, host(g[0], n))
	}
	stop := host(g[0], 1)
	stop.Event = bittorrent.EventStopped
	told(t, s, stop)
	late := host(g[0], 2)
	late.Now = time.Unix(2000, 0)
	want(t, told(t, s, late), 0, 3)
	if n, err := s.Expire(context.Background(), time.Unix(1500, 0)); n != 2 || err != nil {
		t.Errorf("Expire: %d, %v, want 2", n, err)
	}
	want(t, told(t, s, host(g[0], 9)), 2)
}

func TestRivalsTellSeedersOfNoSeedersAndNobodyOfItself(t *testing.T) {
	g := racks(t, 1)
	for name, open := range openers {
		s := open([2]uint64{})
		for n := range 3 {
			told(t, s, host(g[0], n))
		}
		told(t, s, done(host(g[0], 1)))
		t.Log(name)
		want(t, told(t, s, done(host(g[0], 0))), 2)
		want(t, told(t, s, host(g[0], 2)), 0, 1)
	}
}

func TestP2PTrackerTellsRepresentativesAloneOfOtherRacks(t *testing.T) {
	s := rival.P2PTracker([2]uint64{})
	g := racks(t, 3)
	for n := range 4 {
		for i := range g {
			told(t, s, host(g[i], 10*i+n))
		}
	}
	// 0, 1, 10, 11, 20, 21 are representatives.
	want(t, told(t, s, host(g[0], 3)), 0, 1, 2)
	want(t, told(t, s, host(g[0], 1)), 0, 2, 3, 10, 11, 20, 21)
	told(t, s, done(host(g[1], 13)))
	want(t, told(t, s, host(g[0], 1)), 0, 2, 3, 10, 11, 13, 20, 21)
	want(t, told(t, s, host(g[0], 3)), 0, 1, 2)
	want(t, told(t, s, done(host(g[1], 10))), 0, 1, 11, 12, 20, 21)
}

func TestP2PTrackerBoundsRepresentativesButNotRackMatesOrSeeders(t *testing.T) {
	s := rival.P2PTracker([2]uint64{})
	g := racks(t, 40)
	for i := range g {
		for n := range 2 {
			told(t, s, host(g[i], 2*i+n))
		}
	}
	// Its rack has two, so there is room for 33 representatives, its rack's among them.
	if got := told(t, s, host(g[0], 0)); len(got) < 32 || len(got) > 34 {
		t.Errorf("a representative is told of %d, want its rack and what is left of %d", len(got), rival.MaxPeers)
	}
	for i := range g[1:] {
		told(t, s, done(host(g[i+1], 2*i+2)))
	}
	few := host(g[0], 0)
	few.NumWant = 1
	if got := told(t, s, few); len(got) != 40 {
		t.Errorf("a representative is told of %d, want its rack-mate and all 39 seeders", len(got))
	}
	few.Room = 5
	if got := told(t, s, few); len(got) != 5 {
		t.Errorf("an answer with room for 5 has %d peers", len(got))
	}
}

func TestP2PTrackerKeepsADeadRepresentative(t *testing.T) {
	s := rival.P2PTracker([2]uint64{})
	g := racks(t, 2)
	for n := range 3 {
		told(t, s, host(g[0], n))
		told(t, s, host(g[1], 10+n))
	}
	for n := range 2 {
		stop := host(g[0], n)
		stop.Event = bittorrent.EventStopped
		told(t, s, stop)
	}
	if n, err := s.Expire(context.Background(), time.Unix(99999, 0)); n != 0 || err != nil {
		t.Errorf("Expire: %d, %v, want that it forgets nobody", n, err)
	}
	want(t, told(t, s, host(g[0], 2)), 0, 1)
}

var openers = map[string]func([2]uint64) swarm.Store{
	"random": rival.Random, "subnet first": rival.SubnetFirst, "p2ptracker": rival.P2PTracker,
}

func TestRivalsAnswerTheSameForTheSameSeed(t *testing.T) {
	g := racks(t, 9)
	for name, open := range openers {
		history := func() (all []byte) {
			s := open([2]uint64{3, 4})
			for n := range 500 {
				var r swarm.Reply
				a := host(g[n%9], n%100)
				if n%11 == 0 {
					a = done(a)
				}
				if err := s.Announce(context.Background(), a, &r); err != nil {
					t.Fatal(err)
				}
				all = append(all, r.Peers.V4...)
			}
			return all
		}
		if !slices.Equal(history(), history()) {
			t.Errorf("%s answers the same announces otherwise", name)
		}
	}
}

func TestRivalsCountAndTakeAnnouncesAtTheSameTime(t *testing.T) {
	g := racks(t, 4)
	for name, open := range openers {
		s := open([2]uint64{})
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for n := range 100 {
					var r swarm.Reply
					a := host(g[i], 100*i+n)
					if n < 10 {
						a = done(a)
					}
					if err := s.Announce(context.Background(), a, &r); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		var counts [1]bittorrent.ScrapeCounts
		if err := s.Scrape(context.Background(), []bittorrent.InfoHash{hash}, counts[:]); err != nil {
			t.Fatal(err)
		}
		if wanted := (bittorrent.ScrapeCounts{Complete: 40, Incomplete: 360, Downloaded: 40, Downloaders: 360}); counts[0] != wanted {
			t.Errorf("%s: scrape says %+v, want %+v", name, counts[0], wanted)
		}
		for snapshot, err := range s.Swarms(context.Background()) {
			if err != nil || len(snapshot.Peers) != 400 {
				t.Errorf("%s: Swarms yields %d peers, %v, want 400", name, len(snapshot.Peers), err)
			}
		}
		if n, err := s.Totals(context.Background()); err != nil || n != (swarm.Totals{Torrents: 1, Peers: 400, Seeders: 40}) {
			t.Errorf("%s: Totals says %+v, %v", name, n, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
