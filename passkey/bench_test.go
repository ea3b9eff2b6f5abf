//go:build unix

package passkey

import (
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// many returns a store in a file with so many passkeys, and their secrets.
func many(b *testing.B, n int) (*SQLite, []string) {
	b.Helper()
	s, err := OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "passkeys.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	keys := make([]string, n)
	var changes []Change
	for i := range n {
		keys[i] = fmt.Sprintf("%032d", i)
		changes = append(changes, Change{Record: Record{ID: fmt.Sprintf("%016x", i), Key: keys[i], Name: fmt.Sprintf("member %d", i), Created: time.Unix(1_800_000_000, 0)}})
		if len(changes) == 10_000 || i == n-1 {
			if err := s.Apply(b.Context(), changes); err != nil {
				b.Fatal(err)
			}
			changes = changes[:0]
		}
	}
	return s, keys
}

// processor reports how much of a processor each of n things took, whoever else has the rest.
func processor(b *testing.B, n int, what string) (done func()) {
	b.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	began := used()
	return func() { b.ReportMetric(float64((used()-began).Nanoseconds())/float64(b.N*n), what) }
}

// BenchmarkOpen reads passkeys at a start.
func BenchmarkOpen(b *testing.B) {
	const n = 500_000
	s, _ := many(b, n)
	var before, after runtime.MemStats
	done := processor(b, n, "cpu-ns/passkey")
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		book, err := Open(b.Context(), Options{Store: s, WriteEvery: -1})
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "bytes/passkey")
		if book.Len() != n || book.Close() != nil {
			b.Fatal(book.Len())
		}
	}
	done()
}

// BenchmarkAnnounce lets announces in and hears them, and BenchmarkFlush writes what they told.
func BenchmarkAnnounce(b *testing.B) {
	s, keys := many(b, 100_000)
	book, err := Open(b.Context(), Options{Store: s, WriteEvery: -1})
	if err != nil {
		b.Fatal(err)
	}
	a := &swarm.Announce{Now: time.Unix(1_800_000_000, 0)}
	i := 0
	done := processor(b, 1, "cpu-ns/announce")
	for b.Loop() {
		a.Credentials.Passkey = keys[i%len(keys)]
		if err := book.Enter(a); err != nil {
			b.Fatal(err)
		}
		book.Announce(a)
		i++
	}
	done()
}

func BenchmarkFlush(b *testing.B) {
	const n = 10_000
	s, keys := many(b, n)
	book, err := Open(b.Context(), Options{Store: s, WriteEvery: -1})
	if err != nil {
		b.Fatal(err)
	}
	a := &swarm.Announce{Now: time.Unix(1_800_000_000, 0)}
	a.Event = bittorrent.EventNone
	done := processor(b, n, "cpu-ns/passkey")
	for b.Loop() {
		for _, key := range keys {
			a.Credentials.Passkey = key
			book.Announce(a)
		}
		if err := book.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		a.Uploaded += 1000
		a.Now = a.Now.Add(time.Minute)
	}
	done()
}
