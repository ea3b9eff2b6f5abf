package frontend

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Steps is the number of bounded steps of a [Latency]: 1 µs, 2 µs, 4 µs and so on, up
// to 1.05 s.
const Steps = 21

// Bound returns the longest time that step i is for.
func Bound(i int) time.Duration { return time.Microsecond << i }

// Latency counts how long answers took. The zero value is ready to use. All methods may
// be called concurrently, but cores that add to one at the same time take its cache
// lines from each other: each worker has its own, and [Latencies] adds them up.
type Latency struct {
	steps [Steps + 1]atomic.Uint64 // the last is of all that took longer
	sum   atomic.Int64             // ns

	_ [72]byte // those in a slice share no cache line; 64 would do if all began at one
}

// Add counts n answers that took d each. It allocates nothing and waits for nobody.
func (l *Latency) Add(d time.Duration, n int) {
	if n <= 0 {
		return
	}
	d = max(d, 0)
	l.steps[stepOf(d)].Add(uint64(n))
	l.sum.Add(int64(d) * int64(n))
}

// stepOf returns the first step that d is not above.
func stepOf(d time.Duration) int {
	return min(bits.Len64(uint64(max(d-1, 0))/uint64(time.Microsecond)), Steps)
}

// Latencies are the counts of several [Latency] together, as of a moment.
type Latencies struct {
	Steps [Steps + 1]uint64 // answers that took as long as [Bound], and more than the one before; the last: longer
	Sum   time.Duration     // of all of them
}

// Count adds what a Latency has counted. What is added to that meanwhile may be missed
// in part.
func (l *Latencies) Count(of *Latency) {
	for i := range of.steps {
		l.Steps[i] += of.steps[i].Load()
	}
	l.Sum += time.Duration(of.sum.Load())
}

// Plus returns the counts of both.
func (l Latencies) Plus(other Latencies) Latencies {
	for i, n := range other.Steps {
		l.Steps[i] += n
	}
	l.Sum += other.Sum
	return l
}

// Total returns how many answers there were.
func (l *Latencies) Total() (n uint64) {
	for _, of := range l.Steps {
		n += of
	}
	return n
}
