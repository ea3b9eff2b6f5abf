package cluster

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"slices"

	"waggle/bittorrent"
)

// Row is a peer of a torrent: a row of CONTENTS with its PEER-INFO, and what scrape, expiry
// and stopped need beside. One with Count set holds how many downloads were completed under one
// master, whose ID is in PeerID, in Left.
type Row struct {
	InfoHash   bittorrent.InfoHash
	PeerID     bittorrent.PeerID
	Addr       netip.AddrPort // zero of a count
	Left       int64          // bytes
	Downloaded int64          // bytes
	Uploaded   int64          // bytes
	First      int64          // when it was seen first, and last: microseconds of the cluster's time
	Stamp      int64
	Key        uint32
	Paused     bool // a partial seed
	Gone       bool // it has left; kept for a lifetime, so that no older row brings it back
	Bare       bool // of a HI message, which tells only that the peer is there
	Count      bool
}

// cursor returns the row's place in the order of rows. A peer has one row a torrent, whatever
// its id.
func (r *Row) cursor() (c cursor) {
	copy(c[:], r.InfoHash[:])
	if r.Count {
		copy(c[38:], r.PeerID[:])
		return c
	}
	ip := r.Addr.Addr().As16()
	copy(c[20:], ip[:])
	binary.BigEndian.PutUint16(c[36:], r.Addr.Port())
	return c
}

// says reports whether the row tells the same of its peer as another does, at whatever time.
func (r *Row) says(other *Row) bool {
	same := *r
	same.First, same.Stamp, same.Bare = other.First, other.Stamp, other.Bare
	return same == *other
}

func (c *cursor) before(other *cursor) bool { return bytes.Compare(c[:], other[:]) < 0 }

// digest is of all that members agree on: when a peer was seen first may differ.
func (r *Row) digest() uint64 {
	var b [rowLen]byte
	same := *r
	same.First = 0
	sum := sha1.Sum(same.append(b[:0]))
	return binary.BigEndian.Uint64(sum[:])
}

// newer reports whether the row takes the place of another of the same peer. It is an order,
// so that whatever comes first, all members have the same one in the end: the peer's that was
// heard of later, the count that is greater.
func (r *Row) newer(old *Row) bool {
	if r.Bare != old.Bare {
		return old.Bare
	}
	if r.Count && r.Left != old.Left {
		return r.Left > old.Left
	}
	if r.Stamp != old.Stamp {
		return r.Stamp > old.Stamp
	}
	return r.digest() > old.digest()
}

// Rows lie in leaves by their place in the order, so that those of one large torrent lie in all; its
// counts are in one leaf. A tree of digests over them says where
// two tables differ: the root has 32 children, each of these 32 leaves.
const (
	fanOut   = 32
	leaves   = fanOut * fanOut
	leafBase = 1 + fanOut        // the number of the first leaf; 0 is the root
	nodes    = leafBase + leaves // how many nodes there are
)

func leafOf(c *cursor) int { return int(crc32.ChecksumIEEE(c[:38]) % leaves) }

// table holds rows. It is not safe for concurrent use.
type table struct {
	leaf   [leaves][]*Row // in their order
	digest [leaves]uint64 // the sum of its rows' digests, each bit apart
	rows   int
	live   int // peers that have not left
}

// find returns a row, and where it is, or would be.
func (t *table) find(c *cursor) (leaf, at int, row *Row) {
	leaf = leafOf(c)
	at, row = t.seek(leaf, c)
	return leaf, at, row
}

func (t *table) get(c cursor) *Row {
	_, _, row := t.find(&c)
	return row
}

// put puts a row in, unless what is there is as new. It reports whether it did.
func (t *table) put(r *Row) bool {
	c := r.cursor()
	leaf, at, old := t.find(&c)
	if old != nil {
		if !r.newer(old) {
			if !r.Bare && r.Stamp == old.Stamp && r.First < old.First {
				old.First = r.First
			}
			return false
		}
		if !old.Gone {
			r.First = min(r.First, old.First)
		}
		t.account(leaf, old, -1)
		*old = *r
		t.account(leaf, old, 1)
		return true
	}
	row := *r
	t.leaf[leaf] = slices.Insert(t.leaf[leaf], at, &row)
	t.account(leaf, &row, 1)
	return true
}

// account adds a row to the figures, or takes it out of them.
func (t *table) account(leaf int, r *Row, n int) {
	t.digest[leaf] ^= r.digest()
	t.rows += n
	if !r.Gone && !r.Count {
		t.live += n
	}
}

// place is one in a table from which a call goes on that the last one left off at: what looks at
// all rows would hold keepalives up, were it done at once.
type place struct{ leaf, row int }

// sweep looks at so many rows from a place on, and forgets those that were seen last before a time,
// and counts of torrents without rows before another; each is told to gone first. It returns
// the place after them.
func (t *table) sweep(from place, most int, before, countsBefore int64, gone func(*Row)) place {
	for most > 0 {
		rows := t.leaf[from.leaf]
		from.row = min(from.row, len(rows))
		part := rows[from.row:min(from.row+most, len(rows))]
		most -= len(part) + 1
		end := from.row + len(part)
		kept := slices.DeleteFunc(part, func(r *Row) bool {
			limit := before
			if r.Count {
				limit = countsBefore
			}
			if r.Stamp >= limit {
				return false
			}
			gone(r)
			t.account(from.leaf, r, -1)
			return true
		})
		from.row += len(kept)
		t.leaf[from.leaf] = slices.Delete(rows, from.row, end)
		if from.row >= len(t.leaf[from.leaf]) {
			from = place{(from.leaf + 1) % leaves, 0}
		}
	}
	return from
}

// digests returns those of the children of a node: 0 is the root.
func (t *table) digests(node uint32) (d [fanOut]uint64) {
	for i := range leaves {
		switch {
		case node == 0:
			d[i/fanOut] ^= t.digest[i]
		case i/fanOut == int(node-1):
			d[i%fanOut] = t.digest[i]
		}
	}
	return d
}

// after returns up to so many rows of a leaf behind a cursor, and whether there are more.
func (t *table) after(leaf int, c *cursor, most int) (list []Row, more bool) {
	at, row := t.seek(leaf, c)
	if row != nil {
		at++
	}
	rest := t.leaf[leaf][at:]
	for _, r := range rest[:min(most, len(rest))] {
		list = append(list, *r)
	}
	return list, len(rest) > most
}

// seek returns the row at a place of a leaf, and where it is, or would be.
func (t *table) seek(leaf int, c *cursor) (at int, row *Row) {
	at, is := slices.BinarySearchFunc(t.leaf[leaf], c, func(r *Row, c *cursor) int {
		at := r.cursor()
		return bytes.Compare(at[:], c[:])
	})
	if is {
		row = t.leaf[leaf][at]
	}
	return at, row
}

// shift moves the times of so many rows from a place on, because the cluster's time has become
// another one. It returns the place after them, and whether there are more.
func (t *table) shift(from place, most int, by int64) (next place, more bool) {
	for ; from.leaf < leaves; from = (place{from.leaf + 1, 0}) {
		for ; from.row < len(t.leaf[from.leaf]); from.row++ {
			if most--; most < 0 {
				return from, true
			}
			r := t.leaf[from.leaf][from.row]
			t.digest[from.leaf] ^= r.digest()
			r.First, r.Stamp = min(max(r.First+by, 0), maxStamp), min(max(r.Stamp+by, 0), maxStamp)
			t.digest[from.leaf] ^= r.digest()
		}
	}
	return from, false
}

// completed returns how many downloads of a torrent were completed, under all masters.
func (t *table) completed(h bittorrent.InfoHash) (n int64) {
	var c cursor
	copy(c[:], h[:])
	leaf := leafOf(&c)
	at, _ := t.seek(leaf, &c)
	for _, r := range t.leaf[leaf][at:] {
		if r.InfoHash != h || !r.Count {
			return n
		}
		n += r.Left
	}
	return n
}
