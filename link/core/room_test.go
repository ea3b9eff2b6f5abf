package core

import (
	"testing"
	"time"

	"waggle/swarm"
)

// TestANodeThatIsFullOfThoseThatLeftSaysSoOnce has peers come and go faster than those that
// left may be forgotten.
func TestANodeThatIsFullOfThoseThatLeftSaysSoOnce(t *testing.T) {
	p := newPuppet(t, Options{MaxPeers: 10})
	for i := range 200 {
		p.local(i, swarm.PeerPut)
		p.local(i, swarm.PeerGone)
		p.wait(100 * time.Millisecond)
	}
	if f := p.node.Figures(); f.Departed != 30 || f.NoRoom == 0 || len(p.events) != 1 || p.events[0].Kind != TableFull {
		t.Errorf("%+v: %d events", f, len(p.events))
	}
	p.wait(2 * time.Minute)
	p.local(1000, swarm.PeerPut)
	if f := p.node.Figures(); f.Peers != 1 {
		t.Errorf("later: %+v", f)
	}
}
