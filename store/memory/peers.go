package memory

import (
	"encoding/binary"

	"waggle/bittorrent"
	"waggle/swarm"
)

// record is what answers are made of: 8 bytes for IPv4, 20 for IPv6. A is the
// peer's compact address (BEP 23, BEP 7): IP and port in network order.
type record[A addresses] struct {
	addr A
	id   uint16 // of a hash of the peer id: enough to leave a twin out
}

// stay is what is kept beside every record, apart from it since others than the
// peer itself seldom need it.
type stay struct {
	key  uint32
	last uint32 // Unix seconds
}

// addresses are the compact forms of the families.
type addresses interface{ [6]byte | [18]byte }

// detail is the rest of what a peer says of itself, kept beside its record where
// the store's options want it.
type detail struct {
	uploaded   int64
	downloaded int64
	left       int64
	id         bittorrent.PeerID
	first      uint32 // Unix seconds
}

// list is the peers of one family of a torrent, in the order of [swarm.Kind].
// Small ones lie in one run of records; big ones in pages, with an index. It has
// no pointers, so that torrents have none.
type list struct {
	ref  uint32    // small: of the run of records; big: of the family's bigs
	n    uint32    // peers
	ends [2]uint32 // where seeders and partial seeds end
}

// Sizes of lists, in peers. In between, a list stays what it was, so that it does
// not change its form with every announce.
const (
	bigAbove   = 85 // above, looking at each costs more than an index
	smallBelow = 51
	bigFlag    = 1 << 31
)

// big is a list of pages of records, each a run of pageLen.
type big struct {
	pages []uint32
	index index
}

// family is the peers of one address family of a shard.
type family[A addresses] struct {
	arena    *arena
	seed     uint64
	records  pool[record[A]]
	stays    beside[stay]
	details  beside[detail] // empty unless detailed
	detailed bool
	buckets  pool[bucket]
	bigs     []*big
	freeBigs []uint32
	tours    []*tour // walks that are under way
}

func (l *list) isBig() bool { return l.n&bigFlag != 0 }

func (l *list) len() int { return int(l.n &^ bigFlag) }

func (l *list) kind(i int) swarm.Kind {
	switch {
	case uint32(i) < l.ends[swarm.Seeder]:
		return swarm.Seeder
	case uint32(i) < l.ends[swarm.PartialSeed]:
		return swarm.PartialSeed
	}
	return swarm.Leecher
}

// hash spreads addresses. It is keyed, so that nobody can choose addresses that
// fall together.
func (f *family[A]) hash(a *A) uint64 {
	h := f.seed
	for i := range len(*a) {
		h = (h ^ uint64((*a)[i])) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return h * 0xbf58476d1ce4e5b9
}

// number returns the number of peer i among the family's records.
func (f *family[A]) number(l *list, i int) uint32 {
	if l.isBig() {
		return f.bigs[l.ref].pages[i/pageLen] + uint32(i%pageLen)
	}
	return l.ref + uint32(i)
}

func (f *family[A]) record(l *list, i int) *record[A] { return f.records.one(f.number(l, i)) }

func (f *family[A]) inPages(b *big, i int) *record[A] {
	return f.records.one(b.pages[i/pageLen] + uint32(i%pageLen))
}

// stay returns what is kept beside record number n.
func (f *family[A]) stay(n uint32) *stay { return f.stays.one(n) }

// detail returns the rest of it; detailed must be set.
func (f *family[A]) detail(n uint32) *detail { return f.details.one(n) }

// find returns where an address stands, or -1.
func (f *family[A]) find(l *list, addr *A) int {
	if l.isBig() {
		return f.lookUp(f.bigs[l.ref], f.hash(addr), addr)
	}
	if l.n == 0 {
		return -1
	}
	if v4, ok := any(&f.records).(*pool[record[[6]byte]]); ok {
		return scan4(v4.at(l.ref, int(l.n)), any(addr).(*[6]byte))
	}
	for i, r := range f.records.at(l.ref, int(l.n)) {
		if r.addr == *addr {
			return i
		}
	}
	return -1
}

// scan4 is the same for IPv4, where comparing six bytes by two words is quicker
// than by a call.
func scan4(records []record[[6]byte], addr *[6]byte) int {
	ip, port := binary.NativeEndian.Uint32(addr[:4]), binary.NativeEndian.Uint16(addr[4:])
	for i := range records {
		a := &records[i].addr
		if binary.NativeEndian.Uint32(a[:4]) == ip && binary.NativeEndian.Uint16(a[4:]) == port {
			return i
		}
	}
	return -1
}

// insert adds a peer at the end of its kind and returns where. The first of each
// later kind moves to that kind's end to make room.
func (f *family[A]) insert(l *list, addr *A, e *entry) int {
	f.extend(l)
	hole := l.len() - 1
	for s := swarm.Leecher; s > e.kind; s-- {
		hole = f.move(l, int(l.ends[s-1]), hole)
		l.ends[s-1]++
	}
	f.set(f.number(l, hole), addr, e)
	if l.isBig() {
		b := f.bigs[l.ref]
		f.note(b, f.hash(addr), hole)
		f.growIndex(b, l.len())
	}
	return hole
}

// set fills in record number n and what is beside it.
func (f *family[A]) set(n uint32, addr *A, e *entry) {
	*f.records.one(n) = record[A]{addr: *addr, id: shortID(&e.id)}
	*f.stay(n) = stay{key: e.key, last: e.last}
	if f.detailed {
		*f.detail(n) = e.detail
	}
}

// remove takes peer i out. The last of its kind and of each later one moves into
// the hole that the one before left.
func (f *family[A]) remove(l *list, i int) {
	if l.isBig() {
		f.renote(f.bigs[l.ref], f.hash(&f.record(l, i).addr), i, -1)
	}
	hole := i
	for s := l.kind(i); s < swarm.Leecher; s++ {
		l.ends[s]--
		hole = f.move(l, int(l.ends[s]), hole)
	}
	f.move(l, l.len()-1, hole)
	f.cut(l)
}

// move copies the peer at from into the hole, and returns the hole it leaves.
func (f *family[A]) move(l *list, from, hole int) int {
	if from == hole {
		return from
	}
	source, target := f.number(l, from), f.number(l, hole)
	r := f.records.one(source)
	for _, t := range f.tours {
		if t.list == l {
			t.moved(expand(&r.addr), from, hole)
		}
	}
	*f.records.one(target) = *r
	*f.stay(target) = *f.stay(source)
	if f.detailed {
		*f.detail(target) = *f.detail(source)
	}
	if l.isBig() {
		f.renote(f.bigs[l.ref], f.hash(&r.addr), from, hole)
	}
	return from
}

// extend makes a list one longer.
func (f *family[A]) extend(l *list) {
	switch n := l.len(); {
	case l.isBig():
		b := f.bigs[l.ref]
		if n%pageLen == 0 {
			b.pages = append(b.pages, f.allocRecords(runClass(pageLen)))
		}
	case n == 0:
		l.ref = f.allocRecords(runClass(1))
	case n == bigAbove:
		f.makeBig(l)
	case runClass(n+1) != runClass(n):
		f.relocate(l, runClass(n), runClass(n+1))
	}
	l.n++
}

// cut makes a list one shorter.
func (f *family[A]) cut(l *list) {
	l.n--
	switch n := l.len(); {
	case l.isBig():
		b := f.bigs[l.ref]
		if n%pageLen == 0 {
			f.records.release(b.pages[len(b.pages)-1], runClass(pageLen))
			b.pages = b.pages[:len(b.pages)-1]
		}
		f.shrinkIndex(b, n)
		if n < smallBelow {
			f.makeSmall(l)
		}
	case n == 0:
		f.records.release(l.ref, runClass(1))
		*l = list{}
	case runClass(n) != runClass(n+1):
		f.relocate(l, runClass(n+1), runClass(n))
	}
}

func (f *family[A]) allocRecords(class uint8) uint32 {
	n := f.records.alloc(f.arena, class)
	f.stays.keepUp(f.arena, len(f.records.memory))
	if f.detailed {
		f.details.keepUp(f.arena, len(f.records.memory))
	}
	return n
}

// relocate moves a small list to a run of another class.
func (f *family[A]) relocate(l *list, from, to uint8) {
	n := f.allocRecords(to)
	f.copyRun(n, l.ref, l.len())
	f.records.release(l.ref, from)
	l.ref = n
}

func (f *family[A]) copyRun(to, from uint32, n int) {
	copy(f.records.at(to, n), f.records.at(from, n))
	copy(f.stays.at(to, n), f.stays.at(from, n))
	if f.detailed {
		copy(f.details.at(to, n), f.details.at(from, n))
	}
}

// makeBig turns a small list into a page with an index.
func (f *family[A]) makeBig(l *list) {
	n := l.len()
	b := &big{pages: []uint32{f.allocRecords(runClass(pageLen))}}
	f.copyRun(b.pages[0], l.ref, n)
	f.records.release(l.ref, runClass(n))
	b.index.pages = []uint32{f.buckets.alloc(f.arena, runClass(pageOfBins))}
	b.index.count = pageOfBins
	for i := range b.index.count {
		*f.bucketAt(&b.index, i) = bucket{}
	}
	for i := range n {
		f.note(b, f.hash(&f.inPages(b, i).addr), i)
	}
	l.n |= bigFlag
	if free := len(f.freeBigs); free > 0 {
		l.ref = f.freeBigs[free-1]
		f.freeBigs = f.freeBigs[:free-1]
		f.bigs[l.ref] = b
		return
	}
	l.ref = uint32(len(f.bigs))
	f.bigs = append(f.bigs, b)
}

// makeSmall turns a big list of one page into a run.
func (f *family[A]) makeSmall(l *list) {
	n, b := l.len(), f.bigs[l.ref]
	run := f.allocRecords(runClass(n))
	f.copyRun(run, b.pages[0], n)
	f.records.release(b.pages[0], runClass(pageLen))
	f.releaseIndex(b)
	f.bigs[l.ref] = nil
	f.freeBigs = append(f.freeBigs, l.ref)
	l.ref, l.n = run, uint32(n)
}
