package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// leastGarbage is how many bytes of garbage may always lie, as in any program in Go.
const leastGarbage = 4 << 20

// garbageEvery is how often it is looked at how large the heap has become.
const garbageEvery = 5 * time.Second

// keepGarbage lets as much garbage lie as the heap has in use without the tracker's tables, until
// ctx ends: they are large from the start and hardly touched, and would let tens of megabytes
// of garbage lie in a tracker that has nothing to do. Where GOGC is set, that holds.
func (s *service) keepGarbage(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	runtime.GC() // what starting took, and the tables are known to be there
	is := garbageShare(liveHeap(), s.tracker.Tables())
	before := debug.SetGCPercent(is)
	defer debug.SetGCPercent(before)
	ticker := time.NewTicker(garbageEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if share := garbageShare(liveHeap(), s.tracker.Tables()); share > is+is/8 || share < is-is/8 { // each change stops everything for a moment
			is = share
			debug.SetGCPercent(is)
		}
	}
}

// garbageShare returns how many percent of a heap may be garbage beside it, of which tables are
// to let none lie.
func garbageShare(live, tables int64) int {
	garbage := max(live-tables, leastGarbage)
	return int(min(max(100*garbage/max(live, 1), 1), 100))
}

// liveHeap returns how many bytes of the heap the last collection has left.
func liveHeap() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
