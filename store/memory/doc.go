// Package memory keeps swarms in the memory of one process. It is the fast
// store, and the one that package store/sqlite puts a journal under.
//
// # Layout
//
// Torrents are spread over 256 shards by the first byte of their info hash. A
// shard has one lock, and an announce takes that lock once: it records and
// selects under it. Everything that a shard holds lies in pools of pointer-free
// elements outside of Go's heap, and is known by number:
//
//	torrents   44 bytes each, found by an open table of 4 bytes a place
//	records    16 bytes a peer of IPv4, 28 of IPv6: address, key, last seen
//	details    48 bytes a peer beside its record, where they are wanted
//	buckets    the index of big lists, some 8 bytes a peer
//
// The peers of one family of a torrent are a list: one run of records up to 85,
// pages of 256 with an index by linear hashing beyond. In either the order is
// seeders, partial seeds, leechers, so that counting is a subtraction, selecting
// is drawing indices, and a peer that changes its kind moves at most two others.
// A list grows and shrinks by one page and one bucket at a time: no announce
// waits for a whole swarm to be moved.
//
// # Limits
//
// [Options] bounds peers and torrents. At a limit, a newcomer takes the place of
// a torrent that has no peers and is kept for its completed count; where there is
// none, of the peer that was silent for longest among some of its shard. Where
// the shard has nobody to give up, and its own share of the limit is used up, the
// newcomer is answered but not recorded, and
// told so.
package memory
