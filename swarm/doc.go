// Package swarm holds what a tracker knows of the peers of a torrent, and the
// choice of whom a peer is told of.
//
// # The pieces
//
//   - [Announce] and [Reply] are one announce on its way to a store and back.
//   - [Store] is where swarms are kept: in memory, in SQLite, on a server.
//     Stores differ only in where bytes lie; package store/storetest proves them
//     alike.
//   - [Selector] has the one algorithm that chooses peers, over whatever [View] of
//     a swarm a store can give.
//   - [Change] and [Snapshot] are how others hear of what a store holds.
//
// # Who is told of whom
//
// A peer is a [Seeder], a [PartialSeed] (it has all that it wants, BEP 21) or a
// [Leecher]. Seeders and partial seeds download nothing, so they are told of
// leechers only. A leecher is told of both: seeders and partial seeds first, in
// up to half of the places, then leechers; what one kind cannot fill, the other
// gets. Within a kind every peer is as likely as any other. Nobody is told of
// itself, neither by its address nor by its peer id, so that a client on IPv4
// and IPv6 does not meet itself.
//
// A peer is known by its address and port. That is what others dial, what a
// packet proves, and all that the smallest record has room for. A client that
// announces from an IPv4 and an IPv6 address is two peers.
//
// # Time and chance
//
// Nothing here reads a clock or owns a source of random numbers: an announce
// carries its time, and whoever selects passes a generator in.
package swarm
