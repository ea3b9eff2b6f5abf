// Package events tells of announces outside: to a receiver over HTTP (a webhook), to a NATS, or to
// both, for sites that do accounting.
//
//	announce -> intake -> batch -> spool -> delivery to each end, until it has it
//
// A [Stream] is told of each announce that the store has taken in, and of each peer that it has
// forgotten. These never wait: they are copied into a lane of a bounded queue (intake.go), where one
// that does not fit is counted as lost. A goroutine makes lines of JSON of them (line.go), and
// batches of those, which it appends to a spool of files (spool.go, segment.go): so a batch outlives
// the process. Each end has a place in the spool, and a goroutine that delivers what comes after it,
// one batch after the other, until each was taken (deliver.go; webhook.go, nats.go). What all ends
// have is removed. Where the spool is full, the oldest batches go.
//
// Events are numbered, those that were lost too. So how many an end lacks follows from the number
// that it expects and the one that comes: the batch says it ("lost"). A batch is delivered at least
// once; its id is the same each time. It is signed (package signature) at each attempt. One that is too
// large for an end goes in pieces (piece.go); one that it refuses for long is put aside (aside.go).
//
// Without a folder for the spool batches are in memory, as they are while the disk fails.
package events
