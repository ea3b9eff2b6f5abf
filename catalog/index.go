package catalog

import (
	"encoding/binary"
	"sync/atomic"

	"waggle/bittorrent"
)

// entry is one transfer in one period. It does not change but for its marks: an
// edit puts another entry in its place.
type entry struct {
	record Record // without the times that are in marks
	marks  *marks // shared by all entries of the period
}

func newEntry(r Record) *entry { return &entry{record: r, marks: newMarks(&r.Transfer)} }

// snapshot returns the record with its times as they are now.
func (e *entry) snapshot() Record {
	r := e.record
	e.marks.fill(&r.Transfer)
	return r
}

// index finds entries by any of their hashes. Whoever reads takes no lock: a part
// of the index is made anew when one of its entries changes, which copies about a
// thousandth of them.
type index [indexParts]atomic.Pointer[part]

const indexParts = 1024

// part is a hash table with linear probing. Its length is a power of two, and half
// of it or more is empty. Info hashes are spread evenly as they are; to make them
// collide takes the right to add torrents.
type part []slot

// slot is empty where it has no entry. It says by itself whether a torrent is
// active, and whether it has a profile: the entry lies elsewhere in memory, and
// fetching it would take longer than all the rest.
type slot struct {
	hash     bittorrent.InfoHash
	active   bool
	profiled bool
	entry    *entry
}

func newSlot(h bittorrent.InfoHash, e *entry) slot {
	return slot{h, e.record.Active(), e.record.Profile != "", e}
}

func (x *index) part(h *bittorrent.InfoHash) *atomic.Pointer[part] {
	return &x[binary.LittleEndian.Uint16(h[:])%indexParts]
}

// find returns nil where the hash is not known.
func (x *index) find(h *bittorrent.InfoHash) *slot {
	p := x.part(h).Load()
	if p == nil {
		return nil
	}
	if s := p.find(h); s.entry != nil {
		return s
	}
	return nil
}

// get returns nil where the hash is not known.
func (x *index) get(h *bittorrent.InfoHash) *entry {
	if s := x.find(h); s != nil {
		return s.entry
	}
	return nil
}

// find returns the slot of a hash, or the empty one where it would be.
func (p part) find(h *bittorrent.InfoHash) *slot {
	mask := uint32(len(p) - 1)
	for i := binary.LittleEndian.Uint32(h[2:]) & mask; ; i = (i + 1) & mask {
		if s := &p[i]; s.entry == nil || s.hash == *h {
			return s
		}
	}
}

// put puts e under its hashes. Only one goroutine may change the index at a time.
func (x *index) put(e *entry) {
	for _, h := range e.record.InfoHashes() {
		x.change(newSlot(h, e))
	}
}

func (x *index) remove(e *entry) {
	for _, h := range e.record.InfoHashes() {
		x.change(slot{hash: h})
	}
}

// change makes the part of a slot's hash anew, with this slot if it is not empty.
func (x *index) change(s slot) {
	at := x.part(&s.hash)
	var slots []slot
	if old := at.Load(); old != nil {
		for _, other := range *old {
			if other.entry != nil && other.hash != s.hash {
				slots = append(slots, other)
			}
		}
	}
	if s.entry != nil {
		slots = append(slots, s)
	}
	at.Store(newPart(slots))
}

func newPart(slots []slot) *part {
	size := 2
	for size < 2*len(slots) {
		size *= 2
	}
	p := make(part, size)
	for _, s := range slots {
		*p.find(&s.hash) = s
	}
	return &p
}

// fill puts all entries at once into an empty index.
func (x *index) fill(all []*entry) {
	parts := map[*atomic.Pointer[part]][]slot{}
	for _, e := range all {
		for _, h := range e.record.InfoHashes() {
			at := x.part(&h)
			parts[at] = append(parts[at], newSlot(h, e))
		}
	}
	for at, slots := range parts {
		at.Store(newPart(slots))
	}
}
