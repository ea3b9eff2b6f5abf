package core

// sweepEvery is how long a sweep over all entries takes, in milliseconds.
const sweepEvery = 4000

// goneGrace is for how many ticks longer than a lifetime those that left are
// remembered: longer than anybody may keep older news of them.
const goneGrace = 2 * graceTicks

// sweep looks at as many entries as are due, and forgets what is old.
func (n *Node) sweep() {
	passed := min(n.ms-n.sweptMs, sweepEvery)
	if passed <= 0 || n.topEntry == 0 {
		n.sweptMs = n.ms
		return
	}
	n.sweptMs = n.ms
	looks := 1 + int64(n.topEntry)*passed/sweepEvery
	keep := n.keepGone()
	for range min(looks, int64(n.topEntry)) {
		if n.sweepAt++; n.sweepAt > n.topEntry {
			n.sweepAt = 1
		}
		n.sweepOne(n.sweepAt, keep)
	}
	if n.isRoomy() {
		n.full = false
	}
}

// keepGone returns for how many ticks those that left are remembered. Where they
// are more than half of what may be, it is less.
func (n *Node) keepGone() uint32 {
	keep := n.lifetime + goneGrace
	half := n.o.MaxPeers / 2
	if n.departed <= half {
		return keep
	}
	share := float64(max(n.o.MaxPeers-n.departed, 0)) / float64(max(half, 1))
	return max(uint32(float64(keep)*share), graceTicks)
}

func (n *Node) sweepOne(i, keepGone uint32) {
	e := n.entry(i)
	silent := n.now - e.seen
	switch e.state {
	case live:
		if silent <= n.lifetime+graceTicks {
			return
		}
		n.figures.Expired++
		if e.via == viaHere {
			n.buryAndRemove(i, uint64(silent)) // the store should have told
			return
		}
		h, addr := n.torrent(e.torrent).hash, e.addrPort()
		n.forget(i)
		if n.holds(&h) {
			n.host.Remove(h, addr)
		}
	case gone:
		if n.now-uint32(e.left) > keepGone {
			n.forget(i)
		}
	case counts:
		if silent > n.countsOf && n.torrent(e.torrent).live == 0 {
			n.forget(i)
		}
	}
}
