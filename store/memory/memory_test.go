package memory_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/store/storetest"
	"waggle/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStoreWithDetailsConforms(t *testing.T) {
	open := func(*testing.T) swarm.Store { return memory.New(memory.Options{Details: true}) }
	storetest.Run(t, open)
	storetest.RunRestore(t, open)
	storetest.RunTorrentLimit(t, func(*testing.T) swarm.Store {
		return memory.New(memory.Options{MaxTorrents: storetest.TorrentLimit})
	})
}

func TestRestoringBeyondALimitSaysSo(t *testing.T) {
	s := memory.New(memory.Options{MaxPeers: 1})
	defer func() { _ = s.Close() }()
	err := s.Restore(t.Context(), swarm.Snapshot{Peers: []swarm.Peer{
		{Addr: netip.MustParseAddrPort("10.0.0.1:1"), Last: time.Unix(2, 0)}, {Addr: netip.MustParseAddrPort("10.0.0.2:1"), Last: time.Unix(2, 0)},
	}})
	if !errors.Is(err, swarm.ErrFull) || !strings.Contains(err.Error(), "1 peers") {
		t.Error(err)
	}
}

func TestStoreWithoutDetailsConforms(t *testing.T) {
	storetest.RunLocated(t, func(*testing.T) swarm.Store { return memory.New(memory.Options{}) })
	storetest.RunWithoutDetails(t, func(*testing.T) swarm.Store { return memory.New(memory.Options{}) })
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

func TestAtThePeerLimitTheOneSilentForLongestMakesRoom(t *testing.T) {
	s := memory.New(memory.Options{MaxPeers: 3})
	for n := range 3 {
		a := announce(1, n)
		a.Now = a.Now.Add(time.Duration(3-n) * time.Minute)
		do(t, s, a)
	}
	newcomer := announce(1, 4)
	newcomer.Now = newcomer.Now.Add(time.Hour)
	if r := do(t, s, newcomer); r.Warning != "" || r.Incomplete != 3 || r.Peers.Len() != 2 {
		t.Errorf("newcomer: warning %q, %d leechers, %d peers; want none, 3 and 2", r.Warning, r.Incomplete, r.Peers.Len())
	}
	r := do(t, s, newcomer)
	for addr := range r.Peers.All() {
		if addr == announce(1, 2).Addr() {
			t.Error("the one that was silent for longest is still there")
		}
	}
	if got, want := totals(t, s), (swarm.Totals{Torrents: 1, Peers: 3}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
}

func TestAtThePeerLimitANewcomerIsToldWhereNobodyCanMakeRoom(t *testing.T) {
	s := memory.New(memory.Options{MaxPeers: 1})
	do(t, s, announce(1, 1))
	r := do(t, s, announce(200, 2)) // in a shard that has nobody to give up
	if r.Warning == "" || r.Incomplete != 0 {
		t.Errorf("warning %q, %d leechers; want one and 0", r.Warning, r.Incomplete)
	}
	if got, want := totals(t, s), (swarm.Totals{Torrents: 1, Peers: 1}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
}

func TestAtTheTorrentLimitDeadTorrentsGoFirstThenTheOldestOfOnePeer(t *testing.T) {
	s := memory.New(memory.Options{MaxTorrents: 3})
	torrent := func(n int, at time.Duration) *swarm.Announce { // all in one shard
		a := announce(1, n)
		a.InfoHash[19] = byte(n)
		a.Now = a.Now.Add(at)
		return a
	}
	dead := torrent(1, time.Hour)
	dead.Left, dead.Event = 0, bittorrent.EventCompleted
	do(t, s, dead)
	dead.Event = bittorrent.EventStopped
	do(t, s, dead)
	do(t, s, torrent(2, 0))
	do(t, s, torrent(3, time.Minute))
	for n := 4; n <= 5; n++ {
		if r := do(t, s, torrent(n, 2*time.Hour)); r.Warning != "" || r.Incomplete != 1 {
			t.Errorf("newcomer %d: warning %q, %d leechers; want none and 1", n, r.Warning, r.Incomplete)
		}
	}
	var counts [5]bittorrent.ScrapeCounts
	hashes := make([]bittorrent.InfoHash, 5)
	for i := range hashes {
		hashes[i] = torrent(i+1, 0).InfoHash
	}
	_ = s.Scrape(context.Background(), hashes, counts[:])
	for i, want := range []uint32{0, 0, 1, 1, 1} {
		if counts[i].Incomplete != want || counts[i].Downloaded != 0 {
			t.Errorf("torrent %d: %+v, want %d leechers", i+1, counts[i], want)
		}
	}
	if got, want := totals(t, s), (swarm.Totals{Torrents: 3, Peers: 3}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
}

func TestAtTheTorrentLimitANewcomerIsToldWhereNoTorrentCanMakeRoom(t *testing.T) {
	s := memory.New(memory.Options{MaxTorrents: 1})
	do(t, s, announce(1, 1))
	do(t, s, announce(1, 2))
	second := announce(1, 3)
	second.InfoHash[19] = 1
	if r := do(t, s, second); r.Warning == "" || r.Incomplete != 0 {
		t.Errorf("warning %q, %d leechers; want one and 0", r.Warning, r.Incomplete)
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
	if !heard[3].Stopped || heard[5].Stopped {
		t.Errorf("who has stopped and who was silent are not told apart: %+v, %+v", heard[3], heard[5])
	}
	if heard[1].Downloaded != 1 || heard[2].Peer.Kind != swarm.Seeder || heard[3].Peer.Addr != a.Addr() {
		t.Errorf("changes do not say what happened: %+v", heard)
	}
}

func TestAnnounceAndScrapeAllocateNothing(t *testing.T) {
	s := memory.New(memory.Options{Details: true, Changed: func(*swarm.Change) {}})
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
	s := memory.New(memory.Options{MaxPeers: 2, Details: true})
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

func TestAtTheLimitOfBytesOfManyTorrentsOrManyPeersOthersMakeRoom(t *testing.T) {
	for name, hash := range map[string]func(n int) byte{
		"a torrent each": func(n int) byte { return byte(n) },
		"one torrent":    func(int) byte { return 0 },
	} {
		s := memory.New(memory.Options{MaxBytes: 20_000, Details: true})
		for n := range 1000 {
			a := announce(1, n) // all in one shard
			a.InfoHash[18], a.InfoHash[19] = hash(n), hash(n>>8)
			a.Now = a.Now.Add(time.Duration(n) * time.Second)
			if r := do(t, s, a); r.Warning != "" {
				t.Fatalf("%s: newcomer %d is told %q", name, n, r.Warning)
			}
		}
		if got := totals(t, s); got.Peers < 90 || got.Peers > 170 {
			t.Errorf("%s: of 20,000 bytes there are %+v", name, got)
		}
		_ = s.Close()
	}
}

func TestStoreThatIsHeldDoesNotGrow(t *testing.T) {
	s := memory.New(memory.Options{})
	add := func(n int) {
		if r := do(t, s, announce(1, n)); r.Warning != "" {
			t.Fatal(r.Warning)
		}
	}
	for n := range 10 {
		add(n)
	}
	s.Hold()
	for n := range 10 {
		add(100 + n)
	}
	if got := totals(t, s).Peers; got != 10 {
		t.Errorf("%d peers, want the ten that there were", got)
	}
	s.Release()
	add(200)
	if got := totals(t, s).Peers; got != 11 {
		t.Errorf("%d peers, want one more", got)
	}
}

func TestStoreThatIsHeldDoesNotShrinkByNewTorrents(t *testing.T) {
	s := memory.New(memory.Options{})
	add := func(n int) {
		a := announce(1, n)
		a.InfoHash[18], a.InfoHash[19] = byte(n), byte(n>>8)
		if r := do(t, s, a); r.Warning != "" {
			t.Fatal(r.Warning)
		}
	}
	for n := range 100 {
		add(n)
	}
	s.Hold()
	for n := range 500 {
		add(100 + n)
	}
	if got, want := totals(t, s), (swarm.Totals{Torrents: 100, Peers: 100}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestTorrentsOfOneShardLeaveRoomInTheOthers(t *testing.T) {
	for name, o := range map[string]memory.Options{
		"torrents": {MaxTorrents: 4096}, "peers": {MaxPeers: 4096}, "bytes": {MaxBytes: 4096 * 144},
	} {
		s := memory.New(o)
		add := func(shard byte, n int) string {
			a := announce(1, n)
			a.InfoHash[0], a.InfoHash[18], a.InfoHash[19] = shard, byte(n), byte(n>>8)
			return do(t, s, a).Warning
		}
		for n := range 5000 {
			if warning := add(7, n); warning != "" {
				t.Fatal(warning)
			}
		}
		for shard := range memory.Shards {
			if warning := add(byte(shard), 10_000+shard); warning != "" {
				t.Errorf("%s: a newcomer in shard %d is told %q", name, shard, warning)
			}
		}
		if got := totals(t, s).Torrents; got > 4096*9/8 {
			t.Errorf("%s: %d torrents, more than an eighth above the limit", name, got)
		}
		_ = s.Close()
	}
}
