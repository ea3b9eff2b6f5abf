package instance_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"waggle/bittorrent"
	"waggle/cluster"
	"waggle/cluster/instance"
	"waggle/store/memory"
	"waggle/swarm"
)

// What a peer was told is recorded has to be there when the one that told it so has left.
func TestInstanceThatLeavesInTheMiddleOfWorkLosesNothing(t *testing.T) {
	for leaving := range 3 {
		synctest.Test(t, func(t *testing.T) {
			_, list := three(t)
			var group sync.WaitGroup
			const peers = 250
			for n := range peers {
				group.Go(func() {
					time.Sleep(time.Duration(n) * time.Millisecond)
					for at := n; ; at++ { // its client asks another tracker then
						_, err := list[at%3].announce(byte(n), 1, bittorrent.EventStarted)
						if err == nil {
							return
						}
						time.Sleep(time.Second)
					}
				})
			}
			time.Sleep(peers / 2 * time.Millisecond)
			list[leaving].in.Close()
			group.Wait()
			for n, x := range list {
				if n != leaving {
					x.wantCounts(0, peers, 0)
				}
			}
		})
	}
}

func TestInstanceThatLeavesIsDoneWithoutAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, list := three(t)
		list[2].in.Close()
		time.Sleep(30 * time.Millisecond) // and it is shown
		if s := list[0].in.State(); len(s.Members) != 1 {
			t.Errorf("%+v", s.Members)
		}
		list[0].in.Close()
		time.Sleep(30 * time.Millisecond) // and it is shown
		if s := list[1].in.State(); s.Role != cluster.Master || len(s.Members) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestThoseWhoGiveUpAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{ports: map[netip.AddrPort]*port{}}
		x := l.start(t, 1) // which has no ID yet, and so commits nothing
		ctx, cancel := context.WithCancel(t.Context())
		r := &cluster.Request{Source: netip.MustParseAddrPort("10.1.0.7:7000")}
		copy(r.Packet[:], bittorrent.AppendUDPAnnounce(nil, 5, 6, &bittorrent.AnnounceRequest{Port: 6881}, ""))
		results := make(chan error, 3)
		for n := range 3 {
			go func() { results <- x.in.Commit(ctx, time.Duration(n+1)*time.Second/2, r, false) }()
		}
		time.Sleep(time.Second + time.Millisecond)
		for range 2 {
			if err := <-results; !errors.Is(err, swarm.ErrBusy) {
				t.Error(err)
			}
		}
		if n, err := x.in.Waiting(t.Context()); n != 1 || err != nil {
			t.Errorf("%d requests wait, %v", n, err)
		}
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if n, err := x.in.Waiting(t.Context()); n != 0 || err != nil {
			t.Errorf("%d requests wait, %v", n, err)
		}
	})
}

// slow is a tracker that records nothing until it may.
type slow struct{ may chan struct{} }

func (s slow) Relay(context.Context, *swarm.Announce, *swarm.Reply) error {
	<-s.may
	return nil
}

func TestInstanceThatIsFarBehindTurnsAwayAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, behind := &lan{ports: map[netip.AddrPort]*port{}}, slow{make(chan struct{})}
		in := instance.Start(instance.Options{
			Node:    cluster.Options{Times: cluster.Document, Lifetime: lifetime, MaxRows: 100_000},
			Carrier: l.plug(1), Tracker: behind, Counts: memory.New(memory.Options{}), Answer: func(*cluster.Request) {},
		})
		defer in.Close()
		time.Sleep(5 * time.Second)
		request := func(n int) *cluster.Request {
			r := &cluster.Request{Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), 7000)}
			copy(r.Packet[:], bittorrent.AppendUDPAnnounce(nil, uint64(n), uint32(n), &bittorrent.AnnounceRequest{Port: 6881}, ""))
			return r
		}
		var group sync.WaitGroup
		results := make(chan error, 5000)
		for n := range 5000 {
			group.Go(func() { results <- in.Commit(t.Context(), time.Minute, request(n), true) })
		}
		synctest.Wait()
		busy := len(results)
		for range busy {
			if err := <-results; !errors.Is(err, swarm.ErrBusy) {
				t.Error(err)
			}
		}
		if busy < 5000-4096-300 || busy > 5000-4096 {
			t.Errorf("%d are turned away at once", busy)
		}
		close(behind.may)
		group.Wait()
		for range 5000 - busy {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}
