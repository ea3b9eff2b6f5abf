package memory_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
)

func countsWorld(t testing.TB, torrents int) *memory.Store {
	t.Helper()
	s := memory.New(memory.Options{})
	t.Cleanup(func() { _ = s.Close() })
	for n := range torrents {
		for peer := range n%4 + 1 {
			a := swarm.Announce{From: netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), byte(peer)}), Now: time.Unix(1, 0)}
			if peer == 3 {
				a.From = netip.MustParseAddr("2001:db8::1")
			}
			a.InfoHash = bittorrent.InfoHash{byte(n % 3), byte(n >> 16), byte(n >> 8), byte(n)}
			a.Port, a.Left = 1, int64(peer)
			if err := s.Announce(context.Background(), &a, new(swarm.Reply)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

func TestAllCountsShowsEachTorrentOnceAsCountsDoes(t *testing.T) {
	s := countsWorld(t, 5000)
	seen := map[bittorrent.InfoHash]bittorrent.ScrapeCounts{}
	for _, part := range [][2]byte{{0, 0}, {1, 255}} {
		s.AllCounts(part[0], part[1], func(hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) bool {
			for i, h := range hashes {
				if _, twice := seen[h]; twice || h[0] < part[0] || h[0] > part[1] {
					t.Errorf("%v is shown of %v, twice: %v", h, part, twice)
				}
				seen[h] = counts[i]
			}
			return true
		})
	}
	if len(seen) != 5000 {
		t.Errorf("%d torrents", len(seen))
	}
	for h, c := range seen {
		if got, ok := s.Counts(h); !ok || got != c {
			t.Errorf("%v has %+v, is shown with %+v", h, got, c)
		}
	}
	h := bittorrent.InfoHash{0, 0, 0, 3}
	if c := seen[h]; c.Complete != 1 || c.Incomplete != 3 || c.Downloaders != 3 {
		t.Errorf("%+v", c)
	}
	if _, ok := s.Counts(bittorrent.InfoHash{9}); ok {
		t.Error("an unknown torrent has counts")
	}
}

func TestAllCountsEndsWhenNobodyWantsMore(t *testing.T) {
	s := countsWorld(t, 3000)
	calls := 0
	whole := s.AllCounts(0, 255, func([]bittorrent.InfoHash, []bittorrent.ScrapeCounts) bool {
		calls++
		return false
	})
	if whole || calls != 1 {
		t.Errorf("it went on for %d calls, whole: %v", calls, whole)
	}
}
