package core_test

import (
	"time"

	"waggle/swarm"
)

// lagging is what is on its way between the store and the node of a tracker. Where lags is
// set, what changes in the store reaches the node a little later, and what the node does
// reaches the store a little later, as package link has it.
type lagging struct {
	lags  bool
	lane  []swarm.Change
	deeds []func()
}

// changed tells the node what has changed in the store.
func (tr *tracker) changed(c *swarm.Change) {
	if !tr.lags {
		tr.node.Local(tr.now(), c)
		return
	}
	if tr.lane = append(tr.lane, *c); len(tr.lane) == 1 {
		tr.w.after(25*time.Millisecond, tr.drain)
	}
}

func (tr *tracker) drain() {
	some := tr.lane
	tr.lane = nil
	for i := range some {
		c := &some[i]
		tr.node.Local(tr.now(), c)
		tr.settle(c)
	}
}

// settle has the store be as it told the node, whatever has reached it since.
func (tr *tracker) settle(c *swarm.Change) {
	at := place{hash: c.InfoHash, addr: c.Peer.Addr}
	switch {
	case c.Kind == swarm.PeerGone && tr.now().Sub(c.Peer.Last) < tr.o.Lifetime-2*time.Second:
		tr.act(func() { delete(tr.store, at) })
	case c.Kind == swarm.PeerPut, c.Kind == swarm.PeerRefreshed:
		peer := c.Peer
		tr.act(func() { tr.store[at] = peer })
	}
}

// act does something to the store.
func (tr *tracker) act(deed func()) {
	if !tr.lags {
		deed()
		return
	}
	if tr.deeds = append(tr.deeds, deed); len(tr.deeds) == 1 {
		tr.w.after(time.Duration(tr.w.rng.IntN(20))*time.Millisecond, tr.work)
	}
}

func (tr *tracker) work() {
	some := tr.deeds
	tr.deeds = nil
	for _, deed := range some {
		deed()
	}
}

// finish does all that is on its way between store and node.
func (tr *tracker) finish() {
	for len(tr.lane)+len(tr.deeds) > 0 {
		tr.drain()
		tr.work()
	}
}
