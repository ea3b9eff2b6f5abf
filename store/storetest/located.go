package storetest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/roster"
	"waggle/swarm"
)

// located are behaviours of stores that are a [roster.Store] too. That roles are
// given as they should package roster proves; here is shown that a store does as a
// roster says.
var located = []behaviour{
	{"LocatedPeersAreToldOfTheirRackAndImportersOfTheirSource", rackAndSource},
	{"ImporterThatLeavesIsReplaced", importerLeaves},
	{"SilentLocatedPeersAreTended", silentLocated},
	{"LocatedPeerThatIsDeadByProbesIsGone", deadByProbes},
	{"LocatedPeerThatMovesLeavesItsRack", locatedMoves},
	{"TorrentWithoutLocatedPeersHasNoPlaces", noPlaces},
	{"MembersAreLocatedPeersWithTheirRolesAndLeases", members},
	{"UnlocatedAndLocatedPeersAreOneSwarm", unlocatedToo},
	{"TorrentThatIsEmptyForgetsItsPlaces", emptyForgets},
}

// RunLocated runs what stores must do that are a [roster.Store] too.
func RunLocated(t *testing.T, open Open) { runEach(t, open, located) }

// world is the locations of these behaviours.
type world struct {
	store  roster.Store
	swarm  swarm.Store
	tree   *locality.Tree
	policy swarm.Policy
}

func newWorld(t *testing.T, s swarm.Store) *world {
	t.Helper()
	w := &world{swarm: s}
	var is bool
	if w.store, is = s.(roster.Store); !is {
		t.Fatalf("%T is no roster.Store", s)
	}
	var err error
	if w.tree, err = locality.NewTree(100, "rack"); err != nil {
		t.Fatal(err)
	}
	if w.policy, err = swarm.NewPolicy("strict", 15*time.Second, 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	return w
}

// at locates an announce in a rack.
func (w *world) at(rack int, a *swarm.Announce) *swarm.Announce {
	g, err := w.tree.Group(fmt.Sprintf("r%d", rack))
	if err != nil {
		panic(err)
	}
	a.Location, a.Policy = g, &w.policy
	return a
}

// nowhere makes an announce one of a peer whose location no source knows.
func (w *world) nowhere(a *swarm.Announce) *swarm.Announce {
	a.Policy = &w.policy
	return a
}

// begin lets an origin announce in rack 0, and hosts 1 to n in rack 1.
func (w *world) begin(t *testing.T, n int) (origin *swarm.Announce, hosts []*swarm.Announce) {
	t.Helper()
	origin = w.at(0, seeder(hash(1), 100))
	do(t, w.swarm, origin)
	for i := range n {
		hosts = append(hosts, w.at(1, announce(hash(1), i+1)))
		do(t, w.swarm, hosts[i])
	}
	return origin, hosts
}

func (w *world) place(t *testing.T, path string) roster.Place {
	t.Helper()
	places, err := w.store.Places(t.Context(), hash(1))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(places, func(p roster.Place) bool { return p.Group.Path() == path })
	if i < 0 {
		t.Fatalf("%s is not among %+v", path, places)
	}
	return places[i]
}

func rackAndSource(t *testing.T, s swarm.Store) {
	w := newWorld(t, s)
	origin, hosts := w.begin(t, 3)
	wantAddrs(t, do(t, s, hosts[0]), origin, hosts[1], hosts[2])
	wantAddrs(t, do(t, s, hosts[1]), hosts[0], hosts[2])
	wantAddrs(t, do(t, s, origin), hosts[0])
	if p := w.place(t, "r1"); p.Leechers != 3 || p.Starving || p.Leases != 1 || !slices.Equal(p.Importers, []netip.AddrPort{hosts[0].Addr()}) {
		t.Errorf("%+v", p)
	}
	e, ok, err := w.store.Explain(t.Context(), hash(1), hosts[0].Addr())
	if err != nil || !ok || e.Reach != 1 || e.Depth != 1 || e.Told[0].Peer != origin.Addr() {
		t.Errorf("%+v, %v, %v", e, ok, err)
	}
	if r := do(t, s, hosts[0]); r.Pace != swarm.Active {
		t.Errorf("the importer is told pace %d", r.Pace)
	}
	if r := do(t, s, hosts[2]); r.Pace != swarm.Passive {
		t.Errorf("one on whom nobody depends is told pace %d", r.Pace)
	}
}

func importerLeaves(t *testing.T, s swarm.Store) {
	w := newWorld(t, s)
	_, hosts := w.begin(t, 3)
	hosts[0].Event = bittorrent.EventStopped
	do(t, s, hosts[0])
	if p := w.place(t, "r1"); p.Leechers != 2 || !slices.Equal(p.Importers, []netip.AddrPort{hosts[1].Addr()}) {
		t.Errorf("%+v", p)
	}
}

func silentLocated(t *testing.T, s swarm.Store) {
	w := newWorld(t, s)
	_, hosts := w.begin(t, 3)
	for range 40 {
		for _, a := range hosts[1:] {
			a.Now = a.Now.Add(15 * time.Second)
			do(t, s, a)
		}
	}
	if n, err := w.store.Tend(t.Context(), hosts[1].Now.Add(10*time.Second), 0); err != nil || n != 2 {
		t.Errorf("%d peers tended, %v; want the first host and the origin", n, err)
	}
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 2})
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{Incomplete: 2, Downloaders: 2})
}

func deadByProbes(t *testing.T, s swarm.Store) {
	w := newWorld(t, s)
	_, hosts := w.begin(t, 3)
	probes, err := w.store.Probable(t.Context())
	probe := roster.Probe{InfoHash: hash(1), Addr: hosts[0].Addr()}
	if err != nil || !slices.Contains(probes, probe) {
		t.Fatalf("%v is not among %v, %v", probe, probes, err)
	}
	for i, ok := range []bool{true, false, false} {
		if dead, err := w.store.Probed(t.Context(), probe, ok); err != nil || dead != (i == 2) {
			t.Errorf("probe %d: dead %v, %v", i, dead, err)
		}
	}
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 3, Seeders: 1})
}

func locatedMoves(t *testing.T, s swarm.Store) {
	w := newWorld(t, s)
	_, hosts := w.begin(t, 2)
	do(t, s, w.at(2, hosts[0]))
	if p := w.place(t, "r1"); p.Leechers != 1 || !slices.Equal(p.Importers, []netip.AddrPort{hosts[1].Addr()}) {
		t.Errorf("where it was: %+v", p)
	}
	if p := w.place(t, "r2"); p.Leechers != 1 || len(p.Importers) != 1 {
		t.Errorf("where it is: %+v", p)
	}
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 3, Seeders: 1})
}

func noPlaces(t *testing.T, s swarm.Store) {
	w := newWorld(t, s)
	a := announce(hash(1), 1)
	do(t, s, a)
	places, err := w.store.Places(t.Context(), hash(1))
	_, ok, err2 := w.store.Explain(t.Context(), hash(1), a.Addr())
	if len(places) != 0 || ok || err != nil || err2 != nil {
		t.Errorf("%v, %v, %v, %v", places, ok, err, err2)
	}
}

func members(t *testing.T, s swarm.Store) {
	w := newWorld(t, s)
	origin, hosts := w.begin(t, 90)               // more than are shown at a time
	stranger := w.nowhere(announce(hash(1), 999)) // nobody knows where it is: it has leases with those who are located
	do(t, s, stranger)
	seen := map[netip.AddrPort]roster.Member{}
	see := func(some []roster.Member) bool {
		for _, m := range some {
			seen[m.Addr] = m
		}
		return true
	}
	if err := w.store.Members(t.Context(), hash(1), see); err != nil || len(seen) != 92 {
		t.Fatalf("%d members, %v", len(seen), err)
	}
	importer := seen[hosts[0].Addr()]
	if importer.Reach != 1 || !importer.Rooted || !slices.Equal(importer.Parents, []netip.AddrPort{origin.Addr()}) || importer.Location.Path() != "r1" {
		t.Errorf("the importer is %+v", importer)
	}
	if m := seen[stranger.Addr()]; m.Location != nil || m.Addr != stranger.Addr() {
		t.Errorf("the unlocated peer is %+v", m)
	}
	if o := seen[origin.Addr()]; o.Kind != swarm.Seeder || o.Location.Path() != "r0" {
		t.Errorf("the origin is %+v", o)
	}
	shown := 0
	err := w.store.Members(t.Context(), hash(1), func(some []roster.Member) bool {
		shown += len(some)
		return false
	})
	if err != nil || shown == 0 || shown > 90 {
		t.Errorf("%d members are shown to who wants no more, %v", shown, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.store.Members(gone, hash(1), see); err == nil {
		t.Error("members are shown to who is gone")
	}
	if err := w.store.Members(t.Context(), hash(2), func([]roster.Member) bool { t.Error("an unknown torrent has members"); return false }); err != nil {
		t.Error(err)
	}
}

func unlocatedToo(t *testing.T, s swarm.Store) {
	w := newWorld(t, s)
	origin := w.nowhere(seeder(hash(1), 100))
	do(t, s, origin)
	host, stranger := w.at(1, announce(hash(1), 1)), w.nowhere(announce(hash(1), 2))
	wantAddrs(t, do(t, s, host), origin)
	wantAddrs(t, do(t, s, stranger), origin, host)
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{Complete: 1, Incomplete: 2, Downloaders: 2})
}

func emptyForgets(t *testing.T, s swarm.Store) {
	w := newWorld(t, s)
	origin, hosts := w.begin(t, 2)
	for _, a := range append(hosts, origin) {
		a.Event = bittorrent.EventStopped
		do(t, s, a)
	}
	wantTotals(t, s, swarm.Totals{})
	noPlaces(t, s)
}
