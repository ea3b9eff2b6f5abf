package memory

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// BenchmarkAnnounce announces 400,000 peers of 100,000 torrents again, in batches
// and in random order: the torrent of rank r has peers in proportion to 1/r. For
// the caches that a frontend's system calls use between batches, as much memory
// is gone through.
func BenchmarkAnnounce(b *testing.B) {
	const torrents, peers, batch = 100_000, 400_000, 64
	random := rand.New(rand.NewPCG(1, 2))
	type peer struct {
		torrent uint32
		from    [4]byte
		left    uint8
	}
	all := make([]peer, 0, peers)
	harmonic := 0.0
	for r := range torrents {
		harmonic += 1 / float64(r+1)
	}
	for r := 0; r < torrents && len(all) < peers; r++ {
		share := float64(peers) / harmonic / float64(r+1)
		n := int(share)
		if random.Float64() < share-float64(n) {
			n++
		}
		for range n {
			p := peer{torrent: uint32(r), left: uint8(random.IntN(4))}
			binary.NativeEndian.PutUint32(p.from[:], random.Uint32())
			all = append(all, p)
		}
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, between := range []int{0, 512 << 10} {
		for _, warm := range []bool{false, true} {
			b.Run(fmt.Sprintf("between=%d/warm=%v", between, warm), func(b *testing.B) {
				s := New(Options{})
				defer func() { _ = s.Close() }()
				other := make([]byte, between)
				var as [batch]swarm.Announce
				var hashes [batch]bittorrent.InfoHash
				var addrs [batch]netip.AddrPort
				r := swarm.Reply{}
				next, sum := 0, byte(0)
				one := func() {
					for i := range as {
						p := all[next]
						if next++; next == len(all) {
							next = 0
						}
						a := &as[i]
						*a = swarm.Announce{From: netip.AddrFrom4(p.from), Now: time.Unix(1, 0), Families: swarm.IPv4}
						a.Port, a.NumWant, a.Left = 6881, 30, int64(p.left)
						binary.BigEndian.PutUint64(a.InfoHash[:], uint64(p.torrent)*0x9e3779b97f4a7c15)
						binary.BigEndian.PutUint64(a.InfoHash[8:], uint64(p.torrent)*0xbf58476d1ce4e5b9)
						binary.BigEndian.PutUint32(a.PeerID[:], uint32(next))
						hashes[i], addrs[i] = a.InfoHash, a.Addr()
					}
					for i := 0; i < len(other); i += 64 {
						sum += other[i]
					}
					if warm {
						s.Warm(hashes[:], addrs[:])
					}
					for i := range as {
						r.Reset()
						_ = s.Announce(context.Background(), &as[i], &r)
					}
				}
				for range peers / batch {
					one()
				}
				for b.Loop() {
					one()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/announce")
			})
		}
	}
}
