package cluster

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"hash"
	"slices"
	"time"
)

// snapshot is the table as newcomers are told of it. It is made a part at a time, while commits go
// on: what it misses they pull.
type snapshot struct {
	triplets []byte // in their order, as HI messages have them
	contents [20]byte
	whole    bool

	taken time.Time
	last  cursor // of the last row that it has
	sum   hash.Hash
}

// smallTable is up to how many rows each newcomer is given the table as it is now, and not a
// snapshot that was made for another one.
const smallTable = 1 << 13

// recentSnapshot returns a snapshot of now, or one that another newcomer was given lately: so few
// are held, however many ask.
func (n *Node) recentSnapshot() *snapshot {
	s := n.snapshot
	if s == nil || s.whole && (n.table.rows <= smallTable || n.now.Sub(s.taken) >= n.t.Confirm) {
		s = &snapshot{taken: n.now, sum: sha1.New()}
		n.snapshot = s
	}
	s.goOn(&n.table, rowsAtOnce)
	return s
}

// goOn looks at so many more rows: it takes the peers over IPv4 that are there.
func (s *snapshot) goOn(t *table, most int) {
	if s.whole {
		return
	}
	begin := len(s.triplets)
	more := t.inOrder(&s.last, most, func(r *Row) {
		if !r.Gone && !r.Count && r.Addr.Addr().Is4() {
			s.triplets = (&Triplet{r.InfoHash, r.Addr.Addr().As4(), r.Addr.Port()}).append(s.triplets)
		}
	})
	_, _ = s.sum.Write(s.triplets[begin:]) // never fails
	if !more {
		s.whole, s.contents, s.sum = true, [20]byte(s.sum.Sum(nil)), nil
	}
}

// triplets are what a newcomer was told of, in their order, each once.
type triplets struct {
	leaf  [][]Triplet // by the first bits of the info hash
	first int         // the first leaf that has any
	count int

	summing hash.Hash // of those before a place; nil: none yet
	at      place
}

// add reports whether the triplet is new.
func (t *triplets) add(one Triplet) bool {
	if t.leaf == nil {
		t.leaf = make([][]Triplet, leaves)
	}
	leaf := &t.leaf[int(one.InfoHash[0])<<2|int(one.InfoHash[1])>>6]
	at, is := slices.BinarySearchFunc(*leaf, one, Triplet.compare)
	if is {
		return false
	}
	*leaf = slices.Insert(*leaf, at, one)
	t.count++
	t.summing = nil
	return true
}

// pop takes the first triplet out.
func (t *triplets) pop() (one Triplet, ok bool) {
	for ; t.first < len(t.leaf); t.first++ {
		if leaf := &t.leaf[t.first]; len(*leaf) > 0 {
			one, *leaf = (*leaf)[0], (*leaf)[1:]
			return one, true
		}
	}
	return one, false
}

// sum goes on with the SHA-1 of all, over so many more, and reports whether it is whole.
func (t *triplets) sum(most int) (sum [20]byte, whole bool) {
	if t.summing == nil {
		t.summing, t.at = sha1.New(), place{}
	}
	var b []byte
	for ; t.at.leaf < len(t.leaf); t.at = (place{t.at.leaf + 1, 0}) {
		for leaf := t.leaf[t.at.leaf]; t.at.row < len(leaf); t.at.row++ {
			if most--; most < 0 {
				return sum, false
			}
			b = leaf[t.at.row].append(b[:0])
			_, _ = t.summing.Write(b) // never fails
		}
	}
	sum = [20]byte(t.summing.Sum(nil))
	t.summing = nil
	return sum, true
}

// compare is the order of triplets.
func (t Triplet) compare(other Triplet) int {
	return cmp.Or(bytes.Compare(t.InfoHash[:], other.InfoHash[:]), bytes.Compare(t.Host[:], other.Host[:]), cmp.Compare(t.Port, other.Port))
}
