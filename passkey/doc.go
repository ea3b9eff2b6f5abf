// Package passkey knows who may announce by a secret in the announce URL, and what each of
// them has transferred.
//
//	store, err := passkey.OpenSQLite(ctx, "passkeys.db")
//	book, err := passkey.Open(ctx, passkey.Options{Store: store})
//	made, err := book.Create(ctx, []passkey.New{{Name: "anna"}})
//	tracker.New(swarms, settings, tracker.Options{Doors: []tracker.Door{book}, Recorders: []tracker.Recorder{book}})
//
// # Passkeys
//
// A passkey is 32 or 40 characters, which waggle makes, or which another tracker made. It has
// a name and an id, by which people and programs speak of it: the secret itself is in no
// address of the console, no log, no metric. It is kept as it is, not hashed: whoever runs
// the tracker must be able to show the announce URL again, it travels in every announce
// and lies in .torrent files, and where it leaked another one takes its place
// ([Book.Renew]).
//
// [Book.Enter] refuses who has none, or one that is not known, revoked or expired. It takes
// no lock, allocates nothing, and takes as long for a wrong passkey that begins like a good
// one as for any other.
//
// # What is counted
//
// Clients tell what they have transferred since they started, so that what counts is by how
// much that has grown. The peer id and the info hash of an announce make its session; of
// each session the store keeps the most that was told. Adding an announce takes the higher
// figure, so that it may come twice, late, over IPv4 and IPv6, or by several trackers, and
// counts once; one that is lost is made up for by the next. Figures of an announce with
// the event started count nothing, and begin a session anew where they are lower. The first
// announce of a session that nobody saw begin counts nothing either.
//
// A session that tells of more than [Options.Rate] allows since its last announce is not
// believed: nothing is counted, and the passkey has one more implausible announce.
//
// Announces are gathered in memory and added in the store once a second, or every ten
// where several trackers share it.
//
// # Several trackers
//
// Where the store is [Shared], as one in documents is ([OpenDocuments]), several trackers
// have the same passkeys and add up what was transferred. Each asks once a second what
// others have changed.
//
// # The parts
//
//	passkey.go    what a passkey is, and what it may be
//	book.go       Open, Close; what is in memory
//	door.go       Enter, EnterScrape
//	index.go      entries by their secrets, for announces
//	announce.go   what announces tell, until it is written
//	tally.go      what of that counts
//	edit.go       Create, Change, Revoke, Restore, Renew, Reset, Delete
//	list.go       pages, and looking for a name
//	shared.go     what others change: a store of several trackers, Fresh
//	store.go      what a store keeps
//	memory.go     a store that keeps nothing over a restart
//	sqlite.go     a store in a file; schema.go its tables, and how it is opened
//	documents.go  a store of several trackers, in documents; encoding.go its rows
package passkey
