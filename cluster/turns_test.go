package cluster

import (
	"testing"
	"time"

	"waggle/bittorrent"
)

// The first request is lost on its way to the master, which its slave finds out when the second
// one is there.
func TestRequestOfAClientThatIsSentAgainComesBeforeItsNextOne(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.nodes[0].start(nil)
	w.run(4 * time.Second)
	w.nodes[1].start(nil)
	w.run(5 * time.Second)
	c := w.peer(0)
	c.unicast, c.only = true, 1
	w.drops = append(w.drops, drop{"request", 1, 0, 1})
	w.ask(c, bittorrent.EventStarted)
	w.run(50 * time.Millisecond)
	c.waits = false
	w.ask(c, bittorrent.EventStopped)
	w.run(time.Second)
	row, _, _ := peerOf(&c.request)
	for _, i := range w.nodes {
		if r := i.node.table.get(row.cursor()); r == nil || !r.Gone || len(i.node.heard) > 0 || len(i.node.turns) > 0 {
			t.Errorf("%d has %+v, and %d requests", i.index+1, r, len(i.node.heard))
		}
	}
	if c.waits {
		t.Error("the peer is not answered")
	}
}
