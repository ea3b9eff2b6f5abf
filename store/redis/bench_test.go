package redis_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/redis"
	"waggle/swarm"
)

// benchURL names a server to measure with; bench/redis.sh measures the same server.
const benchURL = "WAGGLE_BENCH_REDIS"

// What is measured: announces of leechers that are known, to many torrents of some peers.
const (
	benchTorrents = 100
	benchPeers    = 500
)

// benchHash is a torrent whose name in hexadecimal is a decimal number, as
// redis-benchmark makes them.
func benchHash(n int) (h bittorrent.InfoHash) {
	if _, err := hex.Decode(h[:], fmt.Appendf(nil, "%040d", n)); err != nil {
		panic(err)
	}
	return h
}

func benchAnnounce(torrent, peer int) *swarm.Announce {
	a := &swarm.Announce{From: netip.AddrFrom4([4]byte{10, 0, byte(peer >> 8), byte(peer)}), Now: time.Unix(1_800_000_000, 0), Families: swarm.IPv4}
	a.InfoHash, a.Port, a.NumWant, a.Key = benchHash(torrent), 6881, 30, 0x12345678
	a.Uploaded, a.Downloaded, a.Left = 123456789, 123456789, 1234567890
	if peer%4 == 0 {
		a.Left = 0
	}
	copy(a.PeerID[:], fmt.Sprintf("-WG0001-%012d", peer))
	return a
}

// benchStore opens a store of its own that has the torrents.
func benchStore(b *testing.B) *redis.Store {
	url := os.Getenv(benchURL)
	if url == "" {
		url = alone.url()
	}
	o := options(b, url, "bench")
	s := open(b, o)
	b.Cleanup(func() { _ = s.Close() })
	peers := make([]swarm.Peer, benchPeers)
	for n := range benchTorrents {
		for i := range peers {
			a := benchAnnounce(n, i)
			peers[i] = swarm.Peer{ID: a.PeerID, Addr: a.Addr(), Kind: a.Kind(), Left: a.Left, First: a.Now, Last: a.Now}
		}
		if err := s.Restore(context.Background(), swarm.Snapshot{InfoHash: benchHash(n), Peers: peers}); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// BenchmarkAnnounce announces with many at once, as a tracker under load does.
func BenchmarkAnnounce(b *testing.B) {
	s := benchStore(b)
	for _, atOnce := range []int{1, 64, 512} {
		b.Run(fmt.Sprint(atOnce), func(b *testing.B) { benchAnnounces(b, s, atOnce) })
	}
}

func benchAnnounces(b *testing.B, s *redis.Store, atOnce int) {
	b.ReportAllocs()
	var next, told atomic.Int64
	var all sync.WaitGroup
	for w := range atOnce {
		all.Go(func() {
			var r swarm.Reply
			a := benchAnnounce(0, 1)
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				*a = *benchAnnounce((int(n)*7919+w)%benchTorrents, 1+int(n)%benchPeers)
				r.Reset()
				if err := s.Announce(context.Background(), a, &r); err != nil {
					b.Error(err)
					return
				}
				told.Add(int64(r.Peers.Len()))
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "announces/s")
	b.ReportMetric(float64(told.Load())/float64(b.N), "peers/answer")
}
