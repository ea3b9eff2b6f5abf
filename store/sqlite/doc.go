// Package sqlite is the memory store with a journal: announces are decided in
// memory, and what changed is written to one SQLite file behind them, in one
// transaction a second. At start the file is read back, so that peers and
// completed counts survive a restart. It is the default of waggle serve.
//
// # What survives
//
//   - A close loses nothing.
//   - A kill -9 loses what was announced since the last transaction: about a
//     second.
//   - A power cut may lose the last transactions, and never damages the file (WAL,
//     synchronous=NORMAL).
//
// # The file
//
// Two tables hold what the design document of the cluster calls PEER-INFO and
// CONTENTS: which peers, at which host and port, have which content. They are one
// table here, contents, because all else that is known of a peer is known per
// torrent; torrents holds completed counts. The file carries waggle's
// application id and a version of the schema. It can be read with sqlite3 while
// waggle runs.
//
// A file that is damaged, of another program, of a newer waggle or in use by
// another process is refused, and left as it is.
//
// # The journal
//
// Changes wait in 16 lanes, by the first four bits of the info hash, each
// bounded. A lane that overflows forgets its changes, and at the next
// transaction the torrents of that lane are written whole from memory: a slow
// disk costs freshness on disk, never memory or an announce's time. A
// transaction that fails, on a full disk say, is logged, and everything is
// written whole when writing works again.
package sqlite
