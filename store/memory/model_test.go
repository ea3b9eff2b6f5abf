package memory_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
)

// simple is a store that is right at sight: for each torrent its peers, with
// kind and last announce.
type simple map[bittorrent.InfoHash]map[netip.AddrPort]simplePeer

type simplePeer struct {
	kind swarm.Kind
	last time.Time
}

func (m simple) announce(a *swarm.Announce) {
	if a.Event == bittorrent.EventStopped {
		delete(m[a.InfoHash], a.Addr())
		return
	}
	if m[a.InfoHash] == nil {
		m[a.InfoHash] = map[netip.AddrPort]simplePeer{}
	}
	m[a.InfoHash][a.Addr()] = simplePeer{a.Kind(), a.Now}
}

func (m simple) expire(before time.Time) (n int) {
	for _, peers := range m {
		for addr, p := range peers {
			if p.last.Before(before) {
				delete(peers, addr)
				n++
			}
		}
	}
	return n
}

// drawAnnounce draws an announce to one of a few hundred torrents. The first is
// drawn most and grows to thousands of peers; most stay at a few.
func drawAnnounce(random *rand.Rand, now time.Time) *swarm.Announce {
	torrent := 0
	for torrent < 9 && random.IntN(2) == 0 {
		torrent++
	}
	torrent = torrent*torrent + random.IntN(2*torrent+1)
	peer := random.IntN(12_000 >> min(torrent, 12))
	a := &swarm.Announce{
		AnnounceRequest: bittorrent.AnnounceRequest{
			PeerID: bittorrent.PeerID{byte(peer), byte(peer >> 8), byte(torrent)}, Port: uint16(1 + peer),
			Left: int64(random.IntN(3)), NumWant: int32(random.IntN(40)),
		},
		From: netip.AddrFrom4([4]byte{10, 0, byte(peer >> 8), byte(peer)}), Now: now, Families: swarm.IPv4 | swarm.IPv6,
	}
	if peer%7 == 0 {
		a.From = netip.AddrFrom16([16]byte{0: 0x20, 14: byte(peer >> 8), 15: byte(peer)})
	}
	switch random.IntN(10) {
	case 0:
		a.Event = bittorrent.EventStopped
	case 1:
		a.Event = bittorrent.EventPaused
	}
	binary.BigEndian.PutUint16(a.InfoHash[:], uint16(torrent)<<9) // two to a shard
	a.InfoHash[19] = byte(torrent)
	return a
}

// TestMillionsOfOperationsAgreeWithASimpleModel compares after each announce what
// it was told, and the whole store from time to time.
func TestMillionsOfOperationsAgreeWithASimpleModel(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	store, model := memory.New(memory.Options{Details: true}), simple{}
	defer func() { _ = store.Close() }()
	now := time.Unix(1_000_000, 0)
	var r swarm.Reply
	for n := range operations {
		if n%20 == 0 {
			now = now.Add(time.Second)
		}
		a := drawAnnounce(random, now)
		if n%16 == 0 {
			warmSome(store, random, a)
		}
		r.Reset()
		_ = store.Announce(context.Background(), a, &r)
		model.announce(a)
		peers := model[a.InfoHash]
		if int(r.Complete+r.Incomplete) != len(peers) {
			t.Fatalf("operation %d: %d peers in %v, want %d", n, r.Complete+r.Incomplete, a.InfoHash, len(peers))
		}
		for addr := range r.Peers.All() {
			p, there := peers[addr]
			if !there || addr == a.Addr() || (a.Kind() != swarm.Leecher && p.kind != swarm.Leecher) {
				t.Fatalf("operation %d: %v was told of %v: in the swarm %t, %v", n, a.Addr(), addr, there, p.kind)
			}
		}
		if n%20_000 == 19_999 {
			before := now.Add(-time.Hour)
			if got, _ := store.Expire(context.Background(), before); got != model.expire(before) {
				t.Fatalf("operation %d: other peers expired than in the model", n)
			}
			compare(t, store, model)
		}
	}
	if got, _ := store.Expire(context.Background(), now.Add(time.Hour)); got != model.expire(now.Add(time.Hour)) {
		t.Error("other peers expired at the end than in the model")
	}
	if got, want := totals(t, store), (swarm.Totals{}); got != want {
		t.Errorf("%+v are left at the end, want none", got)
	}
}

// warmSome looks ahead to an announce among up to a hundred others, which may
// never come.
func warmSome(store *memory.Store, random *rand.Rand, a *swarm.Announce) {
	hashes, peers := []bittorrent.InfoHash{a.InfoHash}, []netip.AddrPort{a.Addr()}
	for range random.IntN(100) {
		other := drawAnnounce(random, a.Now)
		if random.IntN(4) == 0 {
			other.InfoHash[3]++ // not there
		}
		hashes, peers = append(hashes, other.InfoHash), append(peers, other.Addr())
	}
	store.Warm(hashes, peers)
}

// TestLookingAheadHoldsUpNobodyForGood lets many look ahead and announce at once:
// each waits for locks of several shards.
func TestLookingAheadHoldsUpNobodyForGood(t *testing.T) {
	store := memory.New(memory.Options{})
	defer func() { _ = store.Close() }()
	var group sync.WaitGroup
	for worker := range uint64(8) {
		group.Go(func() {
			random := rand.New(rand.NewPCG(worker, 1))
			var r swarm.Reply
			for range 300 {
				a := drawAnnounce(random, time.Unix(1, 0))
				warmSome(store, random, a)
				r.Reset()
				_ = store.Announce(context.Background(), a, &r)
			}
		})
	}
	group.Wait()
	left := totals(t, store).Peers
	if expired, _ := store.Expire(context.Background(), time.Unix(2, 0)); expired != left || left == 0 {
		t.Errorf("%d peers expired of %d", expired, left)
	}
}

func compare(t *testing.T, store *memory.Store, model simple) {
	t.Helper()
	seen := 0
	for snapshot, err := range store.Swarms(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range snapshot.Peers {
			if want, ok := model[snapshot.InfoHash][p.Addr]; !ok || want.kind != p.Kind || !want.last.Equal(p.Last) {
				t.Fatalf("%v in %v is %v of %v, want %+v, %t", p.Addr, snapshot.InfoHash, p.Kind, p.Last, want, ok)
			}
			seen++
		}
	}
	want, seeders := 0, 0
	for _, peers := range model {
		want += len(peers)
		for _, p := range peers {
			if p.kind == swarm.Seeder {
				seeders++
			}
		}
	}
	if got := totals(t, store).Seeders; got != seeders {
		t.Fatalf("%d seeders, want %d", got, seeders)
	}
	if seen != want {
		t.Fatalf("%d peers, want %d", seen, want)
	}
}
