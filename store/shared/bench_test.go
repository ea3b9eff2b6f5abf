package shared_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"waggle/store/shared"
	"waggle/swarm"
)

// BenchmarkAnnounce is of one tracker with 8,000 members, to which 256 announces wait
// at a time, over a Map whose steps take 0.2 ms longer than they do in memory.
func BenchmarkAnnounce(b *testing.B) {
	for _, trackers := range []int{1, 2} {
		b.Run(fmt.Sprintf("trackers=%d", trackers), func(b *testing.B) { benchmarkAnnounce(b, trackers) })
	}
}

const (
	benchMembers = 8000
	benchWaiting = 256
)

func benchmarkAnnounce(b *testing.B, trackers int) {
	c := newCluster(b, trackers, "strict", "row", "rack")
	peers := []*peer{seeder(benchMembers, "row0/r0")}
	for n := range benchMembers {
		peers = append(peers, leecher(n, fmt.Sprintf("row%d/r%d", n%10, n%200)))
	}
	announces := make([]*swarm.Announce, len(peers))
	for n, p := range peers {
		announces[n] = c.announceOf(p)
		c.host.record(announces[n])
	}
	v, at := c.host.view(peers[0].addr)
	announce := func(n int) {
		var r swarm.Reply
		a := *announces[n%len(announces)]
		a.Now = a.Now.Add(time.Duration(n) * time.Millisecond)
		if err := c.trackers[n%trackers].Announce(context.Background(), &a, &r, v, at); err != nil {
			b.Error(err)
		}
	}
	for n := range peers {
		announce(n)
	}
	c.m.Before = func(context.Context, *shared.Update) error {
		time.Sleep(200 * time.Microsecond) // what a server takes
		return nil
	}
	before := c.trackers[0].Figures()
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for w := range benchWaiting {
		all.Go(func() {
			for n := w; n < b.N; n += benchWaiting {
				announce(n)
			}
		})
	}
	all.Wait()
	after := c.trackers[0].Figures()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "announces/s")
	b.ReportMetric(float64(trackers)*float64(after.Steps-before.Steps)/float64(b.N), "steps/announce")
}
