package peer

import (
	"testing"

	"waggle/bittorrent"
	"waggle/torrent"
)

// A .torrent of a stranger is refused, or each of its pieces has its bytes in the
// files.
func FuzzTorrentIsLaidOutOrRefused(f *testing.F) {
	for _, version := range []torrent.Version{torrent.V1, torrent.V2, torrent.Hybrid} {
		b, err := torrent.Create(f.Context(), torrent.CreateOptions{Path: ".", PieceLength: pieceLength, Version: version})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("d4:infod5:filesld6:lengthi1e4:pathl1:aeed6:lengthi3e4:pathl1:beee4:name1:n12:piece lengthi2e6:pieces40:0123456789012345678901234567890123456789ee"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, l, err := newData(b)
		if err != nil {
			return
		}
		if l.pieces > 1<<16 {
			return // no fault, and no time
		}
		var sum int64
		for i := range l.pieces {
			sum += l.bytes(i)
		}
		if sum != d.meta.Length {
			t.Errorf("its pieces have %d bytes of files, and its files %d", sum, d.meta.Length)
		}
		for i := range l.spans {
			if first, end := l.piecesOf(i); first < 0 || end > l.pieces || first > end {
				t.Errorf("file %d is in pieces %d to %d of %d", i, first, end, l.pieces)
			}
		}
	})
}

func FuzzMagnet(f *testing.F) {
	f.Add("magnet:?xt=urn:btih:0123456789012345678901234567890123456789&tr=udp%3A%2F%2Fa.example%3A1&x.pe=127.0.0.1:1")
	f.Add("magnet:?xt=urn:btmh:12200123456789012345678901234567890123456789012345678901234567890123&dn=x")
	f.Add("magnet:?xt=urn:btih:&xt=urn:btmh:")
	f.Fuzz(func(t *testing.T, link string) {
		m, err := parseMagnet(link)
		if err != nil {
			return
		}
		for _, tier := range m.trackers {
			if err := torrent.CheckTrackerURL(tier[0]); err != nil {
				t.Error(err)
			}
		}
	})
}

// Whatever comes from the network is passed over, or answers what was asked.
func FuzzAnswerOfAGroup(f *testing.F) {
	f.Add(bittorrent.AppendUDPConnectResponse(nil, 7, 1), false, uint32(bittorrent.ActionConnect))
	f.Add(announced(7, 60, "192.0.2.1:1"), false, uint32(bittorrent.ActionAnnounce))
	f.Add(announced(7, 60, "[2001:db8::1]:1"), true, uint32(bittorrent.ActionAnnounce))
	f.Add(bittorrent.AppendUDPError(nil, 7, "no"), false, uint32(bittorrent.ActionAnnounce))
	f.Fuzz(func(t *testing.T, packet []byte, v6 bool, action uint32) {
		action %= 2
		r, ok := believe(packet, v6, bittorrent.Action(action), []uint32{6, 7})
		if !ok {
			return
		}
		if r.TransactionID != 6 && r.TransactionID != 7 {
			t.Errorf("transaction %d is believed", r.TransactionID)
		}
		switch r.Action {
		case bittorrent.ActionError:
		case bittorrent.ActionConnect:
			if _, err := r.ConnectionID(); err != nil {
				t.Error(err)
			}
		case bittorrent.ActionAnnounce:
			var out bittorrent.AnnounceResponse
			if err := r.Announce(v6, &out); err != nil || out.Peers.Len() > groupPeers {
				t.Errorf("%d peers, %v", out.Peers.Len(), err)
			}
		default:
			t.Errorf("action %d is believed", r.Action)
		}
	})
}
