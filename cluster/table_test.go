package cluster

import (
	"crypto/sha1"
	"net/netip"
	"testing"

	"waggle/bittorrent"
)

// Of a master's counts the greater one stays: a request that waited is counted at an earlier time.
func TestGreaterCountStaysWhateverItsTime(t *testing.T) {
	var all table
	count := Row{InfoHash: bittorrent.InfoHash{1}, Count: true, PeerID: bittorrent.PeerID{9}, Left: 4, Stamp: 200}
	for _, c := range []struct{ left, stamp int64 }{{4, 200}, {5, 100}, {3, 300}} {
		count.Left, count.Stamp = c.left, c.stamp
		all.put(&count)
	}
	if n := all.completed(count.InfoHash); n != 5 || all.rows != 1 {
		t.Errorf("%d downloads in %d rows", n, all.rows)
	}
}

// Whatever order rows of a peer come in, all tables have the same in the end.
func TestOrderInWhichRowsComeDoesNotMatter(t *testing.T) {
	peer := Row{InfoHash: bittorrent.InfoHash{1}, Addr: netip.MustParseAddrPort("10.0.0.1:6881"), Left: 1, First: 1, Stamp: 1}
	var list []Row
	for i, change := range []func(*Row){
		func(*Row) {}, func(r *Row) { r.Bare, r.Stamp = true, 9 }, func(r *Row) { r.Gone, r.Stamp = true, 5 },
		func(r *Row) { r.Stamp = 5 }, func(r *Row) { r.Left, r.Stamp = 2, 5 }, func(r *Row) { r.Stamp = 3 },
	} {
		r := peer
		r.First = int64(i)
		change(&r)
		list = append(list, r)
	}
	var digest uint64
	for first := range list {
		var all table
		for i := range list {
			r := list[(first+i)%len(list)]
			all.put(&r)
		}
		at := peer.cursor()
		d := all.digest[leafOf(&at)]
		if first > 0 && d != digest {
			t.Errorf("from row %d on it is %+v", first, all.get(peer.cursor()))
		}
		digest = d
	}
}

// A snapshot that is made in parts has each peer over IPv4 that is there once, in its order.
func TestSnapshotHasAllPeers(t *testing.T) {
	var all table
	var list []Triplet
	for i, r := range manyRows(500, 1) {
		switch i % 5 {
		case 0:
			r.Gone = true
		case 1:
			r.Addr = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 15: byte(i)}), 6881)
		default:
			list = append(list, Triplet{r.InfoHash, r.Addr.Addr().As4(), r.Addr.Port()})
		}
		all.put(&r)
	}
	for _, most := range []int{1, 7, 100, 1000} {
		s := &snapshot{sum: sha1.New()}
		for range 2 + 500/most {
			s.goOn(&all, most)
		}
		if !s.whole || s.contents != contentsOf(list) || len(s.triplets) != len(list)*tripletLen {
			t.Errorf("%d at a time: %d triplets of %d, whole: %v", most, len(s.triplets)/tripletLen, len(list), s.whole)
		}
	}
}

// What differs in a large torrent is found without telling all of its peers.
func TestLargeTorrentLiesInAllLeaves(t *testing.T) {
	var all table
	for i := range 10 * leaves {
		all.put(&Row{
			InfoHash: bittorrent.InfoHash{1}, Left: 1, Stamp: 1,
			Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 6881),
		})
	}
	for leaf, rows := range all.leaf {
		if len(rows) == 0 || len(rows) > 30 {
			t.Errorf("leaf %d has %d rows, where 10 are to be expected", leaf, len(rows))
		}
	}
}
