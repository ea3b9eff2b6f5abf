package core

import "hash/maphash"

// index finds numbers by a hash of what they are for: linear probing in a table that
// is at most three quarters full, without marks for what was taken out. A slot is 8
// bytes, so a search looks at one line of the cache, and then at what it has found.
type index struct {
	slots []slot
	used  int
}

// slot is empty if its number is 0.
type slot struct{ hash, number uint32 }

// minSlots is how many slots an index begins with; a power of two.
const minSlots = 64

// hashOf is seeded at random in each process, so that nobody can choose peers that
// have one hash. What order it brings about is never seen.
func (b *table) hashOf(k []byte) uint32 { return uint32(maphash.Bytes(b.hashSeed, k)) }

// find returns the number with the hash for which is reports true; 0: there is none.
func (x *index) find(hash uint32, is func(number uint32) bool) uint32 {
	if len(x.slots) == 0 {
		return 0
	}
	mask := uint32(len(x.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		s := x.slots[at]
		if s.number == 0 || s.hash == hash && is(s.number) {
			return s.number
		}
	}
}

// add puts a number in that is not there.
func (x *index) add(hash, number uint32) {
	if (x.used+1)*4 > len(x.slots)*3 {
		old := x.slots
		x.slots = make([]slot, max(minSlots, 2*len(old)))
		for _, s := range old {
			if s.number != 0 {
				x.place(s)
			}
		}
	}
	x.place(slot{hash: hash, number: number})
	x.used++
}

func (x *index) place(s slot) {
	mask := uint32(len(x.slots) - 1)
	at := s.hash & mask
	for x.slots[at].number != 0 {
		at = (at + 1) & mask
	}
	x.slots[at] = s
}

// remove takes a number out that is there.
func (x *index) remove(hash, number uint32) {
	mask := uint32(len(x.slots) - 1)
	at := hash & mask
	for x.slots[at].number != number {
		at = (at + 1) & mask
	}
	x.used--
	// Those that come after move up, unless they would come before their own place.
	for next := (at + 1) & mask; x.slots[next].number != 0; next = (next + 1) & mask {
		home := x.slots[next].hash & mask
		if (next-home)&mask >= (next-at)&mask {
			x.slots[at] = x.slots[next]
			at = next
		}
	}
	x.slots[at] = slot{}
}
