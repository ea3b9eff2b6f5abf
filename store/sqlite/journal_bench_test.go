package sqlite

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
)

var restartPeers = flag.Int("restart.peers", 200_000, "peers of BenchmarkRestart and BenchmarkRewrite, ten a torrent")

// crowd announces ever other peers of ever other torrents, size of them in all.
type crowd struct {
	store    *Store
	size     uint64
	torrents uint64
	next     uint64
}

func (c *crowd) announce(b *testing.B, times int) {
	b.Helper()
	var r swarm.Reply
	for range times {
		c.next++
		peer := c.next % c.size
		mixed := peer * 0x9e3779b97f4a7c15
		a := swarm.Announce{From: netip.AddrFrom4([4]byte{10, byte(mixed >> 40), byte(mixed >> 48), byte(mixed >> 56)}), Now: time.Unix(int64(c.next/c.size), 0)}
		a.Port, a.Left, a.Uploaded = uint16(1+mixed>>49), 1, int64(c.next)
		a.PeerID = bittorrent.PeerID{1}
		binary.BigEndian.PutUint64(a.InfoHash[:], peer%c.torrents*0xbf58476d1ce4e5b9)
		if err := c.store.Announce(context.Background(), &a, &r); err != nil {
			b.Fatal(err)
		}
	}
}

func openBenchmark(b *testing.B, path string, details bool) *Store {
	b.Helper()
	s, err := Open(context.Background(), path, Options{FlushEvery: time.Hour, Memory: memory.Options{Details: details}})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func flushBenchmark(b *testing.B, s *Store) {
	b.Helper()
	if err := s.flush(); err != nil {
		b.Fatal(err)
	}
}

func closeBenchmark(b *testing.B, s *Store) {
	b.Helper()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFlush writes 10,000 changes a time to a journal that holds 500,000
// peers of 65,536 torrents: what a second's announces cost the disk behind them.
func BenchmarkFlush(b *testing.B) {
	for _, details := range []bool{false, true} {
		b.Run(fmt.Sprintf("details=%v", details), func(b *testing.B) {
			s := openBenchmark(b, filepath.Join(b.TempDir(), "waggle.db"), details)
			c := crowd{store: s, size: 500_000, torrents: 1 << 16}
			c.announce(b, 500_000)
			flushBenchmark(b, s)
			for b.Loop() {
				c.announce(b, 10_000)
				flushBenchmark(b, s)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(10_000*b.N), "us/change")
			b.StopTimer()
			closeBenchmark(b, s)
		})
	}
}

// BenchmarkRewrite writes a whole store anew, as after its lanes have overflowed:
// into an empty file, and over one that has it all already.
func BenchmarkRewrite(b *testing.B) {
	perPeer := func(b *testing.B) {
		b.Helper()
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1e3/float64(*restartPeers*b.N), "us/peer")
	}
	b.Run("empty", func(b *testing.B) {
		dir := b.TempDir()
		for n := 0; b.Loop(); n++ {
			b.StopTimer()
			s := openBenchmark(b, filepath.Join(dir, fmt.Sprintf("%d.db", n)), false)
			c := crowd{store: s, size: uint64(*restartPeers), torrents: uint64(*restartPeers / 10)}
			c.announce(b, *restartPeers)
			s.forgetLanes()
			b.StartTimer()
			flushBenchmark(b, s)
			b.StopTimer()
			closeBenchmark(b, s)
			b.StartTimer()
		}
		perPeer(b)
	})
	b.Run("same", func(b *testing.B) {
		s := openBenchmark(b, filepath.Join(b.TempDir(), "waggle.db"), false)
		c := crowd{store: s, size: uint64(*restartPeers), torrents: uint64(*restartPeers / 10)}
		c.announce(b, *restartPeers)
		flushBenchmark(b, s)
		for b.Loop() {
			s.forgetLanes()
			flushBenchmark(b, s)
		}
		perPeer(b)
		b.StopTimer()
		closeBenchmark(b, s)
	})
}

// BenchmarkRestart opens a file that a store has left, with SQLite's check of it,
// until all peers are served. For the full size:
//
//	go test ./store/sqlite -run '^$' -bench Restart -benchtime 1x -restart.peers 10000000 -timeout 1h
func BenchmarkRestart(b *testing.B) {
	for _, details := range []bool{false, true} {
		b.Run(fmt.Sprintf("details=%v", details), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "waggle.db")
			s := openBenchmark(b, path, details)
			c := crowd{store: s, size: uint64(*restartPeers), torrents: uint64(*restartPeers / 10)}
			c.announce(b, *restartPeers)
			closeBenchmark(b, s)
			for b.Loop() {
				s = openBenchmark(b, path, details)
				b.StopTimer()
				if totals, _ := s.Totals(context.Background()); totals.Peers != *restartPeers {
					b.Fatalf("%d peers are served, want %d", totals.Peers, *restartPeers)
				}
				closeBenchmark(b, s)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1e3/float64(*restartPeers*b.N), "us/peer")
		})
	}
}
