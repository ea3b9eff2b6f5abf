package passkey

import (
	"crypto/subtle"
	"hash/maphash"
	"sync/atomic"
	"unsafe"
)

// index finds entries by their secrets. Whoever reads takes no lock: a part of the index is
// made anew when one of its entries changes, which copies about a thousandth of them.
//
// Where a secret is looked for follows from a hash that nobody outside can foresee, and
// secrets are compared whole: how long that takes tells nothing of any of them.
type index struct {
	seed  maphash.Seed
	parts [indexParts]atomic.Pointer[part]
}

const indexParts = 1024

// part is a hash table with linear probing. Its length is a power of two, and half of it or
// more is empty.
type part []slot

// slot is empty where it has no entry.
type slot struct {
	hash  uint64
	key   string
	entry *entry
}

func newIndex() *index { return &index{seed: maphash.MakeSeed()} }

// find returns nil where the secret is not known.
func (x *index) find(key string) *entry {
	hash := maphash.String(x.seed, key)
	p := x.parts[hash%indexParts].Load()
	if p == nil {
		return nil
	}
	return p.find(hash, key).entry
}

// find returns the slot of a secret, or the empty one where it would be.
func (p part) find(hash uint64, key string) *slot {
	mask := uint64(len(p) - 1)
	for i := hash >> 32 & mask; ; i = (i + 1) & mask {
		if s := &p[i]; s.entry == nil || s.hash == hash && same(s.key, key) {
			return s
		}
	}
}

// same compares in a time that depends on the lengths alone.
func same(a, b string) bool {
	return subtle.ConstantTimeCompare(unsafe.Slice(unsafe.StringData(a), len(a)), unsafe.Slice(unsafe.StringData(b), len(b))) == 1
}

// put puts an entry under a secret, in place of whatever is there; nil: nothing is. Only one
// goroutine may change the index at a time.
func (x *index) put(key string, e *entry) {
	hash := maphash.String(x.seed, key)
	at := &x.parts[hash%indexParts]
	var slots []slot
	if old := at.Load(); old != nil {
		for _, other := range *old {
			if other.entry != nil && other.key != key {
				slots = append(slots, other)
			}
		}
	}
	if e != nil {
		slots = append(slots, slot{hash, key, e})
	}
	at.Store(newPart(slots))
}

// drop empties the place of a secret, unless another entry has it by now.
func (x *index) drop(key string, e *entry) {
	if x.find(key) == e {
		x.put(key, nil)
	}
}

func newPart(slots []slot) *part {
	size := 2
	for size < 2*len(slots) {
		size *= 2
	}
	p := make(part, size)
	for _, s := range slots {
		*p.find(s.hash, s.key) = s
	}
	return &p
}

// fill puts all entries at once into an empty index.
func (x *index) fill(all []*entry) {
	var slots [indexParts][]slot
	for _, e := range all {
		key := e.record().Key
		hash := maphash.String(x.seed, key)
		slots[hash%indexParts] = append(slots[hash%indexParts], slot{hash, key, e})
	}
	for i := range slots {
		x.parts[i].Store(newPart(slots[i]))
	}
}
