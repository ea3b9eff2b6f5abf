package memory

import "math/bits"

// bucket is a cache line of a big list's index: for each of up to twelve peers a
// byte of its hash and its position, plus one so that zero is an empty place.
// What does not fit is in the bucket that next numbers.
type bucket struct {
	positions [bucketLen]uint32
	tags      [bucketLen]uint8
	next      uint32 // of the family's buckets; 0: none
}

const (
	bucketLen  = 12
	pageOfBins = 16 // buckets are allocated by so many, and found by page
)

// index finds the positions of a list by linear hashing (Litwin, 1980): it grows
// and shrinks by one bucket at a time, so no announce ever waits for a whole
// swarm to be hashed again.
type index struct {
	pages []uint32 // runs of pageOfBins buckets
	count uint32   // of buckets, overflowing ones apart
}

// Occupancy, in peers a bucket, beyond which a bucket is added and below which
// one is taken away.
const (
	splitAbove = 9
	mergeBelow = 5
)

// bin returns the number of the bucket that a hash belongs to.
func (x *index) bin(hash uint64) uint32 {
	width := bits.Len32(x.count - 1)
	n := uint32(hash) & (1<<width - 1)
	if n >= x.count {
		n &= 1<<(width-1) - 1
	}
	return n
}

func tagOf(hash uint64) uint8 { return uint8(hash >> 56) }

// bucketAt returns bucket n of an index.
func (f *family[A]) bucketAt(x *index, n uint32) *bucket {
	return f.buckets.one(x.pages[n/pageOfBins] + n%pageOfBins)
}

// lookUp returns the position of an address in a big list, or -1.
func (f *family[A]) lookUp(b *big, hash uint64, addr *A) int {
	tag := tagOf(hash)
	for c := f.bucketAt(&b.index, b.index.bin(hash)); ; c = f.buckets.one(c.next) {
		for i, t := range c.tags {
			if t != tag || c.positions[i] == 0 {
				continue
			}
			if at := int(c.positions[i] - 1); f.inPages(b, at).addr == *addr {
				return at
			}
		}
		if c.next == 0 {
			return -1
		}
	}
}

// note enters a position under its hash.
func (f *family[A]) note(b *big, hash uint64, at int) {
	f.put(f.bucketAt(&b.index, b.index.bin(hash)), tagOf(hash), uint32(at)+1)
}

func (f *family[A]) put(c *bucket, tag uint8, position uint32) {
	for {
		for i := range c.positions {
			if c.positions[i] == 0 {
				c.positions[i], c.tags[i] = position, tag
				return
			}
		}
		if c.next == 0 {
			overflow := f.buckets.alloc(f.arena, runClass(1))
			*f.buckets.one(overflow) = bucket{}
			c.next = overflow
		}
		c = f.buckets.one(c.next)
	}
}

// renote changes the position that is entered under a hash; to -1 strikes it
// out.
func (f *family[A]) renote(b *big, hash uint64, from, to int) {
	for c := f.bucketAt(&b.index, b.index.bin(hash)); ; c = f.buckets.one(c.next) {
		for i := range c.positions {
			if c.positions[i] == uint32(from)+1 {
				c.positions[i] = uint32(to + 1)
				return
			}
		}
	}
}

// grow adds a bucket if the index is too full for n peers, and moves into it
// what belongs there of the one that it halves.
func (f *family[A]) growIndex(b *big, n int) {
	x := &b.index
	if uint32(n) <= x.count*splitAbove {
		return
	}
	if x.count%pageOfBins == 0 {
		x.pages = append(x.pages, f.buckets.alloc(f.arena, runClass(pageOfBins)))
	}
	x.count++
	*f.bucketAt(x, x.count-1) = bucket{}
	halved := (x.count - 1) &^ (1 << (bits.Len32(x.count-1) - 1))
	f.rehash(b, halved)
}

// shrinkIndex takes the last bucket away if the index is too empty for n peers.
func (f *family[A]) shrinkIndex(b *big, n int) {
	x := &b.index
	if uint32(n) >= x.count*mergeBelow || x.count <= pageOfBins/2 {
		return
	}
	last := x.count - 1
	x.count--
	f.rehash(b, last)
	if last%pageOfBins == 0 {
		f.buckets.release(x.pages[len(x.pages)-1], runClass(pageOfBins))
		x.pages = x.pages[:len(x.pages)-1]
	}
}

// rehash empties bucket n, which may be beyond the count, and enters what was in
// it anew.
func (f *family[A]) rehash(b *big, n uint32) {
	c := f.bucketAt(&b.index, n)
	old := *c
	*c = bucket{}
	for {
		for _, position := range old.positions {
			if position != 0 {
				at := int(position - 1)
				f.note(b, f.hash(&f.inPages(b, at).addr), at)
			}
		}
		if old.next == 0 {
			return
		}
		overflow := old.next
		old = *f.buckets.one(overflow)
		f.buckets.release(overflow, runClass(1))
	}
}

// releaseIndex gives all buckets back.
func (f *family[A]) releaseIndex(b *big) {
	for n := range b.index.count {
		for overflow := f.bucketAt(&b.index, n).next; overflow != 0; {
			next := f.buckets.one(overflow).next
			f.buckets.release(overflow, runClass(1))
			overflow = next
		}
	}
	for _, page := range b.index.pages {
		f.buckets.release(page, runClass(pageOfBins))
	}
	b.index = index{}
}
