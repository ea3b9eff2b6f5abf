// Package catalog knows which torrents there are: those that a tracker distributes,
// and those that it did.
//
//	store, err := catalog.OpenSQLite(ctx, "catalog.db")
//	c, err := catalog.Open(ctx, catalog.Options{Store: store, Directory: "torrents"})
//	t, err := c.Add(ctx, "image.torrent", metainfo)
//	c.Active(&t.InfoHash) // true
//
// # Where torrents come from
//
// From a watched directory: a .torrent that appears in it is registered and active;
// where its contents become another torrent, the old one is deactivated and the new
// one registered; when it is removed, the torrent is deactivated, and active again
// when it is put back. A file that is being written is taken once it is whole. Hidden
// files, and what is in folders below, are left alone. Of several files with one
// torrent the first counts, and the others step in when it goes.
//
// And from [Catalog.Add], for the API. What was uploaded is in the store, not in the
// directory.
//
// # Transfers, periods, history
//
// A [Transfer] is a torrent with its dates. It is active until it is deactivated, by
// hand or because its file went. Then the period, with its dates, goes into the
// history, which [Catalog.History] shows, and which outlives the transfer.
// Activating begins another period. What was deactivated by hand stays so, whatever
// happens in the directory and over restarts, until it is activated by hand.
//
// A hybrid torrent (BEP 52) has two info hashes. It is one transfer, and either hash
// finds it.
//
// # What survives
//
// Edits are in the store before they are in memory, and before the call returns.
// Started and Completed are written behind, once a second: a kill -9 loses the last
// second of them, a close nothing. A store that fails, on a full disk say, fails
// edits; the directory and what was marked are tried again.
//
// # Several trackers
//
// Where the store is [Shared], as one in documents is ([OpenDocuments]), several trackers
// have one catalogue. Each asks once a second what others have changed, which takes one
// small request where that is nothing, and reads what it is, not all. Who may be stopped
// in between asks for it: [Catalog.Fresh]. An edit is decided on what is in the store
// then; where another tracker is faster, it is decided anew. Starts and completions are
// merged, the earlier first ones and the later last ones, and written every ten seconds.
// Trackers that watch a directory watch the same one.
//
// # Announces
//
// [Catalog.Active], [Catalog.Profile], [Catalog.Started] and [Catalog.Completed] take
// no lock and allocate nothing. [Catalog.Ask] takes one for as long as it takes to find a hash.
//
// # The parts
//
//	catalog.go     what a transfer is; Open and Close; reading one
//	edit.go        Add, Activate, Deactivate, Delete
//	profile.go     SetProfile, and Profile for announces
//	list.go        pages: List, Named, History
//	each.go        all of them by name: ByName
//	index.go       entries by hash, for announces
//	marks.go       Started and Completed, and writing them behind
//	asked.go       hashes that were asked for
//	plan.go        changes: first in the store, then in memory
//	watch.go       when to look at the directory
//	directory.go   what follows from a look
//	files.go       what is known of its files; reading them
//	name.go        names of .torrent files
//	store.go       what a store keeps
//	memory.go      a store that keeps nothing over a restart
//	sqlite.go      a store in a file; schema.go its tables, and how it is opened
//	shared.go      what others change: a store of several trackers, Fresh
//	documents.go   such a store, in documents; encoding.go how records are written there
package catalog
