// Package core is what one tracker knows of the peers of all trackers that it is
// linked with, and what it says to them: the protocol of links, as a pure state
// machine. Time, bytes and changes go into a [Node]; bytes, changes and closings come
// out of it, through its [Host]. It has no goroutine, clock, socket or file, so that
// a test can play thousands of schedules in seconds (sim_test.go).
//
// # The words
//
// A node has links to neighbours; each is the same to the other, whoever dialled. An
// [Origin] is one life of a node. A peer is of the origin that it announced to
// latest. An entry is what a node has of a peer: figures, [Stamp], origin, when it
// was seen, and the link that it came through. The told set of a link, in one
// direction, is all that the sender has but what came through that same link.
//
// # What is kept, and which of two wins
//
// There is one entry a peer, over all origins: the one with the greater stamp, then
// the greater origin, wins (merge.go), in any order, any number of times, by any
// way round a loop. A peer that left is remembered for a lifetime and two minutes,
// so that older news of it is known to be old. A count of completed downloads is an
// entry too, one for each torrent and origin, with the count for a stamp: it only
// grows, so the sum is exact (local.go).
//
// Nobody's clock is trusted. Lifetimes are measured here, from ages that the other
// end tells. Stamps decide between two changes; where clocks are apart and trackers
// were cut off from each other, they may decide wrongly, and then the node that the
// peer announced to later knows it by the ages, and insists: it says the same again
// with a greater stamp ([Node.Restore] says what of this survives a restart). Of a peer
// that left one tracker and came to another within half a second, as far as ages can
// tell, the coming counts.
//
// The tracker that a peer announced to removes it. The others keep it a minute
// longer than a lifetime, which is how long a peer whose tracker died lives on.
//
// # A session
//
//	A                                   B
//	Hello   ------------------------->      version, origin, clock, what is wanted
//	        <-------------------------  Hello
//	Interest, Ask  <----------------->  Interest, Ask      a session begins by healing
//	Batch   ------------------------->      changes, by torrent
//	        <-------------------------  Ack
//	Heartbeat  <--------------------->  Heartbeat          each 2 s
//
// A link needs to keep messages in order, and may lose them. All but Hello and Bye
// have a sequence number: a gap, or a message that cannot be read, begins a healing.
// What changes waits for each link, each peer once, and at most [Options].MaxWaiting
// of them; a megabyte flies unacknowledged (send.go). Where more waits, all is dropped
// and the other end told to heal: there is no queue without a bound. Nothing heard,
// or nothing acknowledged, for 8 s closes the session (beat.go); whoever drives the
// Node dials again.
//
// # Healing
//
// A heartbeat has two digests: of what its sender has told, and of all that it has.
// The receiver compares the first with what came through the link, or the second
// with all that it has; one that is equal is enough. If neither is, it asks (heal.go):
// for the digests of 256 buckets of torrents, then of the torrents of those that
// differ, of 256 parts of each torrent that is large, and at last for the entries
// (listing.go). Only the asker changes, but for what it knows better, which it sends.
// Each answer is bounded, a few are under way at once, and asking again does no harm,
// so nothing of it must get through: what is lost shows, and it begins anew. One that
// finds nothing, as in a loop under load, is not repeated for 10 s, then 20, up to
// 160. Bytes and steps grow with what differs, not with what there is.
//
// A node that lives again knows nothing. Its neighbours see its new origin, and tell
// it what they have had from its life before, too.
//
// # Who may do what
//
// [LinkOptions] limit what a link brings: whether anything, which torrents, how many
// peers, how many changes a second. Beyond the peers they are left out, those that
// others brought before included; beyond the changes, the link is closed for a minute.
// What it is asked for is only as much as this node can take. No link brings more than
// half of the peers that left, and of the counters, that the node keeps, nor has it look
// at more than some millions of entries a second: what it asks for waits, or it is
// closed. [Node.Revoke] forgets all peers that came through a link, in whatever life of
// its other end.
//
// Counters stay. Whose they are, nobody can tell from the link that they came through
// first; and what takes a counter out has to beat any count, everywhere and for ever,
// or whoever was away brings it back. Any link could say that of any origin, those
// included whose life is over and who have nobody left to contradict.
//
// # Where to look
//
//	node.go      Options, New, Tick, Hold     host.go     what a Node acts upon
//	local.go     what the own store says      merge.go    which change wins
//	table.go     torrents and entries         index.go    how they are found
//	session.go   Open, Receive, Hello         interest.go who is told of what
//	send.go      batches, window              waiting.go  what waits, what flies
//	room.go      what is left out             sweep.go    what is forgotten when
//	beat.go      heartbeats, silence          rights.go   revoking, files
//	heal.go      the asking side              listing.go  the answering side
//	wire*.go     the bytes                    figures.go  what a console shows
//
// # What it costs
//
// A change takes some 32 to 50 bytes on the wire at load, and about a microsecond
// of a processor at each end; an entry 121 to 131 bytes of memory; a million peers to
// a node that has none 48 to 54 MB and one to two seconds of processors
// (BenchmarkChange, BenchmarkHeal).
package core
