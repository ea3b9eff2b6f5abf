package shared_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"waggle/store/shared"
	"waggle/swarm"
)

// hold holds a step of the Map until it is let go.
func (c *cluster) hold() (held chan struct{}, letGo func()) {
	held, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c.m.Before = func(ctx context.Context, _ *shared.Update) error {
		first := false
		once.Do(func() { first = true })
		if !first {
			return nil
		}
		close(held)
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return held, func() { close(gate) }
}

func TestAnnouncesThatWaitGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, "strict", "rack")
		c.do(0, seeder(1000, "r0"))
		held, letGo := c.hold()
		var all sync.WaitGroup
		all.Go(func() { c.do(0, leecher(0, "r1")) })
		<-held
		for n := range 100 {
			all.Go(func() { c.do(0, leecher(1+n, "r1")) })
		}
		synctest.Wait()
		before := c.trackers[0].Figures()
		letGo()
		all.Wait()
		if steps := c.trackers[0].Figures().Steps - before.Steps; steps > 8 {
			t.Errorf("a hundred announces took %d steps", steps)
		}
		if p := c.place(0, "r1"); p.Leechers != 101 || len(p.Importers) != 1 {
			t.Errorf("%d leechers, %d importers", p.Leechers, len(p.Importers))
		}
	})
}

func TestWaitingIsBoundedAndEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 0, "strict", "rack")
		s := c.trackerWith(shared.Options{MaxWaiting: 2})
		held, letGo := c.hold()
		var all sync.WaitGroup
		announce := func(ctx context.Context, n int) error {
			v, at := c.host.view(netip.AddrPort{})
			return s.Announce(ctx, c.announceOf(leecher(n, "r1")), &swarm.Reply{}, v, at)
		}
		all.Go(func() {
			if err := announce(context.Background(), 0); err != nil {
				t.Error(err)
			}
		})
		<-held
		ctx, cancel := context.WithCancel(t.Context())
		for n := range 2 {
			all.Go(func() {
				if err := announce(ctx, 1+n); !errors.Is(err, context.Canceled) {
					t.Errorf("who went is told %v", err)
				}
			})
		}
		synctest.Wait()
		if err := announce(context.Background(), 3); !errors.Is(err, swarm.ErrBusy) {
			t.Errorf("one too many is told %v", err)
		}
		cancel()
		synctest.Wait()
		letGo()
		all.Wait()
		synctest.Wait() // those who went have left the queue
		if all := members(t, s); len(all) != 1 {
			t.Errorf("those who went are members:%s", dump(all))
		}
	})
}

func TestAnnounceThatTakesTooLongIsToldThatTheStoreIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, "strict", "rack")
		c.do(0, seeder(1000, "r0"))
		held, letGo := c.hold()
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		var all sync.WaitGroup
		for n, ctx := range []context.Context{t.Context(), t.Context(), hurried} {
			all.Go(func() {
				v, at := c.host.view(netip.AddrPort{})
				err := c.trackers[0].Announce(ctx, c.announceOf(leecher(n, "r1")), &swarm.Reply{}, v, at)
				took, want := time.Since(began), 5*time.Second
				if ctx == hurried {
					want = time.Second
				}
				if !errors.Is(err, swarm.ErrBusy) || took != want {
					t.Errorf("after %v: %v", took, err)
				}
			})
		}
		<-held
		all.Wait()
		letGo()
		synctest.Wait()
	})
}

// TestViewIsTheCallersAgainWhenItsContextEnds is for the race detector.
func TestViewIsTheCallersAgainWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, "strict", "rack")
		c.do(0, leecher(0, "r1"))
		held, letGo := c.hold()
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			a := c.announceOf(leecher(1, "r2"))
			v, at := c.host.view(a.Addr())
			if err := c.trackers[0].Announce(ctx, a, &swarm.Reply{}, v, at); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			for range 1000 {
				v[swarm.Seeds4] = nil
			}
		})
		<-held
		cancel()
		letGo()
		all.Wait()
		synctest.Wait()
		if all := members(t, c.trackers[0]); len(all) != 2 {
			t.Errorf("%d members", len(all))
		}
	})
}

// faulty is a view with a fault.
type faulty struct{ view }

func (*faulty) Len(swarm.Group) int { panic("out of range") }

func TestFaultCostsTheAnnounceThatFoundIt(t *testing.T) {
	c := newCluster(t, 0, "strict", "rack")
	var log strings.Builder
	s := c.trackerWith(shared.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := c.try(s, c.announceOf(seeder(1000, "r0"))); err != nil {
		t.Fatal(err)
	}
	err := s.Announce(t.Context(), c.announceOf(leecher(1, "")), &swarm.Reply{}, &faulty{}, swarm.Absent)
	if err == nil || !strings.Contains(log.String(), "out of range") {
		t.Errorf("%v; the log: %s", err, log.String())
	}
	for n := range 3 {
		if _, err := c.try(s, c.announceOf(leecher(1+n, "r1"))); err != nil {
			t.Error(err)
		}
	}
	if all := members(t, s); len(all) != 4 {
		t.Errorf("%d members", len(all))
	}
}

func TestFloodOfOnePeerDoesNotHoldOthersUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, "strict", "rack")
		c.do(0, seeder(1000, "r0"))
		held, letGo := c.hold()
		var all sync.WaitGroup
		all.Go(func() { c.do(0, leecher(0, "r1")) })
		<-held
		for n := range 60 {
			all.Go(func() { c.do(0, leecher(1, "r1")) })
			all.Go(func() { c.do(0, leecher(2+n, "r1")) })
		}
		synctest.Wait()
		most := 0
		c.m.After = func(_ context.Context, u *shared.Update, _ *shared.Answer) error {
			most = max(most, len(u.Announced))
			return nil
		}
		letGo()
		if all.Wait(); most < 60 {
			t.Errorf("%d of 120 announces, of 61 peers, are the most that went together", most)
		}
	})
}
