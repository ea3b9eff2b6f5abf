package memory_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/store/storetest"
	"waggle/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStoreConforms(t *testing.T) {
	storetest.Run(t, func(*testing.T) swarm.Store { return memory.New(memory.Options{}) })
}

func announce(torrent byte, peer int) *swarm.Announce {
	return &swarm.Announce{
		AnnounceRequest: bittorrent.AnnounceRequest{
			InfoHash: bittorrent.InfoHash{torrent},
			PeerID:   bittorrent.PeerID{byte(peer >> 8), byte(peer)},
			Port:     6881,
			Left:     1,
			NumWant:  50,
		},
		From:     netip.AddrFrom4([4]byte{10, 0, byte(peer >> 8), byte(peer)}),
		Now:      time.Unix(1000, 0),
		Families: swarm.IPv4,
	}
}

func do(t *testing.T, s *memory.Store, a *swarm.Announce) *swarm.Reply {
	t.Helper()
	r := new(swarm.Reply)
	if err := s.Announce(context.Background(), a, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func totals(t *testing.T, s *memory.Store) swarm.Totals {
	t.Helper()
	n, err := s.Totals(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAtThePeerLimitANewcomerIsAnsweredAndNotRecorded(t *testing.T) {
	s := memory.New(memory.Options{MaxPeers: 3})
	for n := range 3 {
		if r := do(t, s, announce(1, n)); r.Warning != "" {
			t.Fatalf("warned below the limit: %s", r.Warning)
		}
	}
	r := do(t, s, announce(1, 4))
	if r.Peers.Len() != 3 || r.Warning == "" {
		t.Errorf("newcomer: %d peers, warning %q; want 3 and a warning", r.Peers.Len(), r.Warning)
	}
	do(t, s, announce(2, 5))
	if got, want := totals(t, s), (swarm.Totals{Torrents: 1, Peers: 3}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
	if r := do(t, s, announce(1, 2)); r.Warning != "" || r.Incomplete != 3 {
		t.Errorf("a peer that is in: warning %q, %d leechers; want none and 3", r.Warning, r.Incomplete)
	}
	stop := announce(1, 0)
	stop.Event = bittorrent.EventStopped
	do(t, s, stop)
	if r := do(t, s, announce(1, 4)); r.Warning != "" {
		t.Errorf("warned although a place was free: %s", r.Warning)
	}
}

func TestAtTheTorrentLimitATorrentWithoutPeersMakesRoom(t *testing.T) {
	s := memory.New(memory.Options{MaxTorrents: 1})
	done := announce(1, 1)
	done.Left, done.Event = 0, bittorrent.EventCompleted
	do(t, s, done)
	second := announce(1, 2)
	second.InfoHash[19] = 1 // in the same shard
	if r := do(t, s, second); r.Warning == "" {
		t.Error("no warning at the limit of torrents")
	}
	done.Event = bittorrent.EventStopped
	do(t, s, done)
	if r := do(t, s, second); r.Warning != "" || r.Incomplete != 1 {
		t.Errorf("warning %q, %d leechers; want the empty torrent to have made room", r.Warning, r.Incomplete)
	}
	if got, want := totals(t, s), (swarm.Totals{Torrents: 1, Peers: 1}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
}

func TestListenerHearsEveryChangeInOrder(t *testing.T) {
	var heard []swarm.Change
	s := memory.New(memory.Options{Changed: func(c *swarm.Change) { heard = append(heard, *c) }})
	a := announce(1, 1)
	do(t, s, a)
	a.Left, a.Event = 0, bittorrent.EventCompleted
	do(t, s, a)
	a.Event = bittorrent.EventStopped
	do(t, s, a)
	b := announce(2, 2)
	do(t, s, b)
	if _, err := s.Expire(context.Background(), time.Unix(2000, 0)); err != nil {
		t.Fatal(err)
	}
	want := []swarm.ChangeKind{
		swarm.PeerPut, swarm.DownloadCount, swarm.PeerPut, swarm.PeerGone,
		swarm.PeerPut, swarm.PeerGone, swarm.TorrentGone,
	}
	if len(heard) != len(want) {
		t.Fatalf("heard %+v, want kinds %v", heard, want)
	}
	for i := range want {
		if heard[i].Kind != want[i] {
			t.Errorf("change %d is of kind %d, want %d", i, heard[i].Kind, want[i])
		}
	}
	if heard[1].Downloaded != 1 || heard[2].Peer.Kind != swarm.Seeder || heard[3].Peer.Addr != a.Addr() {
		t.Errorf("changes do not say what happened: %+v", heard)
	}
}

func TestAnnounceAndScrapeAllocateNothing(t *testing.T) {
	s := memory.New(memory.Options{Changed: func(*swarm.Change) {}})
	for n := range 1000 {
		do(t, s, announce(1, n))
	}
	var r swarm.Reply
	r.Peers.V4 = make([]byte, 0, 4096)
	n := 0
	a := announce(1, 1)
	if allocs := testing.AllocsPerRun(1000, func() {
		n = (n + 1) % 1000
		a.From = netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
		a.Left = int64(n % 2)
		r.Reset()
		_ = s.Announce(context.Background(), a, &r)
	}); allocs != 0 {
		t.Errorf("an announce allocates %v times, want 0", allocs)
	}
	hashes := []bittorrent.InfoHash{{1}, {2}}
	counts := make([]bittorrent.ScrapeCounts, 2)
	if allocs := testing.AllocsPerRun(1000, func() {
		_ = s.Scrape(context.Background(), hashes, counts)
	}); allocs != 0 {
		t.Errorf("a scrape allocates %v times, want 0", allocs)
	}
}

func TestWhatWasRestoredIsServed(t *testing.T) {
	s := memory.New(memory.Options{MaxPeers: 2})
	h := bittorrent.InfoHash{9}
	p := swarm.Peer{Addr: netip.MustParseAddrPort("[2001:db8::1]:1"), Kind: swarm.Seeder, Last: time.Unix(1000, 0)}
	for range 2 { // twice the same peer is one
		if !s.RestorePeer(h, &p) {
			t.Fatal("the limit kept out a peer below it")
		}
	}
	if !s.RestoreDownloaded(h, 7) {
		t.Fatal("the limit kept out a count below it")
	}
	p.Addr = netip.MustParseAddrPort("192.0.2.1:1")
	s.RestorePeer(h, &p)
	p.Addr = netip.MustParseAddrPort("192.0.2.2:1")
	if s.RestorePeer(h, &p) {
		t.Error("a third peer was restored beyond the limit of two")
	}
	var counts [1]bittorrent.ScrapeCounts
	_ = s.Scrape(context.Background(), []bittorrent.InfoHash{h}, counts[:])
	if want := (bittorrent.ScrapeCounts{Complete: 2, Downloaded: 7}); counts[0] != want {
		t.Errorf("scrape %+v, want %+v", counts[0], want)
	}
}
