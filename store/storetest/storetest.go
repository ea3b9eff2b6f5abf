// Package storetest is the conformance suite that every [swarm.Store] passes.
//
// A store's own test calls [Run] with a function that opens an empty store:
//
//	func TestStoreConforms(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) swarm.Store { return memory.New(memory.Options{}) })
//	}
//
// A store that keeps no details of peers (their ids, what they transferred) calls
// [RunWithoutDetails]. One that keeps rosters calls [RunLocated] as well, and one that
// others can be copied into [RunRestore], and one that has a limit of torrents
// [RunTorrentLimit].
//
// The function is called many times, and closes nothing itself: the suite closes
// what it opened.
package storetest

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Open returns an empty store. It must not be closed before the suite does.
type Open func(t *testing.T) swarm.Store

// Run runs the whole suite.
func Run(t *testing.T, open Open) { RunOfSize(t, open, Whole) }

// Size is how much of the longest behaviours is done.
type Size struct {
	Swarm  int // peers of the largest swarm
	Asking int // of these every so many asks for peers, as it announces
	Rounds int // announces by which chances are measured
	Each   int // peers of each of 16 that write at once
}

// Whole is the size of Run, some 20,000 requests. Small is for stores that take a
// millisecond or more for each, where a longer test has the whole.
var (
	Whole = Size{Swarm: 3000, Asking: 1, Rounds: 4000, Each: 50}
	Small = Size{Swarm: 700, Asking: 8, Rounds: 1000, Each: 16}
)

// RunOfSize runs the whole suite, of which the longest behaviours are as long as is said.
func RunOfSize(t *testing.T, open Open, size Size) {
	run(t, open, slices.Concat(behaviours, size.behaviours(), details))
}

// RunWithoutDetails runs what does not need details of peers to be kept.
func RunWithoutDetails(t *testing.T, open Open) {
	run(t, open, slices.Concat(behaviours, Whole.behaviours()))
}

type behaviour struct {
	name string
	run  func(*testing.T, swarm.Store)
}

var (
	behaviours = []behaviour{
		{"FirstPeerSeesNobodyAndIsCounted", firstPeer},
		{"LeecherIsToldOfSeedersAndLeechers", leecherIsToldOfBoth},
		{"SeederIsToldOfLeechersOnly", seederIsToldOfLeechersOnly},
		{"PartialSeedCountsAsIncompleteAndIsToldOfLeechersOnly", partialSeed},
		{"NobodyIsToldOfItself", nobodyIsToldOfItself},
		{"AskerWithTwoFamiliesDoesNotMeetItself", twoFamilies},
		{"AnswerHoldsTheFamiliesAskedFor", familiesAskedFor},
		{"NumWantBoundsTheAnswer", numWantBounds},
		{"SeedersComeFirstInUpToHalfOfTheAnswer", seedersFirst},
		{"StoppedPeerIsGone", stoppedPeerIsGone},
		{"PeerThatMovesIsToldWhereItIsNowAlone", peerMoves},
		{"StopOfAnUnknownPeerLeavesNothingBehind", stopOfUnknown},
		{"LeecherThatCompletesBecomesSeederAndIsCountedOnce", completes},
		{"CompletedCountOutlivesThePeers", completedOutlives},
		{"SeederThatLosesDataBecomesLeecher", seederLosesData},
		{"SeedersAreCountedWhateverBecomesOfThem", seedersAreCounted},
		{"SilentPeersExpire", silentPeersExpire},
		{"ScrapeOfUnknownTorrentIsZero", scrapeUnknown},
		{"EndedContextStopsExpiryAndListing", endedContext},
	}
	details = []behaviour{
		{"IDsComeWithThePeersWhereWanted", idsWanted},
		{"SwarmsYieldsWhatWasAnnounced", swarmsYields},
	}
)

func (s Size) behaviours() []behaviour {
	return []behaviour{
		{"EveryPeerIsAsLikelyAsAnother", s.uniform},
		{"ConcurrentAnnouncesLoseNobody", s.concurrent},
		{"BigSwarmsGrowAndShrinkAndStayWhole", s.bigSwarms},
	}
}

func run(t *testing.T, open Open, behaviours []behaviour) {
	runEach(t, open, behaviours)
	t.Run("RandomHistoriesAgreeWithAModel", func(t *testing.T) { randomHistories(t, open) })
}

func runEach(t *testing.T, open Open, behaviours []behaviour) {
	for _, test := range behaviours {
		t.Run(test.name, func(t *testing.T) {
			store := open(t)
			defer closeStore(t, store)
			test.run(t, store)
		})
	}
}

func closeStore(t *testing.T, s swarm.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// start is when all histories begin.
var start = time.Unix(1_700_000_000, 0)

func hash(n byte) bittorrent.InfoHash { return bittorrent.InfoHash{0: n, 19: n} }

func peerID(n int) bittorrent.PeerID {
	var id bittorrent.PeerID
	copy(id[:], fmt.Sprintf("-WG0001-%012d", n))
	return id
}

// announce returns the announce of peer n, an IPv4 leecher that wants 50.
func announce(h bittorrent.InfoHash, n int) *swarm.Announce {
	return &swarm.Announce{
		AnnounceRequest: bittorrent.AnnounceRequest{
			InfoHash: h,
			PeerID:   peerID(n),
			Port:     uint16(1000 + n%60000),
			Left:     1 << 20,
			NumWant:  50,
			Key:      uint32(n),
		},
		From:     netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}),
		Now:      start,
		Families: swarm.IPv4 | swarm.IPv6,
	}
}

func seeder(h bittorrent.InfoHash, n int) *swarm.Announce {
	a := announce(h, n)
	a.Left = 0
	return a
}

func onIPv6(a *swarm.Announce) *swarm.Announce {
	v4 := a.From.As4()
	a.From = netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 12: v4[0], 13: v4[1], 14: v4[2], 15: v4[3]})
	return a
}

func do(t *testing.T, s swarm.Store, a *swarm.Announce) *swarm.Reply {
	t.Helper()
	r := new(swarm.Reply)
	if err := s.Announce(context.Background(), a, r); err != nil {
		t.Fatalf("Announce: %v", err)
	}
	return r
}

func addrs(r *swarm.Reply) []netip.AddrPort {
	var list []netip.AddrPort
	for addr := range r.Peers.All() {
		list = append(list, addr)
	}
	slices.SortFunc(list, netip.AddrPort.Compare)
	return list
}

func wantAddrs(t *testing.T, r *swarm.Reply, want ...*swarm.Announce) {
	t.Helper()
	var list []netip.AddrPort
	for _, a := range want {
		list = append(list, a.Addr())
	}
	slices.SortFunc(list, netip.AddrPort.Compare)
	if got := addrs(r); !slices.Equal(got, list) {
		t.Errorf("told of %v, want %v", got, list)
	}
}

func wantCounts(t *testing.T, s swarm.Store, h bittorrent.InfoHash, want bittorrent.ScrapeCounts) {
	t.Helper()
	var counts [1]bittorrent.ScrapeCounts
	if err := s.Scrape(context.Background(), []bittorrent.InfoHash{h}, counts[:]); err != nil {
		t.Fatalf("Scrape: %v", err)
	}
	if counts[0] != want {
		t.Errorf("scrape of %v: %+v, want %+v", h, counts[0], want)
	}
}

func wantTotals(t *testing.T, s swarm.Store, want swarm.Totals) {
	t.Helper()
	if got, err := s.Totals(context.Background()); err != nil || got != want {
		t.Errorf("Totals: %+v, %v, want %+v", got, err, want)
	}
}

func firstPeer(t *testing.T, s swarm.Store) {
	r := do(t, s, announce(hash(1), 1))
	if r.Complete != 0 || r.Incomplete != 1 || r.Peers.Len() != 0 {
		t.Errorf("got %+v, want one leecher and no peers", r)
	}
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{Incomplete: 1, Downloaders: 1})
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 1})
}

func leecherIsToldOfBoth(t *testing.T, s swarm.Store) {
	one, two := seeder(hash(1), 1), announce(hash(1), 2)
	do(t, s, one)
	do(t, s, two)
	do(t, s, announce(hash(2), 3)) // another torrent
	r := do(t, s, announce(hash(1), 4))
	wantAddrs(t, r, one, two)
	if r.Complete != 1 || r.Incomplete != 2 {
		t.Errorf("counts %d and %d, want 1 and 2", r.Complete, r.Incomplete)
	}
}

func seederIsToldOfLeechersOnly(t *testing.T, s swarm.Store) {
	leecher := announce(hash(1), 2)
	do(t, s, seeder(hash(1), 1))
	do(t, s, leecher)
	wantAddrs(t, do(t, s, seeder(hash(1), 3)), leecher)
}

func partialSeed(t *testing.T, s swarm.Store) {
	leecher, full, partial := announce(hash(1), 1), seeder(hash(1), 2), announce(hash(1), 3)
	partial.Event = bittorrent.EventPaused
	do(t, s, leecher)
	do(t, s, full)
	wantAddrs(t, do(t, s, partial), leecher)
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{Complete: 1, Incomplete: 2, Downloaders: 1})
	wantAddrs(t, do(t, s, leecher), full, partial)
	wantAddrs(t, do(t, s, full), leecher)
	partial.Event = bittorrent.EventNone
	wantAddrs(t, do(t, s, partial), full, leecher)
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{Complete: 1, Incomplete: 2, Downloaders: 2})
}

func nobodyIsToldOfItself(t *testing.T, s swarm.Store) {
	for n := range 100 {
		do(t, s, announce(hash(1), n))
	}
	for n := range 100 {
		a := announce(hash(1), n)
		a.NumWant = 200
		got := addrs(do(t, s, a))
		if len(got) != 99 || slices.Contains(got, a.Addr()) {
			t.Fatalf("peer %d is told of %d peers, itself among them: %t; want the 99 others", n, len(got), slices.Contains(got, a.Addr()))
		}
		if len(slices.Compact(got)) != 99 {
			t.Fatalf("peer %d is told of a peer twice", n)
		}
	}
}

func twoFamilies(t *testing.T, s swarm.Store) {
	other := announce(hash(1), 2)
	do(t, s, other)
	do(t, s, announce(hash(1), 1))
	wantAddrs(t, do(t, s, onIPv6(announce(hash(1), 1))), other)
	wantAddrs(t, do(t, s, announce(hash(1), 1)), other)
}

func familiesAskedFor(t *testing.T, s swarm.Store) {
	four, six := announce(hash(1), 1), onIPv6(announce(hash(1), 2))
	do(t, s, four)
	do(t, s, six)
	asker := announce(hash(1), 3)
	wantAddrs(t, do(t, s, asker), four, six)
	asker.Families = swarm.IPv4
	wantAddrs(t, do(t, s, asker), four)
	asker.Families = swarm.IPv6
	wantAddrs(t, do(t, s, asker), six)
}

func numWantBounds(t *testing.T, s swarm.Store) {
	for n := range 60 {
		do(t, s, announce(hash(1), n))
		do(t, s, onIPv6(seeder(hash(1), n)))
	}
	for _, want := range []int32{0, 1, 2, 3, 49, 50, 100, 119} {
		a := announce(hash(1), 1000)
		a.NumWant = want
		if got := do(t, s, a).Peers.Len(); got != int(want) {
			t.Errorf("numwant %d of 120: %d peers", want, got)
		}
	}
	a := announce(hash(1), 1000)
	a.NumWant = -1
	if got := do(t, s, a).Peers.Len(); got != 0 {
		t.Errorf("negative numwant, which a tracker replaces before it asks a store: %d peers, want 0", got)
	}
}

func seedersFirst(t *testing.T, s swarm.Store) {
	for n := range 40 {
		do(t, s, seeder(hash(1), n))
		do(t, s, announce(hash(1), 100+n))
	}
	seeds := func(want int32) (n int) {
		a := announce(hash(1), 1000)
		a.NumWant = want
		for addr := range do(t, s, a).Peers.All() {
			if addr.Port() < 1100 {
				n++
			}
		}
		return n
	}
	for want, seedsWanted := range map[int32]int{20: 10, 21: 11, 1: 1, 60: 30, 78: 39, 79: 40, 80: 40} {
		if got := seeds(want); got != seedsWanted {
			t.Errorf("numwant %d in a swarm of 40 seeders and 40 leechers: %d seeders, want %d", want, got, seedsWanted)
		}
	}
}

// uniform announces often enough that a peer which is favoured by a fifth, or by a third
// where it is small, is found out, and one that is not is accused less than once in a
// billion runs: the bound is six standard deviations.
func (s Size) uniform(t *testing.T, store swarm.Store) {
	const peers, want = 30, 7
	for n := range peers {
		a := announce(hash(1), n)
		if n%3 == 0 {
			onIPv6(a)
		}
		do(t, store, a)
	}
	asker := announce(hash(1), 1000)
	asker.NumWant = want
	told := map[netip.AddrPort]int{}
	for range s.Rounds {
		for addr := range do(t, store, asker).Peers.All() {
			told[addr]++
		}
	}
	if len(told) != peers {
		t.Errorf("%d of %d peers were ever told of", len(told), peers)
	}
	const share = float64(want) / peers
	mean, bound := share*float64(s.Rounds), 6*math.Sqrt(share*(1-share)*float64(s.Rounds))
	for addr, n := range told {
		if math.Abs(float64(n)-mean) > bound {
			t.Errorf("%v was told of %d times, want %.0f +- %.0f", addr, n, mean, bound)
		}
	}
}

func stoppedPeerIsGone(t *testing.T, s swarm.Store) {
	one, two := announce(hash(1), 1), announce(hash(1), 2)
	do(t, s, one)
	do(t, s, two)
	one.Event = bittorrent.EventStopped
	if r := do(t, s, one); r.Peers.Len() != 0 || r.Incomplete != 1 {
		t.Errorf("the answer to a stop: %d peers, %d leechers; want none and 1", r.Peers.Len(), r.Incomplete)
	}
	wantAddrs(t, do(t, s, two))
	two.Event = bittorrent.EventStopped
	do(t, s, two)
	wantTotals(t, s, swarm.Totals{})
}

// A tracker that knows a peer by its key at another address has it stop at the old one first.
func peerMoves(t *testing.T, s swarm.Store) {
	old, other := announce(hash(1), 1), announce(hash(1), 2)
	do(t, s, old)
	do(t, s, other)
	now := announce(hash(1), 1)
	now.From, now.Port = netip.AddrFrom4([4]byte{10, 9, 9, 9}), 9999
	old.Event, old.NumWant = bittorrent.EventStopped, 0
	do(t, s, old)
	wantAddrs(t, do(t, s, now), other)
	wantAddrs(t, do(t, s, other), now)
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 2})
}

func stopOfUnknown(t *testing.T, s swarm.Store) {
	a := announce(hash(1), 1)
	a.Event = bittorrent.EventStopped
	do(t, s, a)
	wantTotals(t, s, swarm.Totals{})
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{})
}

func completes(t *testing.T, s swarm.Store) {
	do(t, s, announce(hash(1), 1))
	done := seeder(hash(1), 1)
	done.Event = bittorrent.EventCompleted
	for range 3 { // the client did not hear the answer
		if r := do(t, s, done); r.Downloaded != 1 {
			t.Errorf("downloaded %d, want 1", r.Downloaded)
		}
	}
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{Complete: 1, Downloaded: 1})
	do(t, s, seeder(hash(1), 2)) // had it already
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{Complete: 2, Downloaded: 1})
	liar := announce(hash(1), 3)
	liar.Event = bittorrent.EventCompleted // with bytes left
	do(t, s, liar)
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{Complete: 2, Incomplete: 1, Downloaders: 1, Downloaded: 1})
}

func completedOutlives(t *testing.T, s swarm.Store) {
	done := seeder(hash(1), 1)
	done.Event = bittorrent.EventCompleted
	do(t, s, done)
	done.Event = bittorrent.EventStopped
	do(t, s, done)
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{Downloaded: 1})
	wantTotals(t, s, swarm.Totals{Torrents: 1})
}

func seederLosesData(t *testing.T, s swarm.Store) {
	do(t, s, seeder(hash(1), 1))
	do(t, s, announce(hash(1), 1))
	wantCounts(t, s, hash(1), bittorrent.ScrapeCounts{Incomplete: 1, Downloaders: 1})
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 1})
}

func seedersAreCounted(t *testing.T, s swarm.Store) {
	partial := announce(hash(1), 3)
	partial.Event = bittorrent.EventPaused
	for _, a := range []*swarm.Announce{seeder(hash(1), 1), onIPv6(seeder(hash(1), 2)), partial, seeder(hash(2), 1), announce(hash(2), 4)} {
		do(t, s, a)
		do(t, s, a) // again
	}
	wantTotals(t, s, swarm.Totals{Torrents: 2, Peers: 5, Seeders: 3})
	partial.Left, partial.Event = 0, bittorrent.EventNone
	do(t, s, partial)
	do(t, s, announce(hash(1), 1)) // lost data
	gone := onIPv6(seeder(hash(1), 2))
	gone.Event = bittorrent.EventStopped
	do(t, s, gone)
	wantTotals(t, s, swarm.Totals{Torrents: 2, Peers: 4, Seeders: 2})
	late := seeder(hash(2), 1)
	late.Now = start.Add(time.Minute)
	do(t, s, late)
	if n, err := s.Expire(context.Background(), start.Add(time.Second)); err != nil || n != 3 {
		t.Errorf("Expire: %d, %v, want 3", n, err)
	}
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 1, Seeders: 1})
}

func idsWanted(t *testing.T, s swarm.Store) {
	do(t, s, seeder(hash(1), 1))
	do(t, s, onIPv6(announce(hash(1), 2)))
	a := announce(hash(1), 3)
	a.WithIDs = true
	got := map[bittorrent.PeerID]bool{}
	for _, id := range do(t, s, a).Peers.All() {
		got[id] = true
	}
	if len(got) != 2 || !got[peerID(1)] || !got[peerID(2)] {
		t.Errorf("ids %v, want those of peers 1 and 2", got)
	}
}

func silentPeersExpire(t *testing.T, s swarm.Store) {
	const old, young = 70, 50
	for n := range old {
		do(t, s, announce(hash(byte(n%5)), n))
	}
	for n := range young {
		a := seeder(hash(byte(n%5)), 1000+n)
		a.Now = start.Add(time.Minute)
		do(t, s, a)
	}
	if n, err := s.Expire(context.Background(), start); err != nil || n != 0 {
		t.Errorf("Expire before the first announce: %d, %v, want 0", n, err)
	}
	if n, err := s.Expire(context.Background(), start.Add(time.Minute)); err != nil || n != old {
		t.Errorf("Expire: %d, %v, want %d", n, err, old)
	}
	wantTotals(t, s, swarm.Totals{Torrents: 5, Peers: young, Seeders: young})
	wantCounts(t, s, hash(0), bittorrent.ScrapeCounts{Complete: young / 5})
	if n, err := s.Expire(context.Background(), start.Add(time.Hour)); err != nil || n != young {
		t.Errorf("Expire of the rest: %d, %v, want %d", n, err, young)
	}
	wantTotals(t, s, swarm.Totals{})
}

func swarmsYields(t *testing.T, s swarm.Store) {
	a := onIPv6(announce(hash(1), 1))
	a.Uploaded, a.Downloaded = 11, 22
	do(t, s, a)
	a.Now = start.Add(time.Minute)
	do(t, s, a)
	done := seeder(hash(2), 2)
	done.Event = bittorrent.EventCompleted
	do(t, s, done)
	got := map[bittorrent.InfoHash]swarm.Snapshot{}
	for snapshot, err := range s.Swarms(context.Background()) {
		if err != nil {
			t.Fatalf("Swarms: %v", err)
		}
		snapshot.Peers = slices.Clone(snapshot.Peers)
		got[snapshot.InfoHash] = snapshot
	}
	if len(got) != 2 || len(got[hash(1)].Peers) != 1 || len(got[hash(2)].Peers) != 1 {
		t.Fatalf("got %+v, want two torrents of one peer", got)
	}
	want := swarm.Peer{
		ID: a.PeerID, Addr: a.Addr(), Key: a.Key, Kind: swarm.Leecher,
		Uploaded: 11, Downloaded: 22, Left: 1 << 20, First: start, Last: start.Add(time.Minute),
	}
	peer := got[hash(1)].Peers[0]
	if !peer.First.Equal(want.First) || !peer.Last.Equal(want.Last) {
		t.Errorf("first %v and last %v, want %v and %v", peer.First, peer.Last, want.First, want.Last)
	}
	peer.First, peer.Last = want.First, want.Last
	if peer != want {
		t.Errorf("peer %+v, want %+v", peer, want)
	}
	if got[hash(2)].Downloaded != 1 || got[hash(2)].Peers[0].Kind != swarm.Seeder {
		t.Errorf("second torrent %+v, want one download and a seeder", got[hash(2)])
	}
}

func scrapeUnknown(t *testing.T, s swarm.Store) {
	do(t, s, announce(hash(1), 1))
	counts := []bittorrent.ScrapeCounts{{Complete: 9}, {Complete: 9}, {Complete: 9}}
	hashes := []bittorrent.InfoHash{hash(7), hash(1), hash(8)}
	if err := s.Scrape(context.Background(), hashes, counts); err != nil {
		t.Fatal(err)
	}
	if want := []bittorrent.ScrapeCounts{{}, {Incomplete: 1, Downloaders: 1}, {}}; !slices.Equal(counts, want) {
		t.Errorf("got %+v, want %+v", counts, want)
	}
}

func endedContext(t *testing.T, s swarm.Store) {
	do(t, s, announce(hash(1), 1))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Expire(ctx, start.Add(time.Hour)); err == nil {
		t.Error("Expire went on without a context")
	}
	var last error
	for _, err := range s.Swarms(ctx) {
		last = err
	}
	if last == nil {
		t.Error("Swarms went on without a context")
	}
}

// bigSwarms takes a swarm through every size up to some thousands and back, with
// peers that change their kind on the way.
func (s Size) bigSwarms(t *testing.T, store swarm.Store) {
	most := s.Swarm
	say := func(n int, a *swarm.Announce) {
		if n%s.Asking != 0 {
			a.NumWant = 0
		}
		do(t, store, a)
	}
	for n := range most {
		say(n, announce(hash(1), n))
		if n%3 == 0 {
			say(n, seeder(hash(1), n/2))
		}
		if n%5 == 0 {
			say(n, onIPv6(announce(hash(1), n)))
		}
	}
	seeders := 0
	for n := range most / 2 {
		if (2*n)%3 == 0 || (2*n+1)%3 == 0 {
			seeders++
		}
	}
	wantCounts(t, store, hash(1), bittorrent.ScrapeCounts{
		Complete: uint32(seeders), Incomplete: uint32(most - seeders + most/5), Downloaders: uint32(most - seeders + most/5),
	})
	for n := range most {
		a := announce(hash(1), (n*7919)%most) // in another order
		a.Event = bittorrent.EventStopped
		do(t, store, a)
		if n%5 == 0 {
			b := onIPv6(announce(hash(1), n))
			b.Event = bittorrent.EventStopped
			do(t, store, b)
		}
	}
	wantTotals(t, store, swarm.Totals{})
}

func (s Size) concurrent(t *testing.T, store swarm.Store) {
	const writers = 16
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range s.Each {
				a := announce(hash(1), w*s.Each+i)
				a.Event = bittorrent.EventStarted
				var r swarm.Reply
				if err := store.Announce(context.Background(), a, &r); err != nil {
					t.Error(err)
				}
				a.Left, a.Event = 0, bittorrent.EventCompleted
				r.Reset()
				if err := store.Announce(context.Background(), a, &r); err != nil {
					t.Error(err)
				}
				if i%2 == 0 {
					a.Event = bittorrent.EventStopped
					r.Reset()
					if err := store.Announce(context.Background(), a, &r); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	all := uint32(writers * s.Each)
	wantCounts(t, store, hash(1), bittorrent.ScrapeCounts{Complete: all / 2, Downloaded: all})
}
