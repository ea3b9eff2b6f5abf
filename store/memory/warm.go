package memory

import (
	"math/bits"
	"net/netip"
	"slices"

	"waggle/bittorrent"
)

// warmGroup is how many announces are looked ahead for at a time, under the locks
// of their shards.
const warmGroup = 16

// Warm is documented at [swarm.Warmer].
func (s *Store) Warm(hashes []bittorrent.InfoHash, peers []netip.AddrPort) {
	for len(hashes) > 0 {
		n := min(len(hashes), warmGroup)
		s.warmGroup(hashes[:n], peers[:n])
		hashes, peers = hashes[n:], peers[n:]
	}
}

// warmGroup goes a step of the way to the peers for all announces before the next
// one: table, torrent, and what finds a peer among the others. What a step reads
// is known before it, so the processor waits for all of it together, if it is not
// kept from looking so far ahead by anything between two readings: thus the loops
// that do nothing else, and the locks that are taken before and let go after.
func (s *Store) warmGroup(hashes []bittorrent.InfoHash, peers []netip.AddrPort) {
	var (
		locked   shardSet
		shards   [warmGroup]*shard
		hash     [warmGroup]uint64
		places   [warmGroup]*place
		torrents [warmGroup]*torrent
		buckets  [warmGroup]*bucket
		lines    lines
		records  [warmGroup]*uint16
		stays    [warmGroup]*stay
		touched  uint32
	)
	for i := range hashes {
		locked.add(ShardOf(hashes[i]))
	}
	s.lockAll(&locked)
	for i := range hashes {
		t := &s.shards[ShardOf(hashes[i])].torrents
		hash[i], places[i] = t.hash(&hashes[i]), &nowhere
		if len(t.table) > 0 {
			places[i] = &t.table[t.slot(hash[i])]
		}
	}
	for i := range hashes {
		touched += uint32(*places[i])
	}
	for i := range hashes {
		shards[i] = s.shard(hashes[i])
		torrents[i] = shards[i].torrents.likely(hash[i])
	}
	for i := range hashes {
		touched += torrents[i].downloaded + torrents[i].v6
	}
	for i := range hashes {
		buckets[i] = shards[i].ahead(torrents[i], peers[i], &lines)
	}
	for i := range hashes {
		touched += buckets[i].next
	}
	for i := range lines.n {
		touched += uint32(*lines.at[i])
	}
	for i := range hashes {
		records[i], stays[i] = shards[i].likely(torrents[i], peers[i], buckets[i])
	}
	for i := range hashes {
		touched += uint32(*records[i]) + stays[i].last
	}
	shards[0].touched = touched
	s.unlockAll(&locked)
}

// Where there is nothing to read.
var (
	nowhere  place
	nobody   = torrent{v6: noIPv6}
	noBucket bucket
	noRecord uint16
	noStay   stay
)

// lines are records to be read, one in each cache line.
type lines struct {
	at [warmGroup * linesEach]*uint16
	n  int
}

// linesEach is the most lines for an announce: those of the longest small list of
// IPv4.
const (
	lineRecords = 8
	linesEach   = (bigAbove + lineRecords - 1) / lineRecords
)

// shardSet is a set of shards.
type shardSet [Shards / 64]uint64

func (s *shardSet) add(shard int) { s[shard/64] |= 1 << (shard % 64) }

// lockAll takes locks in the order of shards, so that two that do so never wait
// for each other.
func (s *Store) lockAll(set *shardSet) {
	for word, rest := range set {
		for ; rest != 0; rest &= rest - 1 {
			s.shards[word*64+bits.TrailingZeros64(rest)].mu.Lock()
		}
	}
}

func (s *Store) unlockAll(set *shardSet) {
	for word, rest := range set {
		for ; rest != 0; rest &= rest - 1 {
			s.shards[word*64+bits.TrailingZeros64(rest)].mu.Unlock()
		}
	}
}

// likely returns the first torrent whose place has the bits of a hash, without
// looking at the torrent; nobody, if there is none.
func (t *torrents) likely(hash uint64) *torrent {
	if len(t.table) == 0 {
		return &nobody
	}
	for at := t.slot(hash); ; at = t.after(at) {
		switch p := t.table[at]; {
		case p == 0:
			return &nobody
		case p.is(hash):
			return t.one(p.number())
		}
	}
}

// ahead returns the bucket, or appends the lines, in which a peer of a torrent is
// looked for.
func (sh *shard) ahead(t *torrent, peer netip.AddrPort, to *lines) *bucket {
	if peer.Addr().Is4() {
		addr := compact4(peer)
		return sh.v4.ahead(&t.v4, &addr, to)
	}
	if l := sh.list6(t); l != nil {
		addr := compact6(peer)
		return sh.v6.ahead(l, &addr, to)
	}
	return &noBucket
}

// ahead is the same for a list: a big one has buckets.
func (f *family[A]) ahead(l *list, addr *A, to *lines) *bucket {
	if l.isBig() {
		x := &f.bigs[l.ref].index
		return f.bucketAt(x, x.bin(f.hash(addr)))
	}
	if l.n > 0 {
		records := f.records.at(l.ref, int(l.n))
		for i := 0; i < len(records) && i < linesEach*lineRecords; i += lineRecords {
			to.at[to.n] = &records[i].id
			to.n++
		}
	}
	return &noBucket
}

// likely returns the id and the stay of what is likely to be a peer of a torrent,
// by the bucket that was read if there is one.
func (sh *shard) likely(t *torrent, peer netip.AddrPort, c *bucket) (*uint16, *stay) {
	if peer.Addr().Is4() {
		addr := compact4(peer)
		return sh.v4.likely(&t.v4, &addr, c)
	}
	if l := sh.list6(t); l != nil {
		addr := compact6(peer)
		return sh.v6.likely(l, &addr, c)
	}
	return &noRecord, &noStay
}

func (f *family[A]) likely(l *list, addr *A, c *bucket) (*uint16, *stay) {
	at := -1
	if !l.isBig() {
		at = f.find(l, addr)
	} else if i := slices.Index(c.tags[:], tagOf(f.hash(addr))); i >= 0 {
		at = int(c.positions[i]) - 1
	}
	if at < 0 {
		return &noRecord, &noStay
	}
	n := f.number(l, at)
	return &f.records.one(n).id, f.stay(n)
}
