package console

import (
	"encoding/binary"
	"slices"
	"sort"
	"sync"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/torrent"
)

// sheet has what the list of swarms asks of all transfers, side by side in memory: they
// themselves lie anywhere, and fetching 100,000 of them takes longer than all the rest. It
// does not change. Of 100,000 transfers it takes 7 MB, and 15 ms to make, 3 after
// an edit.
type sheet struct {
	version uint64
	rows    []sheetRow // in the order of [catalog.Catalog.ByName]
	table   []uint32   // of rows by hash, with linear probing: numbers from 1 on, 0 is none
	near    byte       // of fetchNames
}

// sheetRow is a transfer.
type sheetRow struct {
	hash       bittorrent.InfoHash
	group      uint32 // the first row whose name is the same but for the case of letters
	size       int64
	registered int64 // Unix milliseconds
	transfer   *catalog.Transfer
	active     bool
	hybrid     bool // it has another hash, which is in the transfer
	name       rowName
}

// rowName says whether a row has the name of the one before it, but for the case of letters.
type rowName uint8

const (
	unknown rowName = iota
	another
	same
)

// sheetStep is how many rows are looked at while their names are near, and between two looks
// at whether anybody still waits for the page.
const sheetStep = 256

// sheets makes a sheet when it is asked for one, and the catalogue has changed since.
type sheets struct {
	mu   sync.Mutex
	last *sheet
}

func (s *sheets) get(c *catalog.Catalog) *sheet {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || s.last.version != c.Version() {
		all, version := c.ByName()
		s.last = newSheet(s.last, all, version)
	}
	return s.last
}

// newSheet returns the sheet of all transfers, by name. What has not changed since an old
// one is taken from it; nil: there is none.
func newSheet(old *sheet, all []*catalog.Transfer, version uint64) *sheet {
	if old == nil {
		old = &sheet{table: make([]uint32, 2)}
	}
	s := &sheet{version: version, rows: make([]sheetRow, len(all))}
	next, hashes := 0, 0
	for start := 0; start < len(all); start += sheetStep {
		end := min(start+sheetStep, len(all))
		next = s.fill(start, all[start:end], old, next)
		s.near += fetchNames(s.rows[start:end], func(r *sheetRow) bool { return r.name == unknown })
		hashes += s.group(start, end)
	}
	size := 2
	for size < 2*hashes {
		size *= 2
	}
	s.table = make([]uint32, size)
	for i := range s.rows {
		r := &s.rows[i]
		s.enter(&r.hash, i)
		if r.hybrid {
			other := r.transfer.InfoHashV2.Truncated()
			s.enter(&other, i)
		}
	}
	return s
}

// fill makes rows of transfers, from start on, and takes from old what it has of them, from
// the row next on, of which it returns the one to go on with. It does no more than that, so
// that the processor fetches a dozen transfers at a time.
func (s *sheet) fill(start int, transfers []*catalog.Transfer, old *sheet, next int) int {
	for n, t := range transfers {
		if next == len(old.rows) || old.rows[next].transfer != t {
			at := old.find(&t.InfoHash)
			if at < next || old.rows[at].transfer != t { // it is new, or an edit put it in the place of another
				s.rows[start+n] = newRow(t)
				continue
			}
			next = at // those between are gone
		}
		r := &s.rows[start+n]
		*r = old.rows[next]
		if start+n == 0 || next == 0 || s.rows[start+n-1].transfer != old.rows[next-1].transfer {
			r.name = unknown // there is another before it
		}
		next++
	}
	return next
}

func newRow(t *catalog.Transfer) sheetRow {
	return sheetRow{
		hash: t.InfoHash, size: t.Size, registered: t.Registered.UnixMilli(), transfer: t,
		active: t.Active(), hybrid: t.Version == torrent.Hybrid,
	}
}

// fetchNames begins to fetch the names of rows that will be looked at: what is read from one
// end of memory to the other comes by itself, what lies anywhere a dozen at a time, but only
// where nothing else is done. Without a use of what it returns it would be optimised away.
func fetchNames(rows []sheetRow, of func(*sheetRow) bool) (near byte) {
	for i := range rows {
		if !of(&rows[i]) {
			continue
		}
		if t := rows[i].transfer; t.Name != "" && t.File != "" {
			near += t.Name[0] + t.File[0]
		}
	}
	return near
}

// group finds the groups of rows, and returns how many hashes they have. Those before have
// theirs.
func (s *sheet) group(start, end int) (hashes int) {
	for i := start; i < end; i++ {
		r := &s.rows[i]
		if hashes++; r.hybrid {
			hashes++
		}
		if r.name == unknown {
			r.name = another
			if i > 0 && catalog.CompareNames(s.rows[i-1].transfer.Name, r.transfer.Name) == 0 {
				r.name = same
			}
		}
		if r.group = uint32(i); r.name == same {
			r.group = s.rows[i-1].group
		}
	}
	return hashes
}

func (s *sheet) enter(h *bittorrent.InfoHash, row int) {
	at := s.slot(h)
	for s.table[at] != 0 {
		at = s.after(at)
	}
	s.table[at] = uint32(row + 1)
}

// slot is where the search for a hash begins. Info hashes are spread evenly as they are; to
// make them collide takes the right to add torrents.
func (s *sheet) slot(h *bittorrent.InfoHash) uint32 {
	return binary.LittleEndian.Uint32(h[8:]) & uint32(len(s.table)-1)
}

func (s *sheet) after(at uint32) uint32 { return (at + 1) & uint32(len(s.table)-1) }

// find returns the row of a hash, either one of a hybrid, or -1.
func (s *sheet) find(h *bittorrent.InfoHash) int {
	for at := s.slot(h); s.table[at] != 0; at = s.after(at) {
		row := int(s.table[at]) - 1
		if r := &s.rows[row]; r.hash == *h || r.hybrid && r.transfer.InfoHashV2.Truncated() == *h {
			return row
		}
	}
	return -1
}

// named returns the rows that have a name, from first to before end, in any case of letters,
// or where such rows would be.
func (s *sheet) named(name string) (first, end int) {
	first, found := slices.BinarySearchFunc(s.rows, name, func(r sheetRow, name string) int {
		return catalog.CompareNames(r.transfer.Name, name)
	})
	if !found {
		return first, first
	}
	group := s.rows[first].group
	return first, first + sort.Search(len(s.rows)-first, func(n int) bool { return s.rows[first+n].group != group })
}

// behind returns the first row of those from first to before end, which have one name, whose
// hash is behind another.
func (s *sheet) behind(first, end int, h *bittorrent.InfoHash) int {
	return first + sort.Search(end-first, func(n int) bool { return compareHashes(s.rows[first+n].hash, *h) > 0 })
}
