// Package sqlite is the memory store with a journal: announces are decided in
// memory, and what changed is written to one SQLite file behind them. At start
// the file is read back, so that peers and completed counts survive a restart. It
// is the default of waggle serve.
//
// # What survives
//
//   - A close loses nothing.
//   - A kill -9 loses what was announced in the last second or so. Of a peer that
//     only announces again, its figures may be older, by Options.RefreshEvery.
//   - Who may cross which uplink, and who was told of whom across one, survives as
//     peers do, where Options.Group knows the locations.
//   - A power cut may lose the last transactions, and never damages the file (WAL,
//     synchronous=NORMAL).
//
// # The file
//
// The table swarms has a row for each peer of a torrent, and one for each torrent
// with a completed count; row.go lays out their bytes. The views contents,
// peer_info and torrents show them in words, as the design document of the
// cluster names them, to whoever looks with sqlite3 while waggle runs. The table
// members has a row for each peer that package roster knows, with its role and
// leases, which member.go lays out and the view roles shows. The file carries waggle's
// application id and a version of the schema; one of an older version is brought up to
// it.
//
// A file that is damaged, of another program, of a newer waggle or in use by
// another process is refused, and left as it is.
//
// # The journal
//
// Changes wait in 16 lanes, by the first four bits of the info hash, each bounded.
// The lanes are written in turn, sorted, in transactions of some dozen rows, by one
// goroutine that works for a quarter of the time at most, on Linux on a thread that
// gives way to others. A lane that overflows forgets its
// changes, and its part of memory is written whole instead, some thousand peers at a
// time, leaving alone the rows that are right already: a slow disk
// costs freshness on disk, never memory or an announce's time. A transaction that
// fails, on a full disk say, is logged, and everything is written whole when
// writing works again.
//
// Which roles changed the memory store remembers itself. Those of a lane are taken after
// its rows, some of a shard at a time, and written; a torrent of which too many have
// changed, or that was forgotten, has its members written whole.
package sqlite
