package shared_test

import (
	"context"
	"testing"

	"waggle/swarm"
)

func TestFaultOfTheStoreCostsTheAnnounceThatFoundIt(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	func() {
		defer func() { _ = recover() }()
		_ = c.trackers[0].AnnounceWhile(t.Context(), c.announceOf(leecher(1, "r1")), &swarm.Reply{}, func(context.Context) (swarm.View, swarm.Position, error) {
			panic("out of range")
		})
	}()
	c.do(0, leecher(3, "r1"))
}
