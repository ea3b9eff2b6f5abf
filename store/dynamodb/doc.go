// Package dynamodb keeps swarms in a table of DynamoDB, or of a server that speaks its
// protocol, such as dynalite or ScyllaDB's Alternator. Any number of trackers may share a
// table; none keeps anything that cannot be lost. docs/dynamodb.md has the items of the
// table, what each thing costs, and the bounds; decision 21 says why it is so.
//
// # The way of an announce
//
//   - [Store.Announce] (store.go) takes a place among those that may wait, and gets to know
//     the torrent: its heads, from seconds ago (cache.go) or asked for (head.go).
//   - A recording (record.go, peer.go) writes the peer. What it replaced says by what the
//     counts change, which a tally (tally.go) adds to the head.
//   - At the same time a reading (view.go) reads the swarm, whole or a sample, for
//     package swarm to choose from; or package shared, where peers are located (located.go).
//
// # What keeps it right
//
//   - Expire (expire.go) purges, moves peers that have another shard by now, and compares
//     peers with counts (recount.go); doubt.go has torrents that must be looked at, limit.go
//     gives up those without peers where there are too many.
//   - The server (server.go) makes attempts in a bounded time; failure.go says which errors
//     pass, and what others mean in words; while the server is away, package faraway asks for
//     it.
//
// # What else lies there
//
// The log that located peers share (map.go, log.go, fold.go, payload.go), documents
// (documents.go), and the mark of the table (table.go).
package dynamodb
