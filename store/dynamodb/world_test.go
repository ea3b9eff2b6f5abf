package dynamodb_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/store/dynamodb"
	"waggle/swarm"
)

var start = time.Unix(1_700_000_000, 0)

func hash(n byte) bittorrent.InfoHash { return bittorrent.InfoHash{0: n, 19: n} }

// leecher returns the announce of peer n, which wants 50.
func leecher(h bittorrent.InfoHash, n int) *swarm.Announce {
	a := &swarm.Announce{
		AnnounceRequest: bittorrent.AnnounceRequest{InfoHash: h, Port: uint16(1000 + n%60000), Left: 1 << 20, NumWant: 50, Key: uint32(n)},
		From:            netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}),
		Now:             start, Families: swarm.IPv4 | swarm.IPv6,
	}
	copy(a.PeerID[:], fmt.Sprintf("-WG0001-%012d", n))
	return a
}

func seeder(h bittorrent.InfoHash, n int) *swarm.Announce {
	a := leecher(h, n)
	a.Left = 0
	return a
}

func completed(h bittorrent.InfoHash, n int) *swarm.Announce {
	a := seeder(h, n)
	a.Event = bittorrent.EventCompleted
	return a
}

func stop(h bittorrent.InfoHash, n int) *swarm.Announce {
	a := leecher(h, n)
	a.Event = bittorrent.EventStopped
	return a
}

func do(t testing.TB, s *dynamodb.Store, a *swarm.Announce) *swarm.Reply {
	t.Helper()
	r := new(swarm.Reply)
	if err := s.Announce(t.Context(), a, r); err != nil {
		t.Fatalf("Announce: %v", err)
	}
	return r
}

func wantCounts(t testing.TB, s *dynamodb.Store, h bittorrent.InfoHash, want bittorrent.ScrapeCounts) {
	t.Helper()
	counts := make([]bittorrent.ScrapeCounts, 1)
	if err := s.Scrape(t.Context(), []bittorrent.InfoHash{h}, counts); err != nil || counts[0] != want {
		t.Errorf("scrape: %+v, %v; want %+v", counts[0], err, want)
	}
}

func wantTotals(t testing.TB, s *dynamodb.Store, want swarm.Totals) {
	t.Helper()
	if got, err := s.Totals(t.Context()); err != nil || got != want {
		t.Errorf("totals: %+v, %v; want %+v", got, err, want)
	}
}

// peersOf returns the peers of a torrent, each of which must be there once.
func peersOf(t testing.TB, s *dynamodb.Store, h bittorrent.InfoHash) map[netip.AddrPort]swarm.Peer {
	t.Helper()
	peers := map[netip.AddrPort]swarm.Peer{}
	whole, err := s.Walk(t.Context(), h, nil, func(some []swarm.Peer) bool {
		for _, p := range some {
			if _, twice := peers[p.Addr]; twice {
				t.Errorf("%v is there twice", p.Addr)
			}
			peers[p.Addr] = p
		}
		return true
	})
	if !whole || err != nil {
		t.Errorf("walk: %v, %v", whole, err)
	}
	return peers
}

// agree checks that counts, totals and peers of the only torrent say the same.
func agree(t testing.TB, s *dynamodb.Store, h bittorrent.InfoHash, completed uint32) {
	t.Helper()
	want := bittorrent.ScrapeCounts{Downloaded: completed}
	peers := peersOf(t, s, h)
	for _, p := range peers {
		switch p.Kind {
		case swarm.Seeder:
			want.Complete++
		default:
			want.Incomplete++
			want.Downloaders++
		}
	}
	wantCounts(t, s, h, want)
	totals := swarm.Totals{Torrents: 1, Peers: len(peers), Seeders: int(want.Complete)}
	if len(peers) == 0 && completed == 0 {
		totals.Torrents = 0
	}
	wantTotals(t, s, totals)
}

// writers run at once.
func writers(n int, do func(w int)) {
	var all sync.WaitGroup
	for w := range n {
		all.Go(func() { do(w) })
	}
	all.Wait()
}

// clock is a time that a test moves on.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: start} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func expire(t testing.TB, s *dynamodb.Store, before time.Time) int {
	t.Helper()
	n, err := s.Expire(t.Context(), before)
	if err != nil {
		t.Errorf("Expire: %v", err)
	}
	return n
}

func newTree(t testing.TB) *locality.Tree {
	t.Helper()
	tree, err := locality.NewTree(100, "rack")
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// located returns the announce of a leecher in rack r1.
func located(t testing.TB, o dynamodb.Options, n int) *swarm.Announce {
	t.Helper()
	a := leecher(hash(1), n)
	policy, err := swarm.NewPolicy("strict", 15*time.Second, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if a.Location, err = o.Group("r1"); err != nil {
		t.Fatal(err)
	}
	a.Policy = &policy
	return a
}

func scrapeOf(leechers uint32) bittorrent.ScrapeCounts {
	return bittorrent.ScrapeCounts{Incomplete: leechers, Downloaders: leechers}
}
