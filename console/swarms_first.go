package console

import (
	"cmp"
	"slices"

	"waggle/bittorrent"
	"waggle/catalog"
)

// foundSwarm is a swarm that may be of the page. Rows of the sheet stand for names: no name
// is compared.
type foundSwarm struct {
	last   bool // as of [swarmKey]
	number int64
	row    int32 // of the sheet; unlisted: it is in none
	hash   bittorrent.InfoHash
	counts bittorrent.ScrapeCounts // of one that is unlisted, or where the order is by counts
}

// unlisted is the row of a swarm that is in no catalogue. Equals come before those that
// are: it has no name.
const unlisted = -1

// compareFound orders as keys are.
func compareFound(a, b *foundSwarm) int {
	switch {
	case a.last != b.last:
		if a.last {
			return 1
		}
		return -1
	case a.number != b.number:
		return cmp.Compare(a.number, b.number)
	case a.row != b.row:
		return cmp.Compare(a.row, b.row)
	}
	return compareHashes(a.hash, b.hash)
}

// swarmPlace is where a page ends, in a sheet that may have changed since.
type swarmPlace struct {
	last   bool
	number int64
	row    int32 // of rows with this number, the first that comes behind
	hash   bittorrent.InfoHash
	named  bool // it comes behind all unlisted ones with this number
}

// place returns the place of a key, whose swarm may be gone.
func (o swarmOrder) place(s *sheet, k *swarmKey) *swarmPlace {
	first, end := s.named(k.name)
	p := &swarmPlace{last: k.last, number: k.number, row: int32(s.behind(first, end, &k.hash)), hash: k.hash, named: k.name != ""}
	if o.by == "name" && o.descending && !k.last {
		if p.number = o.turned(int64(first)); first == end { // the row that has this number came before
			p.row = int32(len(s.rows))
		}
	}
	return p
}

func (p *swarmPlace) before(s *foundSwarm) bool {
	switch {
	case s.last != p.last:
		return s.last
	case s.number != p.number:
		return s.number > p.number
	case s.row != unlisted:
		return s.row >= p.row
	}
	return !p.named && compareHashes(s.hash, p.hash) > 0
}

// firstSwarms picks of many swarms, in any order, those that come first after a place, and
// counts all. It holds no more than some times what it is to pick: when it has so many, it
// drops those that come last.
type firstSwarms struct {
	order   swarmOrder
	sheet   *sheet
	limit   int // at least 1
	total   int
	found   []foundSwarm
	kept    []foundSwarm // of drop, reused as numbers are
	numbers []int32
	full    bool        // bar is known
	bar     foundSwarm  // the last one that may be of the page
	after   *swarmPlace // those up to it are not of the page; nil: it is the first
}

// firstRoom is how many swarms are held for each of the page.
const firstRoom = 3

func newFirstSwarms(order swarmOrder, s *sheet, after *swarmKey, limit int) *firstSwarms {
	f := &firstSwarms{order: order, sheet: s, limit: limit, found: make([]foundSwarm, 0, firstRoom*limit)}
	if after != nil {
		f.after = order.place(s, after)
	}
	return f
}

// see considers a row of the sheet, whose counts matter where the order is by them.
func (f *firstSwarms) see(row int, c *bittorrent.ScrapeCounts) {
	f.total++
	number := f.numberOf(row, c)
	if f.full && !f.bar.last && number > f.bar.number {
		return
	}
	f.keep(&foundSwarm{number: number, row: int32(row), hash: f.sheet.rows[row].hash, counts: *c})
}

// numberOf returns the number of a row, by which names are in their descending order, too.
func (f *firstSwarms) numberOf(row int, c *bittorrent.ScrapeCounts) int64 {
	r, number := &f.sheet.rows[row], int64(0)
	switch f.order.by {
	case "size":
		number = r.size
	case "registered":
		number = r.registered
	case "name":
		if f.order.descending {
			number = int64(r.group)
		}
	default:
		number = f.order.count(c)
	}
	return f.order.turned(number)
}

// seeUnlisted considers a swarm of which only the hash and the counts are known.
func (f *firstSwarms) seeUnlisted(h *bittorrent.InfoHash, c *bittorrent.ScrapeCounts) {
	f.total++
	k := f.order.key(*h, nil, c)
	f.keep(&foundSwarm{last: k.last, number: k.number, row: unlisted, hash: *h, counts: *c})
}

func (f *firstSwarms) keep(s *foundSwarm) {
	if f.full && compareFound(s, &f.bar) >= 0 || f.after != nil && !f.after.before(s) {
		return
	}
	if f.found = append(f.found, *s); len(f.found) >= firstRoom*f.limit {
		f.drop()
	}
}

// drop keeps those that come first, in their order. It sorts numbers of them, not themselves,
// which are large.
func (f *firstSwarms) drop() {
	if f.kept == nil {
		f.kept, f.numbers = make([]foundSwarm, 0, f.limit), make([]int32, 0, len(f.found))
	}
	f.numbers = f.numbers[:0]
	for i := range f.found {
		f.numbers = append(f.numbers, int32(i))
	}
	slices.SortFunc(f.numbers, func(a, b int32) int { return compareFound(&f.found[a], &f.found[b]) })
	f.kept = f.kept[:0]
	for _, i := range f.numbers[:min(len(f.numbers), f.limit)] {
		f.kept = append(f.kept, f.found[i])
	}
	f.found = append(f.found[:0], f.kept...)
	if len(f.found) == f.limit {
		f.full, f.bar = true, f.found[f.limit-1]
	}
}

// cursor returns where a page ends.
func (f *firstSwarms) cursor(s *foundSwarm) string {
	var t *catalog.Transfer
	if s.row != unlisted {
		t = f.sheet.rows[s.row].transfer
	}
	k := f.order.key(s.hash, t, &s.counts)
	return f.order.cursor(&k)
}

// list returns those that were picked, in their order.
func (f *firstSwarms) list() []foundSwarm {
	f.drop()
	return f.found
}
