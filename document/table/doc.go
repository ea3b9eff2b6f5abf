// Package table keeps rows in documents: small values with keys, which several processes
// know in whole, and change many at a time, all or none.
//
//	t, err := table.Open(ctx, store, table.Options{Prefix: "catalog"})
//	for row, err := range t.Load(ctx) { ... }          // all rows
//	err = t.Commit(ctx, table.Batch{Changes: changes}) // ErrConflict: learn News, decide anew
//	news, err := t.News(ctx)                           // what others have changed since
//
// A row may have a blob, which is longer than a document may be. Beside the rows a table
// has lines, numbered from 1, of which the latest are kept.
//
// # The documents
//
//	PREFIX/head                    number and nonce of the latest change, and how many lines
//	PREFIX/change/NUMBER-NONCE     what a change changed; names the nonce of the one before
//	PREFIX/row/KEY                 a row: its value, and which change wrote it
//	PREFIX/blob/KEY/NUMBER-NONCE-PART  bytes of a blob
//	PREFIX/line/NUMBER             a line; numbers count down, so that the latest is listed first
//
// # How a change is made
//
// Everything that is new is written under names of its own, the change itself last. Then
// the head is made to name it, by compare and swap: that is the moment. Then the change
// is applied: its rows and lines are written, and what they replace is removed. Whoever
// dies before the moment has changed nothing. Whoever dies after it has changed all:
// others learn of it from the head, and the next who opens or changes the table applies
// it first. Applying a change twice, at once, or long after does no harm:
//
//   - A row has the number of the change that wrote it. One with as high a number, or a
//     higher one, is left alone.
//   - A row is made before the moment, empty, with a nonce of its own, the incarnation,
//     which the change names. What is applied late does not bring a row back: it is
//     gone, or has another incarnation.
//   - Whoever applies a change removes blobs that were begun before it, and no others.
//
// An empty row of somebody who died is dropped, by a change, with the next that a process
// makes which has found it while loading. Chunks of a blob that nobody names are removed
// when the row is given a blob again, or deleted.
//
// # How others learn of it
//
// By reading the head, one small document, as often as they like: then the changes that
// they do not have yet, back from the head by their nonces. The latest 1,024 changes
// are kept; who is further behind loads all rows. Who has no rows, and adds lines alone,
// reads the head before each.
//
// # The parts
//
//	table.go     what a table is; its documents
//	load.go      Load
//	news.go      News; the head and the way back from it
//	commit.go    Commit: the moment, and who comes too late
//	prepare.go   what is written before it
//	apply.go     what is written after it
//	trim.go      old changes and lines
//	blob.go      blobs in chunks
//	merge.go     Merge, for what needs no order
//	line.go      Lines
package table
