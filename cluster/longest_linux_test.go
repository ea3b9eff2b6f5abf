package cluster

import (
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cpu is how long this thread has run: what others do on the machine is left out.
func cpu() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // never fails
	return time.Duration(t.Nano())
}

// longest runs something and reports the longest call of it. Keepalives wait as long.
func longest(b *testing.B, w *wire, run func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	runtime.GC()
	w.longest, w.cpu = 0, cpu
	run()
	b.ReportMetric(float64(w.longest.Microseconds())/1000, "ms/longest")
	b.ReportMetric(float64(w.slow), "of-type")
}

// BenchmarkLongestCall has the longest call of what depends on how many rows there are, or requests
// that wait: it should be below 50 ms.
func BenchmarkLongestCall(b *testing.B) {
	million := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("ROWS")); err == nil {
		million = n
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.Run("join a million rows", func(b *testing.B) {
		for b.Loop() {
			w := newWire()
			w.start(large(million), 0, manyRows(million, w.now.UnixMicro()))
			w.tick(400)
			n := w.start(large(million), time.Hour, nil)
			longest(b, w, func() {
				for n.State().Rows < million || !n.State().Serving {
					w.tick(10)
				}
			})
		}
	})
	b.Run("pull a million rows", func(b *testing.B) {
		for b.Loop() {
			w := newWire()
			w.start(large(million), 0, nil)
			w.tick(400)
			n := w.start(large(million), time.Hour, manyRows(million, w.now.Add(time.Hour).UnixMicro()))
			longest(b, w, func() {
				for w.nodes[w.order[0]].table.rows < million || !n.State().Serving {
					w.tick(10)
				}
			})
		}
	})
	for _, waiting := range []int{window, mostWaiting} {
		name := "tick with a window of requests"
		if waiting > window {
			name = "tick with all requests that may wait"
		}
		b.Run(name, func(b *testing.B) {
			w, master, _ := grown(b, million)
			w.deaf[w.order[1]] = true
			for i := range waiting {
				r := requestOf(i)
				master.Heard(w.now, &r)
			}
			longest(b, w, func() {
				for b.Loop() {
					w.tick(1)
				}
			})
		})
	}
	b.Run("a slave takes over with all requests that may wait", func(b *testing.B) {
		for b.Loop() {
			w, _, slave := grown(b, million)
			w.deaf[w.order[0]] = true
			for i := range mostHeard {
				r := requestOf(i)
				slave.Heard(w.time(w.order[1]), &r)
			}
			w.queue = nil
			w.order = w.order[1:]
			longest(b, w, func() { w.tick(1000) })
			if slave.role != Master || len(slave.heard) > 0 || w.done < mostHeard {
				b.Fatalf("%v, %d wait, %d are done", slave.role, len(slave.heard), w.done)
			}
		}
	})
	b.Run("a slave has another master with all requests that may wait", func(b *testing.B) {
		for b.Loop() {
			w, master, slave := grown(b, million)
			other := w.start(large(million), 0, nil)
			w.tick(3000)
			for i := range mostHeard {
				r := requestOf(i)
				other.Propose(w.now, &r)
				if i%1000 == 0 {
					w.queue = nil
				}
			}
			w.deaf[w.order[0]] = true
			master.Leave(w.now)
			w.order = w.order[1:]
			longest(b, w, func() { w.tick(1000) })
			if slave.role != Master || other.role != Slave {
				b.Fatalf("they are %v and %v", slave.role, other.role)
			}
		}
	})
	b.Run("a master is alone with all requests that may wait", func(b *testing.B) {
		for b.Loop() {
			w, master, _ := grown(b, million)
			w.deaf[w.order[1]] = true
			for i := range mostWaiting {
				r := requestOf(i)
				master.Heard(w.now, &r)
			}
			w.order = w.order[:1]
			longest(b, w, func() { w.tick(1000) })
			if len(master.flying) > 0 {
				b.Fatalf("%d wait", len(master.flying))
			}
		}
	})
	b.Run("counts of a million rows", func(b *testing.B) {
		w, master, _ := grown(b, million)
		longest(b, w, func() {
			for b.Loop() {
				w.clocked(0, func() { master.Counts() })
			}
		})
	})
}
