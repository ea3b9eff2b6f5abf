package sqlite_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"

	"waggle/store/memory"
	"waggle/store/sqlite"
	"waggle/swarm"
)

// BenchmarkAnnounce is an announce to 10,000 peers of 256 torrents, in memory
// alone and with the journal written behind, in the same run.
func BenchmarkAnnounce(b *testing.B) {
	run := func(b *testing.B, s swarm.Store) {
		b.Helper()
		ctx := context.Background()
		var r swarm.Reply
		n := 0
		for b.Loop() {
			n = (n + 1) % 10_000
			a := announce(byte(n), 0)
			a.From = netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)})
			r.Reset()
			if err := s.Announce(ctx, a, &r); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("memory", func(b *testing.B) { run(b, memory.New(memory.Options{})) })
	b.Run("sqlite", func(b *testing.B) {
		s, err := sqlite.Open(context.Background(), filepath.Join(b.TempDir(), "waggle.db"), sqlite.Options{})
		if err != nil {
			b.Fatal(err)
		}
		run(b, s)
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	})
}
