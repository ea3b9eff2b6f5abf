package core

import (
	"encoding/binary"

	"waggle/bittorrent"
)

// buckets is into how many parts torrents fall, by the first byte of their hash, and
// the peers of a large torrent, by a hash of their address.
const buckets = 256

// digests are those of the parts of a set. The digest of a set is the digests of its
// members, combined by exclusive or.
type digests [buckets]uint64

// root returns the digest of all.
func (d *digests) root() uint64 {
	var sum uint64
	for _, part := range d {
		sum ^= part
	}
	return sum
}

// mix is the finaliser of MurmurHash3 (Appleby, 2011; public domain): it permutes 64
// bits, so that no word that is mixed in can undo those before it.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// seedOf is where the digests of a torrent's members begin.
func seedOf(h *bittorrent.InfoHash) uint64 {
	x := mix(binary.LittleEndian.Uint64(h[:]) + 0x9e3779b97f4a7c15)
	x = mix(x ^ binary.LittleEndian.Uint64(h[8:]))
	return mix(x ^ uint64(binary.LittleEndian.Uint32(h[16:])))
}

// placeOf is a hash of torrent and address, which all nodes compute alike.
func (e *entry) placeOf(seed uint64) uint64 {
	x := mix(seed ^ binary.LittleEndian.Uint64(e.addr[:]))
	x = mix(x ^ binary.LittleEndian.Uint64(e.addr[8:]))
	return mix(x ^ uint64(e.port))
}

// digest is that of an entry at a place.
func (e *entry) digest(place uint64) uint64 {
	return mix(mix(place^uint64(e.origin)) ^ uint64(e.stamp))
}
