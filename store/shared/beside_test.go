package shared_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"waggle/store/shared"
	"waggle/swarm"
)

func TestPeerIsRecordedWhileTheMapIsAsked(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	c.do(0, seeder(1000, "r0"))
	asked := make(chan struct{})
	var once sync.Once
	c.m.Before = func(context.Context, *shared.Update) error {
		once.Do(func() { close(asked) })
		return nil
	}
	a := c.announceOf(leecher(2, "r1"))
	var r swarm.Reply
	err := c.trackers[0].AnnounceWhile(t.Context(), a, &r, func(ctx context.Context) (swarm.View, swarm.Position, error) {
		select {
		case <-asked:
		case <-ctx.Done():
		}
		return c.recording(a)(ctx)
	})
	if err != nil || r.Peers.Len() != 1 {
		t.Errorf("%d peers, %v", r.Peers.Len(), err)
	}
}

// TestPeerThatCouldNotBeRecordedGetsNoRole lets the records of some peers of a batch
// fail, of which one would have been told to import.
func TestPeerThatCouldNotBeRecordedGetsNoRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, "strict", "rack")
		c.do(0, seeder(1000, "r0"))
		full := errors.New("no room")
		letGo := make(chan struct{})
		var all sync.WaitGroup
		for n := range 6 {
			all.Go(func() {
				a := c.announceOf(leecher(n, "r1"))
				err := c.trackers[0].AnnounceWhile(t.Context(), a, &swarm.Reply{}, func(ctx context.Context) (swarm.View, swarm.Position, error) {
					<-letGo
					if n < 3 {
						return nil, swarm.Absent, full
					}
					return c.recording(a)(ctx)
				})
				if n < 3 != errors.Is(err, full) {
					t.Errorf("peer %d: %v", n, err)
				}
			})
		}
		synctest.Wait()
		close(letGo)
		all.Wait()
		p := c.place(0, "r1")
		if len(p.Importers) != 1 || p.Importers[0].Addr().As16()[15] < 3 {
			t.Errorf("importers %v", p.Importers)
		}
	})
}

// TestReplicasThatCloseDoNotWaitForARecord closes while a peer is being recorded.
func TestReplicasThatCloseDoNotWaitForARecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 0, "strict", "rack")
		s := c.trackerWith(shared.Options{})
		letGo := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			a := c.announceOf(leecher(1, "r1"))
			err := s.AnnounceWhile(t.Context(), a, &swarm.Reply{}, func(ctx context.Context) (swarm.View, swarm.Position, error) {
				<-letGo
				return c.recording(a)(ctx)
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		})
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		close(letGo)
		all.Wait()
	})
}
