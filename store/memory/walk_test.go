package memory_test

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
)

// walker announces peers of one torrent: of every three, one stays as it is and
// the others come, go and change.
type walker struct {
	store  *memory.Store
	random *rand.Rand
	now    time.Time
}

func (w *walker) announce(peer int, event bittorrent.Event, left int64) {
	a := swarm.Announce{From: netip.AddrFrom4([4]byte{10, 0, byte(peer >> 8), byte(peer)}), Now: w.now}
	if peer%5 == 0 {
		a.From = netip.AddrFrom16([16]byte{0: 0x20, 14: byte(peer >> 8), 15: byte(peer)})
	}
	a.InfoHash, a.Port, a.Event, a.Left = bittorrent.InfoHash{1}, uint16(1+peer), event, left
	_ = w.store.Announce(context.Background(), &a, new(swarm.Reply))
}

func (w *walker) change(peers int) {
	peer := w.random.IntN(peers)
	if peer%3 == 0 {
		return
	}
	event := bittorrent.EventNone
	switch w.random.IntN(3) {
	case 0:
		event = bittorrent.EventStopped
	case 1:
		event = bittorrent.EventPaused
	}
	w.announce(peer, event, int64(w.random.IntN(2)))
}

func TestWalkShowsOnceWhatDoesNotChangeMeanwhile(t *testing.T) {
	for _, peers := range []int{0, 1, 40, 300, 3000, 20_000} {
		for seed := range uint64(5) {
			w := walker{memory.New(memory.Options{}), rand.New(rand.NewPCG(seed, 1)), time.Unix(1, 0)}
			for peer := range peers {
				w.announce(peer, bittorrent.EventNone, int64(peer%2))
			}
			seen := map[netip.AddrPort]int{}
			whole := w.store.Walk(bittorrent.InfoHash{1}, nil, func(some []swarm.Peer) bool {
				for _, p := range some {
					seen[p.Addr]++
				}
				for range 10 * peers / 100 { // so many that peers cross the walk both ways
					w.change(peers)
				}
				return true
			})
			if !whole {
				t.Error("the walk says that it ended early")
			}
			for peer := 0; peer < peers; peer += 3 {
				addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(peer >> 8), byte(peer)}), uint16(1+peer))
				if peer%5 == 0 {
					addr = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0x20, 14: byte(peer >> 8), 15: byte(peer)}), uint16(1+peer))
				}
				if seen[addr] != 1 {
					t.Fatalf("of %d peers %v was seen %d times, want once", peers, addr, seen[addr])
				}
			}
			_ = w.store.Close()
		}
	}
}

func TestWalkOfATorrentThatGoesMeanwhileEnds(t *testing.T) {
	w := walker{memory.New(memory.Options{}), rand.New(rand.NewPCG(1, 1)), time.Unix(1, 0)}
	defer func() { _ = w.store.Close() }()
	for peer := range 2000 {
		w.announce(peer, bittorrent.EventNone, 1)
	}
	steps := 0
	w.store.Walk(bittorrent.InfoHash{1}, nil, func([]swarm.Peer) bool {
		steps++
		_, _ = w.store.Expire(context.Background(), time.Unix(2, 0))
		w.announce(7, bittorrent.EventNone, 1)
		return true
	})
	if steps > 2 { // one more if the new torrent has peers of the other family
		t.Errorf("%d steps after all peers had gone", steps)
	}
}

func TestWalkEndsWhereItIsToldTo(t *testing.T) {
	w := walker{memory.New(memory.Options{}), rand.New(rand.NewPCG(1, 1)), time.Unix(1, 0)}
	defer func() { _ = w.store.Close() }()
	for peer := range 2000 {
		w.announce(peer, bittorrent.EventNone, 1)
	}
	steps := 0
	if w.store.Walk(bittorrent.InfoHash{1}, nil, func([]swarm.Peer) bool { steps++; return false }) || steps != 1 {
		t.Errorf("%d steps, want 1 and a word that it was not all", steps)
	}
}
