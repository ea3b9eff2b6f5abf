package console

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console/client"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/torrent"
)

func announced(s *memory.Store, h bittorrent.InfoHash, addr string, left int64, event bittorrent.Event) {
	at := netip.MustParseAddrPort(addr)
	a := swarm.Announce{From: at.Addr(), Now: time.Unix(1, 0)}
	a.InfoHash, a.Port, a.Left, a.Event = h, at.Port(), left, event
	_ = s.Announce(context.Background(), &a, new(swarm.Reply))
}

func newTestAPI(t *testing.T, o memory.Options) (*api, *memory.Store) {
	t.Helper()
	s := memory.New(o)
	t.Cleanup(func() { _ = s.Close() })
	return &api{swarms: memory.Shown{Store: s}, walks: make(chan struct{}, walksAtOnce)}, s
}

func TestPeerInBothSwarmsOfAHybridTorrentCountsOnce(t *testing.T) {
	a, s := newTestAPI(t, memory.Options{Details: true})
	hybrid := &catalog.Transfer{InfoHash: bittorrent.InfoHash{1}, InfoHashV2: bittorrent.InfoHashV2{2}, Version: torrent.Hybrid, Size: 100}
	for _, h := range hybrid.InfoHashes() {
		announced(s, h, "10.0.0.1:1", 1, bittorrent.EventNone)
		announced(s, h, "10.0.0.1:1", 0, bittorrent.EventCompleted)
	}
	announced(s, bittorrent.InfoHash{1}, "10.0.0.2:1", 50, bittorrent.EventPaused)
	announced(s, bittorrent.InfoHash{2}, "10.0.0.3:1", 100, bittorrent.EventNone)
	got, err := a.live(t.Context(), hybrid)
	want := client.Live{Peers: 3, Seeders: 1, PartialSeeds: 1, Leechers: 1, Downloaded: 1, Left: 150, Progress: 0.5}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}

	first := firstPeers{limit: 10}
	for _, h := range hybrid.InfoHashes() {
		if err := a.look(t.Context(), h, &first); err != nil {
			t.Fatal(err)
		}
	}
	if list := first.list(); len(list) != 3 {
		t.Errorf("its peers are %+v, want 3", list)
	}
}

func TestWithoutDetailsOnlySeedersCountAsProgress(t *testing.T) {
	a, s := newTestAPI(t, memory.Options{})
	announced(s, bittorrent.InfoHash{1}, "10.0.0.1:1", 0, bittorrent.EventNone)
	announced(s, bittorrent.InfoHash{1}, "10.0.0.2:1", 1, bittorrent.EventNone)
	got, err := a.live(t.Context(), &catalog.Transfer{InfoHash: bittorrent.InfoHash{1}, Version: torrent.V1, Size: 100})
	if err != nil || got.Left != 100 || got.Progress != 0.5 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFiguresOfAHugeTorrentDoNotOverflow(t *testing.T) {
	count := liveCount{size: math.MaxInt64}
	for range 3 {
		count.add(&swarm.Peer{Kind: swarm.Leecher, Left: math.MaxInt64})
	}
	count.add(&swarm.Peer{Kind: swarm.Leecher, Left: -5})
	if got := count.live(); got.Left != math.MaxInt64 || got.Progress != 0.25 {
		t.Errorf("%+v", got)
	}
}

func TestLookingAtPeersEndsWithItsRequest(t *testing.T) {
	a, s := newTestAPI(t, memory.Options{})
	for n := range 2000 {
		announced(s, bittorrent.InfoHash{1}, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), uint16(1+n)).String(), 1, bittorrent.EventNone)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.live(gone, &catalog.Transfer{InfoHash: bittorrent.InfoHash{1}, Size: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("counting: %v", err)
	}
	if err := a.look(gone, bittorrent.InfoHash{1}, &firstPeers{limit: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("listing: %v", err)
	}
	for range walksAtOnce {
		if err := a.takeWalk(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.takeWalk(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for others: %v", err)
	}
}

func BenchmarkLive(b *testing.B) {
	s := memory.New(memory.Options{Details: true})
	defer func() { _ = s.Close() }()
	const peers = 1_000_000
	for n := range peers {
		announced(s, bittorrent.InfoHash{1}, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 1).String(), int64(n%100), bittorrent.EventNone)
	}
	a := &api{swarms: memory.Shown{Store: s}}
	b.Run("transfer", func(b *testing.B) {
		for b.Loop() {
			if got, _ := a.live(b.Context(), &catalog.Transfer{InfoHash: bittorrent.InfoHash{1}, Size: 1000}); got.Peers != peers {
				b.Fatal(got)
			}
		}
	})
	b.Run("page", func(b *testing.B) {
		for b.Loop() {
			first := firstPeers{limit: 1001}
			if err := a.look(b.Context(), bittorrent.InfoHash{1}, &first); err != nil || len(first.list()) != 1001 {
				b.Fatal(err)
			}
		}
	})
}
