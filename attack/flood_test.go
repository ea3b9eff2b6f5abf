package attack

import (
	"encoding/json"
	"testing"

	"waggle/bittorrent"
)

func TestFloodOfMadeUpTorrentsStaysBelowTheMemoryLimit(t *testing.T) {
	tr := startTracker(t, "", nil, "--store", "memory:", "--limits-memory", "128M")
	floodBelow(t, tr, 128e6, 150_000, anyTorrent)
	wantAtMost(t, tr, 130_000) // 16 MiB are for peers, of 144 bytes each with its torrent; shards may have an eighth more
}

func TestFloodOfOneShardStaysBelowTheMemoryLimit(t *testing.T) {
	tr := startTracker(t, "", nil, "--store", "memory:", "--limits-memory", "128M", "--limits-torrents", "30k")
	floodBelow(t, tr, 128e6, 60_000, func(h *bittorrent.InfoHash, n int) {
		number(h[1:], n)
		h[0] = 7
	})
	wantAtMost(t, tr, 30_000+30_000/8) // each shard has some room of its own
}

// wantAtMost checks that a flood has not filled the store beyond its limit, and that it was one.
func wantAtMost(t *testing.T, tr *tracker, torrents int) {
	t.Helper()
	_, body := get(t, tr.console+"/figures", "")
	var figures struct {
		Store   struct{ Torrents int }
		Tracker struct{ Announces int }
	}
	if err := json.Unmarshal(body, &figures); err != nil {
		t.Fatal(err)
	}
	if got := figures.Store.Torrents; got > torrents || got < torrents/2 {
		t.Errorf("after %d announces there are %d torrents; want %d at most, and nearly so many", figures.Tracker.Announces, got, torrents)
	}
	if figures.Tracker.Announces < torrents+torrents/10 {
		t.Errorf("%d announces are no flood of a store for %d torrents", figures.Tracker.Announces, torrents)
	}
}

// anyTorrent makes an info hash as others have none.
func anyTorrent(h *bittorrent.InfoHash, n int) { number(h[:], n) }

// floodBelow makes up torrents of one peer each and looks how much memory that takes, and
// that others are still served.
func floodBelow(t *testing.T, tr *tracker, limit int64, n int, hash func(*bittorrent.InfoHash, int)) {
	t.Helper()
	attacker := dialUDP(t, "127.0.0.66", tr.udp)
	attacker.flood(t, n, func(n int, a *bittorrent.AnnounceRequest) {
		hash(&a.InfoHash, n+1)
		number(a.PeerID[:], n)
	})
	_, most := resident(t, tr.cmd.Process.Pid)
	if most >= limit {
		t.Errorf("%d MB resident at most, with a limit of %d MB", most/1e6, limit/1e6)
	}
	t.Logf("%d MB resident at most, of %d MB", most/1e6, limit/1e6)
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
