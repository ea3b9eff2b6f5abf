// Package shared keeps the located peers of a torrent where several trackers decide
// about them at once: in Redis, DynamoDB or S3.
//
// Who imports for a rack, and which leases there are, package roster decides over all
// members of a torrent in memory. [Replicas] are such rosters, kept in step with a
// [Map] that all trackers share: each learns what others wrote since it asked last,
// decides, and writes what it decided only if nobody else has decided meanwhile. A
// store has a Map of its own kind, is the [Host] of the peers themselves, and hands
// Replicas the announces of torrents that have located peers.
//
// # The two values
//
// Of each peer the Map has what it announced last (announced.go) and the record of its
// roles and leases (role.go), as text that people can read. Announced values are written
// whatever others do; most announces are that and nothing else. Records are written by
// commits, one after the other. What follows from both, by whoever reads them, truth.go
// says: it is made so that announces alone can take roles away and never make two of
// them collide.
//
// # An announce
//
// The store records it, before, or while the Map is asked ([Replicas.AnnounceWhile]: one
// round trip for both). It waits in the queue of its torrent (queue.go), and goes on with
// up to 63 others:
//
//  1. One step of the Map writes what they say, and brings what is new from others.
//  2. The roster decides those that the store has recorded, in their order (announce.go).
//     Where no record changes, that is all. A first announce mostly needs none: kind,
//     place, figures and the interval told are announced, not recorded.
//  3. What changes goes into a second step, a commit (commit.go). If it is refused,
//     what was decided is undone, what the others wrote is taken in, and it is decided
//     again (replica.go), after a random while, eight times at most.
//
// After a step that failed, what was decided is undone, and what was written all the
// same is new in the next answer; unless the Map was merely busy, everything is asked
// for anew. A tracker that dies between both steps leaves announced values ahead of
// records; the peer's next announce, anywhere, catches up.
//
// # What is held in memory
//
// Torrents to which peers announced here in the last minutes, so many and of so many
// members at most; each is tended (tend.go) by every tracker that holds it. Nothing
// is lost with a replica but what is a help only: which importers got nothing lately.
package shared
