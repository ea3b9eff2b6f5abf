// Package link makes trackers of different owners act as one: each tells the others which
// peers announced to it. It drives core, which knows peers and decides, and carrier, which
// takes messages from one tracker to another.
//
// # The words
//
// A tracker is the hub of those that join it, which are its leaves, and may itself be the
// leaf of one other: any tree. What was told by others is relayed; all else is local.
//
// # One goroutine, and those around it
//
//	store --Intake--> loop (core.Node) --carrier--> other trackers
//	store <--crew---- loop             <--carrier--
//
// The store tells an [Intake] of each change, under its own lock and without waiting. The
// loop (loop.go) owns the node: every 25 ms, or when much waits, it takes in what changed,
// and at once what links bring. What the node decides about the store is handed to a crew
// of four (apply.go), by info hash, so that what happens to one peer stays in its order:
// they put it in through the tracker, as announces that are relayed. A peer whose location
// must be asked for waits apart, in its newest state. A peer may announce here while a deed
// about it is on its way: then the store is given what it said here again (races.go).
//
// The lag of a link begins when the store told of a change, and ends when the other end has
// taken it in (lag.go).
//
// # Bounds
//
// Of changes 16,384 wait in each of the 16 lanes of the Intake: with more they are
// forgotten, and the store is compared with what the node knows (claim.go). Of messages 64
// wait for the loop, then those wait that received them, and by the carrier's window those
// that send. Of deeds some thousands wait for the crew, then the loop waits. Of peers 4,096
// wait to be located; more count as unlocated. [Options].MaxPeers bounds all others. Of
// .torrent files 32 come and go at a time, four of them by one link.
//
// # From one start to the next
//
// What the store has read back is claimed weakly: any tracker that knows better, does. The
// file state in the directory has the counters of completed downloads, and whether the end
// was clean (life.go). It is written each minute, and at the end.
//
// # Torrents
//
// If both ends want it, .torrent files travel too, in pieces, and are added to the
// catalogue as uploads (sharing.go, files.go). What was removed is remembered for a week,
// for who is away, and so that it is not fetched again (removals.go).
//
// # Trackers
//
// Each end tells where clients reach it, and all trackers of the tree behind its other
// links, for announce lists (trackers.go): 1,000 a link, and 10,000 in all.
//
// # Where to begin
//
// links.go opens and closes, commands.go is what people do, view.go what they see, host.go
// what the node does, rights.go what a link may.
package link
