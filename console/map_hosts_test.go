package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/locality"
	"waggle/roster"
	"waggle/store/memory"
	"waggle/swarm"
)

// rackWorld is a torrent with so many racks of so many hosts, each of which announced
// twice. The hosts of the first rack are seeders.
func rackWorld(tb testing.TB, racks, hosts int) (*api, bittorrent.InfoHash) {
	return rackWorldOf(tb, racks, hosts, 0)
}

// rackWorldOf is a rackWorld in which those of the first rack lack something else.
func rackWorldOf(tb testing.TB, racks, hosts int, left int64) (*api, bittorrent.InfoHash) {
	tb.Helper()
	s := memory.New(memory.Options{Details: true})
	c, err := catalog.Open(context.Background(), catalog.Options{Store: catalog.NewMemory(1 << 20)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _, _ = s.Close(), c.Close() })
	tree, err := locality.NewTree(100_000, "site", "row", "rack")
	if err != nil {
		tb.Fatal(err)
	}
	policy, err := swarm.NewPolicy("balanced", 15*time.Second, 5*time.Minute)
	if err != nil {
		tb.Fatal(err)
	}
	h := bittorrent.InfoHash{7}
	for round := range 2 {
		for host := range hosts {
			for rack := range racks {
				place, err := tree.Group(fmt.Sprintf("ams%d/row%d/r%03d", rack/100, rack/20, rack))
				if err != nil {
					tb.Fatal(err)
				}
				a := swarm.Announce{From: netip.AddrFrom4([4]byte{10, byte(rack >> 8), byte(rack), byte(host)}), Now: time.Unix(int64(1000+20*round), 0)}
				a.InfoHash, a.Port, a.Left, a.NumWant = h, uint16(50_000+host), max(left, int64(min(rack, 1)*(1+(31*rack+7*host)%1000))), 50
				a.Downloaded = int64(round * (rack + host))
				a.Location, a.Policy, a.Families = place, &policy, swarm.IPv4|swarm.IPv6
				copy(a.PeerID[:], fmt.Sprintf("-qB4%d00-%06d%06d", host%5, rack, host))
				if err := s.Announce(context.Background(), &a, new(swarm.Reply)); err != nil {
					tb.Fatal(err)
				}
			}
		}
	}
	return &api{catalog: c, swarms: memory.Shown{Store: s}, roster: s, walks: make(chan struct{}, walksAtOnce)}, h
}

func TestMapOfTwoHundredRacksIsBelowHalfAMegabyte(t *testing.T) {
	a, h := rackWorld(t, 200, 40)
	m, err := a.mapOf(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Hosts.Address) != 8000 || len(m.Racks) != 200 || len(m.Leases) < 200 || len(m.Clients) != 6 {
		t.Errorf("%d hosts in %d racks, %d leases, clients %q", len(m.Hosts.Address), len(m.Racks), len(m.Leases), m.Clients)
	}
	if len(body) > 500_000 {
		t.Errorf("%d bytes", len(body))
	}
	t.Logf("%d bytes, gzipped %d; %d leases", len(body), len(gzipped(body)), len(m.Leases))
}

func TestMapSaysOfRacksWhatPlacesSay(t *testing.T) {
	for _, origin := range []int64{0, 1} { // with a seeder, and without
		a, h := rackWorldOf(t, 30, 12, origin)
		m, err := a.mapOf(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		places, err := a.roster.Places(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		places = slices.DeleteFunc(places, func(p roster.Place) bool { return p.Group.Height() > 1 })
		if len(places) != len(m.Racks) {
			t.Fatalf("%d places, %d racks", len(places), len(m.Racks))
		}
		for i, p := range places {
			got := m.Racks[i]
			var importers []netip.AddrPort
			for _, at := range got.Importers {
				importers = append(importers, netip.MustParseAddrPort(m.Hosts.Address[at]))
			}
			slices.SortFunc(p.Importers, netip.AddrPort.Compare)
			if got.Path != p.Group.Path() || got.Leechers != p.Leechers || got.Seeders != p.Seeders || got.Starving != p.Starving || got.Waiting != p.Waiting ||
				got.Leases != p.Leases || got.Orphans != p.Orphans || got.ImportedAtMost != p.Imported || !slices.Equal(importers, p.Importers) ||
				len(got.Exporters) != len(p.Exporters) || len(got.Standbys) != len(p.Standbys) {
				t.Errorf("%+v, and places have %+v", got, p)
			}
		}
	}
}

func TestMapOfMoreHostsThanItHoldsSaysHowManyAreLeftOut(t *testing.T) {
	b := newMapBuilder(100)
	tree, err := locality.NewTree(100, "rack")
	if err != nil {
		t.Fatal(err)
	}
	place, err := tree.Group("r1")
	if err != nil {
		t.Fatal(err)
	}
	const located, unlocated = maxMapHosts + 500, 300
	b.begin(0, &bittorrent.ScrapeCounts{Complete: 100, Incomplete: located + unlocated - 100})
	for n := range located {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 1)
		b.addMember(&roster.Member{Record: roster.Record{Addr: addr, Location: place}, Kind: swarm.Leecher, Left: 50})
	}
	if b.missesSome() {
		t.Error("it takes those who are left out for unlocated ones")
	}
	m := b.finish()
	if len(m.Hosts.Address) != maxMapHosts || m.LeftOut != 800 || m.Racks[0].Leechers != located || *m.Racks[0].Progress != 0.5 {
		t.Errorf("%d hosts, %d left out, %+v", len(m.Hosts.Address), m.LeftOut, m.Racks[0])
	}
}

// BenchmarkMap is what one look at 200 racks of 40 hosts costs.
func BenchmarkMap(b *testing.B) {
	a, h := rackWorld(b, 200, 40)
	b.Run("map", func(b *testing.B) {
		for b.Loop() {
			if _, err := a.mapOf(b.Context(), h); err != nil {
				b.Fatal(err)
			}
		}
	})
	m, err := a.mapOf(b.Context(), h)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("json+gzip", func(b *testing.B) {
		for b.Loop() {
			body, err := json.Marshal(m)
			if err != nil {
				b.Fatal(err)
			}
			gzipped(body)
		}
	})
}
