package sqlite

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/swarm"
)

// located announces hosts of racks of forty, all of which come at once.
type located struct {
	store   *Store
	options Options
	policy  swarm.Policy
	groups  []*locality.Group
}

func openLocated(b *testing.B, path string, hosts int, kept bool) *located {
	b.Helper()
	tree, err := locality.NewTree(hosts, "rack")
	if err != nil {
		b.Fatal(err)
	}
	l := &located{options: Options{FlushEvery: time.Hour, MaxLane: 1 << 20}}
	l.options.Memory.Details = true
	if kept {
		l.options.Group = tree.Group
	}
	for rack := range hosts/40 + 1 {
		g, err := tree.Group(fmt.Sprintf("r%d", rack))
		if err != nil {
			b.Fatal(err)
		}
		l.groups = append(l.groups, g)
	}
	if l.policy, err = swarm.NewPolicy("strict", 15*time.Second, 300*time.Second); err != nil {
		b.Fatal(err)
	}
	if l.store, err = Open(context.Background(), path, l.options); err != nil {
		b.Fatal(err)
	}
	return l
}

// announce lets so many hosts announce, of which the first is complete.
func (l *located) announce(b *testing.B, hosts int, now time.Time) {
	b.Helper()
	var r swarm.Reply
	for n := range hosts {
		ip := binary.BigEndian.AppendUint32(nil, 0x0a000000+uint32(n))
		addr, _ := netip.AddrFromSlice(ip)
		a := swarm.Announce{From: addr, Now: now, Location: l.groups[n/40], Policy: &l.policy, Families: swarm.IPv4}
		a.InfoHash, a.Port, a.NumWant, a.Left = bittorrent.InfoHash{9}, 6881, 50, int64(min(n, 1))*1000
		copy(a.PeerID[:], ip)
		r.Reset()
		if err := l.store.Announce(context.Background(), &a, &r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAnnounceLocated is an announce of a located peer of 10,000 that nothing
// new is known of, with and without what is kept of roles.
func BenchmarkAnnounceLocated(b *testing.B) {
	const hosts = 10_000
	for _, kept := range []bool{false, true} {
		b.Run(fmt.Sprintf("kept=%v", kept), func(b *testing.B) {
			l := openLocated(b, filepath.Join(b.TempDir(), "waggle.db"), hosts, kept)
			now := time.Unix(1_700_000_000, 0)
			l.announce(b, hosts, now)
			for b.Loop() {
				now = now.Add(15 * time.Second)
				l.announce(b, hosts, now)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(hosts*b.N), "ns/announce")
			b.StopTimer()
			closeBenchmark(b, l.store)
		})
	}
}

// BenchmarkRoles writes the roles of 40,000 peers that all came at once, writes them
// whole, and reads them back.
func BenchmarkRoles(b *testing.B) {
	const hosts = 40_000
	perPeer := func(b *testing.B) {
		b.Helper()
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1e3/float64(hosts*b.N), "us/peer")
	}
	path := filepath.Join(b.TempDir(), "waggle.db")
	b.Run("changed", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			b.StopTimer()
			l := openLocated(b, fmt.Sprintf("%s-%d", path, n), hosts, true)
			l.announce(b, hosts, time.Unix(1_700_000_000, 0))
			for i := range l.store.lanes {
				rows, _ := l.store.lanes[i].take()
				if err := l.store.writer.write(rows); err != nil {
					b.Fatal(err)
				}
			}
			b.StartTimer()
			flushBenchmark(b, l.store)
			b.StopTimer()
			closeBenchmark(b, l.store)
			b.StartTimer()
		}
		perPeer(b)
	})
	l := openLocated(b, path, hosts, true)
	l.announce(b, hosts, time.Unix(1_700_000_000, 0))
	l.store.writer.pace = pace{}
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			if err := l.store.writeShardRoles(9); err != nil {
				b.Fatal(err)
			}
		}
		perPeer(b)
	})
	closeBenchmark(b, l.store)
	b.Run("restart", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(context.Background(), path, l.options)
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			closeBenchmark(b, s)
			b.StartTimer()
		}
		perPeer(b)
	})
}
