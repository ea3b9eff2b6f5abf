package console

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/torrent"
)

// compareKeys orders keys as the list of swarms says that it is ordered.
func compareKeys(o swarmOrder, a, b *swarmKey) int {
	if a.last != b.last {
		return map[bool]int{true: 1, false: -1}[a.last]
	}
	names := catalog.CompareNames(a.name, b.name)
	if o.by == "name" && o.descending {
		names = -names
	}
	return cmp.Or(cmp.Compare(a.number, b.number), names, compareHashes(a.hash, b.hash))
}

// tracked is a swarm, listed or not.
type tracked struct {
	transfer *catalog.Transfer // nil: it is not
	hash     bittorrent.InfoHash
	counts   bittorrent.ScrapeCounts
}

// someSwarms returns up to so many, of which many are equal but for their hashes.
func someSwarms(random *rand.Rand, most int) []tracked {
	var all []tracked
	for n := range random.IntN(most) {
		s := tracked{hash: bittorrent.InfoHash{byte(random.Uint32()), byte(n)}}
		s.counts = bittorrent.ScrapeCounts{Complete: random.Uint32N(3), Incomplete: random.Uint32N(3), Downloaded: random.Uint32N(2)}
		if random.IntN(4) > 0 {
			name := []string{"a", "A", "b", "Ba", "ba", "\xff", strings.Repeat("x", catalog.MaxKey) + fmt.Sprint(n)}[random.IntN(7)]
			s.transfer = &catalog.Transfer{InfoHash: s.hash, Name: name, Size: random.Int64N(4), Registered: time.Unix(random.Int64N(3), 0)}
		}
		all = append(all, s)
	}
	return all
}

// sheetOf returns the sheet of those that are listed.
func sheetOf(all []tracked) *sheet {
	var transfers []*catalog.Transfer
	for i := range all {
		if all[i].transfer != nil {
			transfers = append(transfers, all[i].transfer)
		}
	}
	slices.SortFunc(transfers, func(a, b *catalog.Transfer) int {
		return cmp.Or(catalog.CompareNames(a.Name, b.Name), compareHashes(a.InfoHash, b.InfoHash))
	})
	return newSheet(nil, transfers, 1)
}

// firstOf returns the cursors of what is picked of swarms that are seen in any order.
func firstOf(t *testing.T, random *rand.Rand, o swarmOrder, all []tracked, after *swarmKey, limit int) []string {
	t.Helper()
	first := newFirstSwarms(o, sheetOf(all), after, limit)
	for _, i := range random.Perm(len(all)) {
		s := &all[i]
		switch row := first.sheet.find(&s.hash); {
		case row >= 0 != (s.transfer != nil):
			t.Fatalf("%v is row %d", s.hash, row)
		case row >= 0:
			first.see(row, &s.counts)
		default:
			first.seeUnlisted(&s.hash, &s.counts)
		}
	}
	if first.total != len(all) || len(first.found) >= firstRoom*limit {
		t.Fatalf("%d of %d are counted, %d held", first.total, len(all), len(first.found))
	}
	var cursors []string
	for _, f := range first.list() {
		cursors = append(cursors, first.cursor(&f))
	}
	return cursors
}

// sortedAfter returns the cursors of the first swarms behind a key, by sorting them all.
func sortedAfter(o swarmOrder, all []tracked, after *swarmKey, limit int) []string {
	var keys []swarmKey
	for i := range all {
		if k := o.key(all[i].hash, all[i].transfer, &all[i].counts); after == nil || compareKeys(o, &k, after) > 0 {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b swarmKey) int { return compareKeys(o, &a, &b) })
	var cursors []string
	for _, k := range keys[:min(limit, len(keys))] {
		cursors = append(cursors, o.cursor(&k))
	}
	return cursors
}

func TestFirstSwarmsAreThoseThatSortingAllWouldFindWhateverComesAndGoes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 140 {
		o := swarmOrder{by: swarmSorts[round%len(swarmSorts)], descending: round/len(swarmSorts)%2 == 0}
		all, limit := someSwarms(random, 120), 1+random.IntN(20)
		var after *swarmKey
		for {
			got, want := firstOf(t, random, o, all, after, limit), sortedAfter(o, all, after, limit)
			if !slices.Equal(got, want) {
				t.Fatalf("%+v, %d behind %+v: %q, want %q", o, limit, after, got, want)
			}
			if len(got) == 0 {
				break
			}
			var err error
			if after, err = o.parseKey(got[len(got)-1]); err != nil {
				t.Fatal(err)
			}
			// Some go, perhaps the one that the cursor names.
			all = slices.DeleteFunc(all, func(s tracked) bool { return s.hash == after.hash && random.IntN(2) == 0 || random.IntN(10) == 0 })
		}
	}
}

func TestSheetAfterChangesIsAsIfMadeAnew(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	all := someSwarms(random, 1000)
	old := sheetOf(all)
	for range 100 {
		all = slices.DeleteFunc(all, func(tracked) bool { return random.IntN(20) == 0 })
		for i := range all { // as edits do
			if x := all[i].transfer; x != nil && random.IntN(20) == 0 {
				edited := *x
				edited.Size = random.Int64()
				all[i].transfer = &edited
			}
		}
		for _, s := range someSwarms(random, 100) {
			if !slices.ContainsFunc(all, func(other tracked) bool { return other.hash == s.hash }) {
				all = append(all, s)
			}
		}
		want := sheetOf(all)
		var transfers []*catalog.Transfer
		for i := range want.rows {
			transfers = append(transfers, want.rows[i].transfer)
		}
		got := newSheet(old, transfers, 1)
		if !slices.Equal(got.rows, want.rows) || !slices.Equal(got.table, want.table) {
			t.Fatalf("%d rows are not as made anew", len(got.rows))
		}
		old = got
	}
}

func TestRowOfAHybridTorrentIsFoundByEitherHash(t *testing.T) {
	hybrid := &catalog.Transfer{InfoHash: bittorrent.InfoHash{1}, InfoHashV2: bittorrent.InfoHashV2{2}, Name: "b", Version: torrent.Hybrid}
	second := &catalog.Transfer{InfoHash: bittorrent.InfoHash{3}, InfoHashV2: bittorrent.InfoHashV2{3}, Name: "c", Version: torrent.V2}
	s := newSheet(nil, []*catalog.Transfer{hybrid, second}, 1)
	for first, want := range map[byte]int{0: -1, 1: 0, 2: 0, 3: 1, 4: -1} {
		if got := s.find(&bittorrent.InfoHash{first}); got != want {
			t.Errorf("%d is row %d, want %d", first, got, want)
		}
	}
	if got := newSheet(nil, nil, 1).find(&bittorrent.InfoHash{}); got != -1 {
		t.Errorf("in an empty sheet it is row %d", got)
	}
}

func TestCountsOfAHybridTorrentAreThoseOfItsLargerSwarmInWhicheverOrderTheyCome(t *testing.T) {
	first := bittorrent.ScrapeCounts{Complete: 1, Incomplete: 3, Downloaded: 5}
	for _, second := range []bittorrent.ScrapeCounts{{}, {Complete: 4, Downloaded: 9}, {Complete: 5, Downloaded: 2}} {
		want := first
		if peersIn(&second) > peersIn(&first) {
			want = second
		}
		want.Downloaded = max(first.Downloaded, second.Downloaded)
		var one, other bittorrent.ScrapeCounts
		addCounts(&one, &first, true)
		addCounts(&one, &second, false)
		addCounts(&other, &second, false)
		addCounts(&other, &first, true)
		if one != want || other != want {
			t.Errorf("%+v: %+v and %+v, want %+v", second, one, other, want)
		}
	}
}
