package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// garbageEvery is how often it is looked at how large the heap is, and what collecting took.
const garbageEvery = 5 * time.Second

// garbage says how much may lie: a share of what the heap has in use, the tracker's tables left
// out. They are large from the start and hardly touched, and would let tens of megabytes lie in
// a tracker that has nothing to do.
type garbage struct {
	share int // percent
}

// The share is as in any program in Go where collecting is frequent, or would else take too much
// time. Announces leave none behind, so that is seldom.
const (
	mostGarbage  = 100     // percent
	leastGarbage = 10      // percent
	anyGarbage   = 2 << 20 // bytes that may always lie
	often        = int(garbageEvery / time.Second)
	tooMuch      = 0.05 // of the time of all processors
	step         = 4    // what the share is divided by, and so how much more collecting takes
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
	last := look()
	g := garbage{mostGarbage}
	is := g.percent(last.live, s.tracker.Tables())
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
		now := look()
		all := garbageEvery.Seconds() * float64(runtime.GOMAXPROCS(0))
		if g.adapt(int(now.cycles-last.cycles), (now.seconds-last.seconds)/all) {
			debug.FreeOSMemory()
			unmapProgram()
			now = look()
		}
		last = now
		if percent := g.percent(now.live, s.tracker.Tables()); percent > is+is/8 || percent < is-is/8 { // each change stops everything for a moment
			is = percent
			debug.SetGCPercent(is)
		}
	}
}

// adapt takes in how many times garbage was collected since it did last, and what part of the time
// of all processors that took. It reports true when that has become little.
func (g *garbage) adapt(cycles int, took float64) (calm bool) {
	switch {
	case cycles >= often, took > tooMuch:
		g.share = mostGarbage
	case cycles <= 1 && took < tooMuch/step && g.share > leastGarbage:
		g.share = max(g.share/step, leastGarbage)
		return g.share == leastGarbage
	}
	return false
}

// percent returns how many percent of a heap may be garbage beside it, tables included.
func (g *garbage) percent(live, tables int64) int {
	bytes := max((live-tables)*int64(g.share)/100, anyGarbage)
	return int(min(max(100*bytes/max(live, 1), 1), mostGarbage))
}

// collected is what collecting garbage has done since the process began.
type collected struct {
	live    int64 // bytes that it has left in use last
	cycles  uint64
	seconds float64 // of processors
}

func look() collected {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/cpu/classes/gc/mark/dedicated:cpu-seconds"},
		{Name: "/cpu/classes/gc/mark/assist:cpu-seconds"},
	}
	metrics.Read(samples)
	return collected{
		int64(samples[0].Value.Uint64()), samples[1].Value.Uint64(), samples[2].Value.Float64() + samples[3].Value.Float64(),
	}
}
