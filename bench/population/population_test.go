package population

import (
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"waggle/bittorrent"
)

func mustNew(t *testing.T, d Distribution, seed uint64, groups int, addresses Addresses) *Population {
	t.Helper()
	p, err := New(d, seed, groups, addresses)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// small returns a distribution at a scale that is soon drawn.
func small(d Distribution, torrents, peers int) Distribution {
	d.Torrents, d.Peers = torrents, peers
	return d
}

// sizes returns how many peers each torrent has.
func sizes(p *Population) []int {
	n := make([]int, p.Torrents)
	for _, g := range p.Groups {
		for _, peer := range g.peers {
			n[peer.torrent]++
		}
	}
	return n
}

func TestTorrentsOfRankHavePeersInProportionToOneByRank(t *testing.T) {
	p := mustNew(t, small(Rank(), 1_000, 200_000), 1, 4, OneEach)
	harmonic := 0.0
	for r := range p.Torrents {
		harmonic += 1 / float64(r+1)
	}
	size := sizes(p)
	for _, rank := range []int{1, 2, 5, 10, 50} {
		want := float64(p.Peers) / harmonic / float64(rank)
		if got := float64(size[rank-1]); math.Abs(got-want) > 6*math.Sqrt(want) {
			t.Errorf("rank %d has %v peers, want about %.0f", rank, got, want)
		}
	}
}

// An answer of aquatic's load test tells of 21.6 peers on average, of those that have
// room for 30 and are not the asker.
func TestAquaticSwarmsAreAsLargeAsThoseOfItsLoadTest(t *testing.T) {
	p := mustNew(t, small(Aquatic(), 100_000, 200_000), 1, 4, OneEach)
	told := 0
	for _, n := range sizes(p) {
		told += n * min(30, max(0, n-1))
	}
	if got := float64(told) / float64(p.Peers); math.Abs(got-21.6) > 0.3 {
		t.Errorf("%.2f peers an answer, want 21.6", got)
	}
}

func TestSeedersAreTheirShare(t *testing.T) {
	for _, d := range []Distribution{small(Rank(), 100, 50_000), small(Aquatic(), 100, 50_000)} {
		seeders := 0
		for _, g := range mustNew(t, d, 1, 4, OneEach).Groups {
			for _, peer := range g.peers {
				if peer.seeder {
					seeders++
				}
			}
		}
		if got := float64(seeders) / float64(d.Peers); math.Abs(got-d.Seeders) > 0.01 {
			t.Errorf("%s: %v of the peers are seeders, want %v", d.Name, got, d.Seeders)
		}
	}
}

func TestNoTwoPeersOfATorrentHaveOneAddressAndPort(t *testing.T) {
	for name, test := range map[string]struct {
		addresses        Addresses
		torrents, groups int
		wantGroups       int
	}{
		"an address each":                      {OneEach, 50, 4, 4},
		"an address each, more than asked for": {OneEach, 1, 1, 2},
		"one of all":                           {OneOfAll, 50, 3, 3},
	} {
		p := mustNew(t, small(Rank(), test.torrents, 100_000), 1, test.groups, test.addresses)
		if len(p.Groups) != test.wantGroups {
			t.Errorf("%s: %d groups, want %d", name, len(p.Groups), test.wantGroups)
		}
		type identity struct {
			torrent uint32
			source  int
			port    uint16
		}
		known := map[identity]bool{}
		for _, g := range p.Groups {
			source := g.Number()
			if test.addresses == OneOfAll {
				source = 0
			}
			for _, peer := range g.peers {
				known[identity{peer.torrent, source, peer.port}] = true
				if peer.port < firstPort {
					t.Fatalf("%s: port %d", name, peer.port)
				}
			}
		}
		if len(known) != p.Peers {
			t.Errorf("%s: %d addresses for %d peers", name, len(known), p.Peers)
		}
	}
}

func TestGroupsAreAboutEqual(t *testing.T) {
	p := mustNew(t, small(Rank(), 1_000, 40_000), 1, 8, OneEach)
	for _, g := range p.Groups {
		if want := p.Peers / len(p.Groups); math.Abs(float64(g.Len()-want)) > float64(want)/20 {
			t.Errorf("group %d has %d peers, want about %d", g.Number(), g.Len(), want)
		}
	}
}

func TestTheSeedDecidesEverything(t *testing.T) {
	d := small(Rank(), 100, 1_000)
	first, same, other := mustNew(t, d, 1, 4, OneEach), mustNew(t, d, 1, 4, OneEach), mustNew(t, d, 2, 4, OneEach)
	if !reflect.DeepEqual(first, same) {
		t.Error("one seed gave two populations")
	}
	if reflect.DeepEqual(first.Groups[0].peers, other.Groups[0].peers) || first.InfoHash(0) == other.InfoHash(0) {
		t.Error("two seeds gave one population")
	}
}

func TestInfoHashesDifferAndDoNotDependOnTheirNumber(t *testing.T) {
	known := map[bittorrent.InfoHash]bool{}
	for torrent := range 10_000 {
		known[InfoHash(7, torrent)] = true
	}
	if len(known) != 10_000 {
		t.Errorf("%d hashes of 10,000 torrents", len(known))
	}
	if p := mustNew(t, small(Aquatic(), 10, 10), 7, 1, OneEach); p.InfoHash(9) != InfoHash(7, 9) {
		t.Error("a population has hashes of its own")
	}
}

func TestLiveTorrentsAreThoseWithAPeer(t *testing.T) {
	p := mustNew(t, small(Rank(), 10_000, 3_000), 1, 4, OneEach)
	live := 0
	for _, n := range sizes(p) {
		if n > 0 {
			live++
		}
	}
	if p.Live() != live {
		t.Errorf("%d live torrents, want %d", p.Live(), live)
	}
}

func TestFiguresThatCannotBeAreRefused(t *testing.T) {
	for want, d := range map[string]Distribution{
		"torrents":     small(Rank(), 0, 1),
		"peers":        small(Rank(), 1, 0),
		"seeders":      {Name: "rank", Torrents: 1, Peers: 1, Seeders: math.NaN()},
		"scrape":       {Name: "rank", Torrents: 1, Peers: 1, ScrapeEach: -1},
		"distribution": {Name: "zipf", Torrents: 1, Peers: 1},
	} {
		if _, err := New(d, 1, 1, OneEach); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error that names %s", d, err, want)
		}
	}
	if _, err := New(small(Rank(), 1, ports+1), 1, 1, OneOfAll); err == nil || !strings.Contains(err.Error(), "ports") {
		t.Errorf("more peers than ports: %v", err)
	}
	for _, name := range Names() {
		if d, err := Named(name); err != nil || d.Name != name || d.Check() != nil {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// at is where a peer would be reached, and for which torrent.
type at struct {
	hash bittorrent.InfoHash
	addr netip.AddrPort
}

func of(a *bittorrent.AnnounceRequest) at {
	return at{a.InfoHash, netip.AddrPortFrom(netip.Addr{}, a.Port)}
}

func TestFillAnnouncesEachPeerOnceAndTheLostOnesAgain(t *testing.T) {
	p := mustNew(t, small(Rank(), 50, 500), 1, 1, OneEach)
	script := p.Groups[0].Fill()
	var a bittorrent.AnnounceRequest
	known := map[at]int{}
	for n := 0; ; n++ {
		peer, ok := script.Next(&a)
		if !ok {
			break
		}
		if a.Event != bittorrent.EventStarted || a.NumWant != 30 {
			t.Fatalf("announced %+v", a)
		}
		if n%7 == 0 {
			script.Lost(peer)
			continue
		}
		known[of(&a)]++
	}
	if !script.Done() || len(known) != 500 {
		t.Errorf("%d peers announced, want 500; done: %t", len(known), script.Done())
	}
	for peer, n := range known {
		if n != 1 {
			t.Errorf("%v announced %d times", peer, n)
		}
	}
}

func TestSteadyAnnouncesPeersThatFillHasAnnouncedAndChangesNone(t *testing.T) {
	p := mustNew(t, small(Rank(), 50, 500), 1, 1, OneEach)
	var a bittorrent.AnnounceRequest
	known := map[at]int64{}
	for fill := p.Groups[0].Fill(); ; {
		if _, ok := fill.Next(&a); !ok {
			break
		}
		known[of(&a)] = a.Left
	}
	script := p.Groups[0].Steady(p.Groups[0].Len(), 1)
	heard := map[at]bool{}
	for range 20_000 {
		if _, ok := script.Next(&a); !ok || script.Done() {
			t.Fatal("a script without end has ended")
		}
		if left, ok := known[of(&a)]; !ok || left != a.Left || a.Event != bittorrent.EventNone {
			t.Fatalf("announced %+v", a)
		}
		heard[of(&a)] = true
	}
	if len(heard) != 500 {
		t.Errorf("%d of 500 peers announced", len(heard))
	}
}

func TestChurnKeepsTheNumberOfPeersAndTheShareOfSeeders(t *testing.T) {
	d := small(Aquatic(), 5_000, 2_000)
	p := mustNew(t, d, 1, 1, OneEach)
	g := p.Groups[0]
	var a bittorrent.AnnounceRequest
	for fill := g.Fill(); !fill.Done(); {
		fill.Next(&a)
	}
	script := g.Churn(0.02, 1)
	events := map[bittorrent.Event]int{}
	const announces = 200_000
	seeders := 0
	for range announces {
		script.Next(&a)
		events[a.Event]++
		if a.Left == 0 {
			seeders++
		}
		if a.Event == bittorrent.EventCompleted && a.Left != 0 {
			t.Fatal("a peer that completed has something left")
		}
	}
	if g.Len() != 2_000 {
		t.Errorf("%d peers, want 2,000 still", g.Len())
	}
	if got := float64(seeders) / announces; math.Abs(got-d.Seeders) > 0.05 {
		t.Errorf("%.3f of the announces came from seeders, want about %v", got, d.Seeders)
	}
	for event, share := range map[bittorrent.Event]float64{
		bittorrent.EventStarted:   0.02, // whoever stopped or fell silent has a successor
		bittorrent.EventStopped:   0.01,
		bittorrent.EventCompleted: 0.015, // 0.06 of the leechers
	} {
		if got := float64(events[event]) / announces; math.Abs(got-share) > share/4 {
			t.Errorf("%v: %.4f of the announces, want about %v", event, got, share)
		}
	}
}

func TestScrapeAsksForOneToTenTorrentsOfTheGroup(t *testing.T) {
	p := mustNew(t, small(Rank(), 20, 100), 1, 1, OneEach)
	known := map[bittorrent.InfoHash]bool{}
	for torrent := range p.Torrents {
		known[p.InfoHash(torrent)] = true
	}
	lengths := map[int]bool{}
	random := p.random(9)
	for range 1_000 {
		hashes := p.Groups[0].AppendScrape(nil, random)
		lengths[len(hashes)] = true
		for _, h := range hashes {
			if !known[h] {
				t.Fatalf("%v is of no torrent", h)
			}
		}
	}
	if len(lengths) != 10 || lengths[0] {
		t.Errorf("scrapes of %v hashes", lengths)
	}
}
