package attack

import (
	"testing"

	"waggle/bittorrent"
)

func TestFloodOfMadeUpTorrentsStaysBelowTheMemoryLimit(t *testing.T) {
	tr := startTracker(t, "", nil, "--store", "memory:", "--limits-memory", "128M")
	floodBelow(t, tr, 128e6, 250_000)
}

// floodBelow makes up torrents of one peer each and looks how much memory that takes, and
// that others are still served.
func floodBelow(t *testing.T, tr *tracker, limit int64, n int) {
	t.Helper()
	attacker := dialUDP(t, "127.0.0.66", tr.udp)
	attacker.flood(t, n, func(n int, a *bittorrent.AnnounceRequest) {
		number(a.InfoHash[:], n+1)
		number(a.PeerID[:], n)
	})
	if now, most := resident(t, tr.cmd.Process.Pid); most >= limit {
		t.Errorf("%d MB resident, at most %d MB, with a limit of %d MB", now/1e6, most/1e6, limit/1e6)
	} else {
		t.Logf("%d MB resident, at most %d MB, of %d MB", now/1e6, most/1e6, limit/1e6)
	}
	wantServed(t, tr)
}

// wantServed checks that two peers are told of each other.
func wantServed(t *testing.T, tr *tracker) {
	t.Helper()
	honest := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1, 2, 3}, PeerID: bittorrent.PeerID{1}, Port: 6881, Left: 1, NumWant: -1}
	dialUDP(t, "127.0.0.2", tr.udp).announce(t, &honest)
	other := honest
	other.PeerID, other.Port = bittorrent.PeerID{2}, 6882
	if r := dialUDP(t, "127.0.0.3", tr.udp).announce(t, &other); r.Incomplete != 2 || r.Peers.Len() != 1 {
		t.Errorf("a peer beside the attack is told of %d leechers and %d peers; want 2 and 1", r.Incomplete, r.Peers.Len())
	}
}
