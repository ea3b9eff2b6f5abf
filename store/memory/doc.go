// Package memory keeps swarms in the memory of one process. It is the fast
// store, and the one that package store/sqlite puts a journal under.
//
// Torrents are spread over shards by the first byte of their info hash. A shard
// has one lock, and an announce takes that lock once: it records and selects
// under it. Within a torrent the peers of a family lie in one array in the order
// seeders, partial seeds, leechers, so that counting is a subtraction and
// selecting is drawing indices.
//
// # Limits
//
// [Options] bounds peers and torrents. At the limit of peers a newcomer is
// answered but not recorded, and told so. At the limit of torrents a torrent
// without peers, kept for its completed count, makes room; where the shard has
// none, the newcomer is answered as if its torrent were new, and told so.
// Everyone who is in stays in.
package memory
