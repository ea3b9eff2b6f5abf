package instance_test

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/cluster"
	"waggle/cluster/carrier"
	"waggle/cluster/instance"
	"waggle/internal/clustertest"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// real is a tracker of a cluster on the loopback interface.
type real struct {
	carrier carrier.Carrier
	in      *instance.Instance
	tracker *tracker.Tracker
}

// startReal starts one. The first is master at once, as it does not listen for others.
func startReal(t testing.TB, o carrier.MulticastOptions, first bool, log *slog.Logger) *real {
	t.Helper()
	m, err := carrier.NewMulticast(o)
	if err != nil {
		t.Fatal(err)
	}
	times := cluster.Document
	if first {
		times.Election = time.Millisecond
	}
	return carriedBy(t, m, times, log)
}

func carriedBy(t testing.TB, m carrier.Carrier, times cluster.Times, log *slog.Logger) *real {
	t.Helper()
	store := memory.New(memory.Options{Details: true})
	clustered := &instance.Store{Store: store}
	settings := tracker.Settings{Interval: 30 * time.Minute, NumWant: 50, MaxNumWant: 200, PeerLifetime: lifetime}
	x := &real{carrier: m, tracker: tracker.New(clustered, settings, tracker.Options{})}
	x.in = instance.Start(instance.Options{
		Node:    cluster.Options{Times: times, Lifetime: lifetime, MaxRows: 50_000},
		Carrier: m, Tracker: x.tracker, Counts: store, Answer: func(*cluster.Request) {}, Log: log,
	})
	clustered.In = x.in
	t.Cleanup(func() {
		x.in.Close()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func onLoopback(t testing.TB) carrier.MulticastOptions {
	t.Helper()
	return carrier.MulticastOptions{GroupOptions: carrier.GroupOptions{Group: clustertest.Group(t), Interface: "lo"}, Secret: []byte("a secret of the cluster")}
}

// realThree starts a cluster of three, and returns them with the master first.
func realThree(t testing.TB, o carrier.MulticastOptions, log *slog.Logger) (list []*real) {
	t.Helper()
	for n := range 3 {
		list = append(list, startReal(t, o, n == 0, log))
		if n == 0 {
			eventually(t, "the first is master", func() bool { return list[0].in.Answers() })
		}
	}
	eventually(t, "all are one cluster", func() bool {
		for range list { // on a machine that is busy another one may have the lowest ID
			if agree(list) {
				return true
			}
			list = append(list[1:], list[0])
		}
		return false
	})
	return list
}

// agree reports whether the first is master of all, and all know the same.
func agree(list []*real) bool {
	s := list[0].in.State()
	if !list[0].in.Answers() || len(s.Members) != len(list)-1 {
		return false
	}
	for _, m := range s.Members {
		if m.State != "equal" {
			return false
		}
	}
	for _, x := range list {
		if s := x.in.State(); !s.Serving || s.Electing {
			return false
		}
	}
	return true
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	end := time.After(30 * time.Second)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !is() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("never: %s", what)
		}
	}
}

// load is peers that announce, one after the other or many at a time.
type load struct {
	list  []*real
	next  atomic.Uint32
	busy  atomic.Uint64 // announces that were turned away, and made again
	first uint32
	peers uint32 // from the first on
}

// one has a peer announce at one of the trackers, again and again until it is answered.
func (l *load) one(ctx context.Context) error {
	n := l.next.Add(1)
	peer := l.first + n%l.peers
	a := swarm.Announce{
		AnnounceRequest: bittorrent.AnnounceRequest{Left: 1, Port: uint16(1 + peer%60_000), NumWant: 0, Uploaded: int64(n)},
		From:            netip.AddrFrom4([4]byte{10, 1, byte(peer >> 8), byte(peer)}), Families: swarm.IPv4,
	}
	binary.BigEndian.PutUint32(a.InfoHash[:], peer/100)
	for {
		a.Now = time.Now()
		err := l.list[int(n)%len(l.list)].tracker.Announce(ctx, &a, new(swarm.Reply))
		if err == nil || ctx.Err() != nil {
			return err
		}
		l.busy.Add(1)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// run has so many workers announce for a while, waits until all are answered, and returns how
// many were in a second.
func (l *load) run(t testing.TB, workers int, d time.Duration) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d+30*time.Second)
	defer cancel()
	var group sync.WaitGroup
	var done atomic.Uint64
	began := time.Now()
	for range workers {
		group.Go(func() {
			for time.Since(began) < d {
				if err := l.one(ctx); err != nil {
					t.Errorf("an announce was never answered: %v", err)
					return
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	return float64(done.Load()) / time.Since(began).Seconds()
}

// BenchmarkThreeOnLoopback is announces that three trackers commit, all of them in this process,
// by real packets with a MAC.
func BenchmarkThreeOnLoopback(b *testing.B) {
	all := realThree(b, onLoopback(b), nil)
	for _, c := range []struct {
		name string
		at   []*real
	}{{"AtTheMaster", all[:1]}, {"AtASlave", all[1:2]}, {"AtAll", all}} {
		b.Run(c.name, func(b *testing.B) {
			l := &load{list: c.at, peers: 20_000}
			b.SetParallelism(256)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := l.one(context.Background()); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}
