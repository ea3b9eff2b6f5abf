package frontend

import (
	"sync"
	"testing"
	"time"
)

func TestAnswerIsCountedInTheFirstStepThatItIsNotAbove(t *testing.T) {
	for d, want := range map[time.Duration]int{
		-time.Second: 0, 0: 0, 1: 0, time.Microsecond: 0, time.Microsecond + 1: 1, 2 * time.Microsecond: 1,
		2*time.Microsecond + 1: 2, 3 * time.Microsecond: 2, 4 * time.Microsecond: 2, time.Millisecond: 10,
		1 << 20 * time.Microsecond: 20, 1<<20*time.Microsecond + 1: Steps, time.Hour: Steps, 1<<63 - 1: Steps,
	} {
		if got := stepOf(d); got != want {
			t.Errorf("%v is in step %d, want %d", d, got, want)
		}
		if got := stepOf(d); got < Steps && d > Bound(got) || got > 0 && d <= Bound(got-1) {
			t.Errorf("%v is not within the bounds of step %d", d, got)
		}
	}
}

func TestLatenciesAddUpWhatWorkersCounted(t *testing.T) {
	workers := make([]Latency, 4)
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			for range 1000 {
				workers[i].Add(3*time.Microsecond, 64)
				workers[(i+1)%len(workers)].Add(time.Millisecond, 1) // no worker's own
			}
			workers[i].Add(time.Hour, 0)
			workers[i].Add(time.Hour, -1)
		})
	}
	group.Wait()
	var all Latencies
	for i := range workers {
		all.Count(&workers[i])
	}
	if all.Steps[2] != 256_000 || all.Steps[10] != 4000 || all.Total() != 260_000 {
		t.Errorf("%v, %d in all", all.Steps, all.Total())
	}
	if want := 256_000*3*time.Microsecond + 4000*time.Millisecond; all.Sum != want {
		t.Errorf("the sum is %v, want %v", all.Sum, want)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	l := new(Latency)
	if n := testing.AllocsPerRun(1000, func() { l.Add(123*time.Microsecond, 17) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkLatency(b *testing.B) {
	l := new(Latency)
	for b.Loop() {
		l.Add(123*time.Microsecond, 17)
	}
}
