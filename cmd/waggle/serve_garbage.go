package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// garbageEvery is how often it is looked at how large the heap is, and how often it was collected.
const garbageEvery = 5 * time.Second

// garbage says how much may lie: a share of what the heap has in use, the tracker's tables left
// out. They are large from the start and hardly touched, and would let tens of megabytes lie in
// a tracker that has nothing to do.
type garbage struct {
	share int // percent
}

// The share is as in any program in Go where collecting would else take too much time. Announces
// leave none behind, so that is seldom.
const (
	mostGarbage  = 100     // percent
	leastGarbage = 25      // percent
	anyGarbage   = 2 << 20 // bytes that may always lie
	often        = int(garbageEvery / time.Second)
)

// keepGarbage collects garbage before it is more than may lie, until ctx ends. When there is little
// of it at last, after a start or a rush of clients, it gives back to the system what that has
// left: memory that is free, of which Go itself keeps a tenth of the heap, tables included, and
// what was read of the program. Where GOGC is set, that holds.
func (s *service) keepGarbage(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	runtime.GC() // the tables are in the figures then
	live, cycles := heap()
	g := garbage{mostGarbage}
	is := g.percent(live, s.tracker.Tables())
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
		last := cycles
		live, cycles = heap()
		if g.adapt(int(cycles - last)) {
			debug.FreeOSMemory()
			unmapProgram()
			live, cycles = heap()
		}
		if percent := g.percent(live, s.tracker.Tables()); percent > is+is/8 || percent < is-is/8 { // each change stops everything for a moment
			is = percent
			debug.SetGCPercent(is)
		}
	}
}

// adapt takes in how many times garbage was collected since it did last. It reports true when it
// has become seldom.
func (g *garbage) adapt(cycles int) (calm bool) {
	switch {
	case cycles >= often:
		g.share = mostGarbage
	case cycles <= 1 && g.share > leastGarbage:
		g.share = max(g.share/2, leastGarbage)
		return g.share == leastGarbage
	}
	return false
}

// percent returns how many percent of a heap may be garbage beside it, tables included.
func (g *garbage) percent(live, tables int64) int {
	bytes := max((live-tables)*int64(g.share)/100, anyGarbage)
	return int(min(max(100*bytes/max(live, 1), 1), mostGarbage))
}

// heap returns how many bytes the last collection has left in use, and how many there were.
func heap() (live int64, cycles uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64()), samples[1].Value.Uint64()
}
