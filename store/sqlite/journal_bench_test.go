package sqlite

import (
	"context"
	"encoding/binary"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// BenchmarkFlush writes 10,000 changes a time to a journal that holds 500,000
// peers of 65,536 torrents: what a second's announces cost the disk behind them.
func BenchmarkFlush(b *testing.B) {
	ctx := context.Background()
	s, err := Open(ctx, filepath.Join(b.TempDir(), "waggle.db"), Options{FlushEvery: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	n := uint64(0)
	announce := func(times int) {
		for range times {
			n++
			mixed := n % 500_000 * 0x9e3779b97f4a7c15
			a := swarm.Announce{From: netip.AddrFrom4([4]byte{10, byte(mixed >> 8), byte(mixed >> 16), byte(mixed >> 24)}), Now: time.Unix(1, 0)}
			a.Port, a.Left = uint16(1+mixed>>49), 1
			binary.BigEndian.PutUint16(a.InfoHash[:], uint16(mixed>>48))
			a.PeerID = bittorrent.PeerID{1}
			_ = s.Announce(ctx, &a, new(swarm.Reply))
		}
		if err := s.flush(); err != nil {
			b.Fatal(err)
		}
	}
	for range 50 {
		announce(10_000)
	}
	for b.Loop() {
		announce(10_000)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(10_000*b.N), "us/change")
	b.StopTimer()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
