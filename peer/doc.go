// Package peer fetches torrents and seeds them: it is what "waggle get", "waggle
// seed" and "waggle push" do. Pieces are passed on by
// github.com/anacrolix/torrent, which only this package imports; what a tracker is
// told, where data lie and what survives a kill is decided here.
//
//	data, err := peer.OpenPart(ctx, metainfo, "/srv/images") // or OpenWhole, to seed
//	c, err := peer.New(peer.Options{Prefer: data.Port()})
//	defer c.Close()
//	t, err := c.Add(ctx, data)
//	err = t.Wait(ctx)  // all is in place
//
// # Where data lie
//
// A download lies in NAME.part, a file or a folder, and is called NAME once every
// piece is whole and on disk. Nothing that has the name NAME is ever half there,
// or overwritten. When the disk is full or the folder read-only the torrent fails
// with what to do, and NAME.part stays for the next time.
//
// # What survives a kill
//
// Beside the data lies .NAME.waggle, an SQLite file with the table CHUNK (sha1,
// offset) of seed document 003: the info hash, and the offset of each piece that
// is finished. It lies there, and not in a home folder, so that it goes where the
// data go and a system user needs no home; it may be deleted at any time, which
// costs hashing and nothing else. It is kept after the download, so that getting
// or seeding again has nothing to hash either.
//
// Rows are written once a second, each after the data of its piece have been
// synced. After a kill, pieces with a row are taken as they are, without hashing;
// what was written in the last second, or of pieces that were not finished, is
// hashed; where nothing was ever written, nothing is even read.
//
// The table FILE holds size and time of modification of each file. While a
// download goes on that time is one of our own choice, set again after each write:
// so a file that somebody else has written to is known by it, and its pieces are
// hashed, at the next start and also before NAME.part becomes NAME. A kill between
// a write and the setting of the time looks the same, and costs the same hashing.
//
// # What trackers are told
//
// started, once what is there has been hashed; completed, once data that were not
// there before are in place; stopped, at Close. The port of the last time is
// listened on again if it is free, so that a tracker, which knows peers by their
// address, does not take who comes back after a kill for one more.
//
// A tracker may be a cluster behind a multicast group, such as
// udp://239.192.0.69:6969/announce or udp://[ff02::69%eth0]:6969: whichever
// instance is master answers, from its own address. Requests are sent again every
// 15 seconds, so that a failover goes unnoticed, and after 75 seconds of silence
// the tracker is held for down, the user is told, and it is tried again later, as
// others are.
//
// A hybrid torrent is announced by its version 1 info hash alone. Web seeds and
// trackers over WebSocket are not used.
//
// # The parts
//
//	client.go        Client, its options, and how the library is set up
//	torrent.go       a torrent's life: check, fetch, put in place, seed
//	announce.go      when trackers are asked, and which
//	ask.go           asking one, over UDP or HTTP
//	multicast.go     asking a cluster by its multicast group, over the socket of
//	                 multicast_socket.go
//	data.go          opening files, and what of them is trusted
//	files.go         reading and writing them; telling others' writes from ours
//	layout.go        which bytes of a torrent are which file's
//	table.go         the table of pieces
//	storage.go       all this as the library sees it
//	magnet.go        from a magnet link to a .torrent
//	hole_linux.go    where nothing was written
package peer
