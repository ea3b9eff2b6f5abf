// Package torrent reads and makes .torrent files: what a torrent is called,
// which files it holds, which trackers it names, and the info hash by which
// trackers know it.
//
//	m, err := torrent.Read("image.torrent")         // or Parse, of bytes
//	fmt.Println(m.Name, m.Length, m.InfoHash())
//
//	b, err := torrent.Create(ctx, torrent.CreateOptions{
//		Path:     "image",
//		Announce: [][]string{{"udp://tracker.example:6969"}},
//	})
//	err = torrent.WriteNew("image.torrent", b)
//
// # What it reads
//
// Torrents of version 1 (BEP 3), of version 2 (BEP 52) and of both at once
// (hybrid), with announce lists (BEP 12), web seeds (BEP 19), the private flag
// (BEP 27) and padding files (BEP 47). [Create] makes
// all of these.
//
// A torrent comes from a stranger. What it says of files is checked before
// anyone acts on it: no path leads out of the torrent's folder, none is there
// twice, lengths do not overflow, and there are as many piece hashes as the
// lengths ask for. A torrent that breaks a rule is refused with [ErrMalformed]
// and the rule; [Parse] never panics. What stands around the info dictionary (comment,
// creation date, announce list) does not change what a torrent is: where it has
// the wrong form it is left out, as BitTorrent clients do.
//
// # The info hash
//
// It is the hash of the bytes of the info dictionary as they stand in the file,
// in whatever order its maker wrote the keys. [Metainfo.Info] hands out these
// bytes, and [WithTrackers] writes a file with other trackers around them, which
// is the same torrent.
//
// # The parts
//
//	metainfo.go     Parse and Read, and what a .torrent says
//	files.go        its list of files, of either version, and the rules for paths
//	create.go       Create and its options
//	tree.go         the files under a path on disk: which, in which order, whether they stay as they are
//	layout.go       how they make pieces, by version
//	pieces.go       hashing them on all cores; the table of piece sizes
//	merkle.go       hash trees of version 2
//	encode.go       the bytes of a .torrent
//	trackers.go     other trackers in a .torrent that is there; what is a tracker's URL
//	write.go        putting a file in place whole or not at all
//	magnet.go       magnet links
package torrent
