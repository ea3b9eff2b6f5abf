package core

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Where an entry came from: viaHere, or the slot of a neighbour, which is even. What a
// neighbour told in a life that is over has viaFormer beside it: its next life is told
// of that like of all else.
const (
	viaHere   uint16 = 0 // it was made here
	viaFormer uint16 = 1
)

// States of an entry.
const (
	free   uint8 = iota
	live         // a peer that is there
	gone         // a peer that left: kept so that older news of it is known to be old
	counts       // not a peer: how many downloads an origin has seen completed
)

// entry is a peer of a torrent, or a counter. That has its origin for an address,
// no port, and the count for a stamp: what is greater wins, of both.
type entry struct {
	origin     Origin
	stamp      Stamp
	left       int64 // of gone: when it was removed, in ticks
	uploaded   int64
	downloaded int64
	addr       [16]byte // IPv4 in IPv6 clothes
	id         bittorrent.PeerID
	key        uint32
	torrent    uint32
	next, prev uint32 // of its torrent; next: of those that are free
	seen       uint32 // of its last announce, in ticks of this node
	port       uint16
	via        uint16
	state      uint8
	kind       swarm.Kind
	kept       bool // the own store has kept it from a life before; nothing later is known of it
	listed     bool // in the listing that is being read
}

// torrent is what the table has of one.
type torrent struct {
	hash     bittorrent.InfoHash
	seed     uint64
	first    uint32 // entry; 0: none
	next     uint32 // of those that are free
	size     uint32 // entries
	live     uint32 // live peers
	counters uint32 // origins that count its downloads
	total    uint64 // completed downloads of all origins
	at       uint32 // in its bucket
}

func (b *table) hashOfEntry(t uint32, addr *[16]byte, port uint16) uint32 {
	var k [22]byte
	copy(k[:16], addr[:])
	binary.LittleEndian.PutUint16(k[16:], port)
	binary.LittleEndian.PutUint32(k[18:], t)
	return b.hashOf(k[:])
}

// The table grows by chunks, so that growing copies nothing.
const (
	chunkBits = 10
	chunkLen  = 1 << chunkBits
	chunkMask = chunkLen - 1
)

// table holds torrents and entries. Both have numbers from 1 up, which stay theirs
// for as long as they are there.
type table struct {
	torrents    [][]torrent
	torrentOf   index
	freeTorrent uint32
	topTorrent  uint32

	entries   [][]entry
	entryOf   index
	freeEntry uint32
	topEntry  uint32

	hashSeed maphash.Seed
	buckets  [buckets][]uint32 // torrents by the first byte of their hash, in no order
}

func newTable() table {
	return table{hashSeed: maphash.MakeSeed()}
}

func (b *table) torrent(t uint32) *torrent { return &b.torrents[t>>chunkBits][t&chunkMask] }

func (b *table) entry(i uint32) *entry { return &b.entries[i>>chunkBits][i&chunkMask] }

// lookup returns the torrent's number; 0: unknown.
func (b *table) lookup(h bittorrent.InfoHash) uint32 {
	return b.torrentOf.find(b.hashOf(h[:]), func(t uint32) bool { return b.torrent(t).hash == h })
}

// find returns the entry's number; 0: unknown.
func (b *table) find(t uint32, addr *[16]byte, port uint16) uint32 {
	if t == 0 {
		return 0
	}
	return b.entryOf.find(b.hashOfEntry(t, addr, port), func(i uint32) bool {
		e := b.entry(i)
		return e.addr == *addr && e.port == port && e.torrent == t
	})
}

// addTorrent makes a torrent that is not there.
func (b *table) addTorrent(h bittorrent.InfoHash) uint32 {
	t := b.freeTorrent
	if t != 0 {
		b.freeTorrent = b.torrent(t).next
	} else {
		b.topTorrent++
		t = b.topTorrent
		if int(t>>chunkBits) >= len(b.torrents) {
			b.torrents = append(b.torrents, make([]torrent, chunkLen))
		}
	}
	bucket := &b.buckets[h[0]]
	*b.torrent(t) = torrent{hash: h, seed: seedOf(&h), at: uint32(len(*bucket))}
	*bucket = append(*bucket, t)
	b.torrentOf.add(b.hashOf(h[:]), t)
	return t
}

// dropTorrent forgets a torrent that has no entries.
func (b *table) dropTorrent(t uint32) {
	r := b.torrent(t)
	bucket := b.buckets[r.hash[0]]
	last := bucket[len(bucket)-1]
	bucket[r.at] = last
	b.torrent(last).at = r.at
	b.buckets[r.hash[0]] = bucket[:len(bucket)-1]
	b.torrentOf.remove(b.hashOf(r.hash[:]), t)
	*r = torrent{next: b.freeTorrent}
	b.freeTorrent = t
}

// addEntry makes an entry that is not there; it has no state yet.
func (b *table) addEntry(t uint32, addr *[16]byte, port uint16) uint32 {
	i := b.freeEntry
	if i != 0 {
		b.freeEntry = b.entry(i).next
	} else {
		b.topEntry++
		i = b.topEntry
		if int(i>>chunkBits) >= len(b.entries) {
			b.entries = append(b.entries, make([]entry, chunkLen))
		}
	}
	r := b.torrent(t)
	*b.entry(i) = entry{addr: *addr, port: port, torrent: t, next: r.first}
	if r.first != 0 {
		b.entry(r.first).prev = i
	}
	r.first = i
	r.size++
	b.entryOf.add(b.hashOfEntry(t, addr, port), i)
	return i
}

// dropEntry forgets an entry, and its torrent with its last one.
func (b *table) dropEntry(i uint32) {
	e := b.entry(i)
	r := b.torrent(e.torrent)
	if e.prev != 0 {
		b.entry(e.prev).next = e.next
	} else {
		r.first = e.next
	}
	if e.next != 0 {
		b.entry(e.next).prev = e.prev
	}
	r.size--
	b.entryOf.remove(b.hashOfEntry(e.torrent, &e.addr, e.port), i)
	if r.size == 0 {
		b.dropTorrent(e.torrent)
	}
	*e = entry{next: b.freeEntry}
	b.freeEntry = i
}

// addrPort returns where the peer is.
func (e *entry) addrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(e.addr).Unmap(), e.port)
}

// counterAddr is what a counter has for an address.
func counterAddr(o Origin) (addr [16]byte) {
	binary.BigEndian.PutUint64(addr[:], uint64(o))
	return addr
}

// check is by what a receiver knows that a refresh means the client that it has.
func check(id *bittorrent.PeerID, key uint32) uint16 {
	x := mix(binary.LittleEndian.Uint64(id[:]) ^ uint64(key)<<32)
	x = mix(x ^ binary.LittleEndian.Uint64(id[8:]))
	return uint16(mix(x ^ uint64(binary.LittleEndian.Uint32(id[16:]))))
}
