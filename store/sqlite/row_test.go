package sqlite

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

var peers = []swarm.Peer{
	{
		ID: bittorrent.PeerID{1, 19: 2}, Addr: netip.MustParseAddrPort("192.0.2.1:65535"), Key: 1<<32 - 1, Kind: swarm.Leecher,
		Uploaded: 1<<63 - 1, Downloaded: 5, Left: bittorrent.LeftUnknown, First: time.Unix(1, 0), Last: time.Unix(1<<32-1, 0),
	},
	{Addr: netip.MustParseAddrPort("[2001:db8::1]:1"), Kind: swarm.PartialSeed, Left: 7, First: time.Unix(0, 0), Last: time.Unix(2, 0)},
}

func TestRowsKeepAllThatIsKnownOfAPeer(t *testing.T) {
	h := bittorrent.InfoHash{3, 19: 4}
	for _, want := range peers {
		var r row
		r.atPeer(&h, want.Addr)
		r.setPeer(&h, &want, true, 600)
		var got swarm.Peer
		until, err := readPeer(r.key(), r.value(), &got)
		if err != nil || got != want || bittorrent.InfoHash(r.key()) != h {
			t.Errorf("read %+v (%v), want %+v", got, err, want)
		}
		if end := period(600).end(unixSeconds(want.Last), shiftOf(&h, want.Addr)); unixSeconds(until) != end {
			t.Errorf("unwritten until %v, want %d", until, end)
		}
	}
}

func TestRowsWithoutDetailsKeepWhoIsThere(t *testing.T) {
	for _, p := range peers {
		var r row
		r.atPeer(&bittorrent.InfoHash{}, p.Addr)
		r.setPeer(&bittorrent.InfoHash{}, &p, false, 0)
		var got swarm.Peer
		if _, err := readPeer(r.key(), r.value(), &got); err != nil {
			t.Fatal(err)
		}
		want := swarm.Peer{ID: p.ID, Addr: p.Addr, Key: p.Key, Kind: p.Kind, Left: bittorrent.LeftUnknown, First: p.Last, Last: p.Last}
		if got != want {
			t.Errorf("read %+v, want %+v", got, want)
		}
	}
}

func FuzzReadPeer(f *testing.F) {
	for i := range peers {
		var r row
		r.atPeer(&bittorrent.InfoHash{5}, peers[i].Addr)
		for _, details := range []bool{false, true} {
			r.setPeer(&bittorrent.InfoHash{5}, &peers[i], details, 0)
			f.Add(bytes.Clone(r.key()), bytes.Clone(r.value()))
		}
	}
	f.Fuzz(func(t *testing.T, place, state []byte) {
		var p swarm.Peer
		if _, err := readPeer(place, state, &p); err != nil {
			return
		}
		h := bittorrent.InfoHash(place)
		var r row
		r.atPeer(&h, p.Addr)
		r.setPeer(&h, &p, len(state) == stateDetails, 0)
		copy(r.state[9:], state[9:13]) // until when it is unwritten is not the peer's
		if !bytes.Equal(r.key(), place) || !bytes.Equal(r.value(), state) {
			t.Errorf("%x %x was read as %+v, and written as %x %x", place, state, p, r.key(), r.value())
		}
	})
}
