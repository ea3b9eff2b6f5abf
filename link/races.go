package link

import (
	"math"
	"net/netip"
	"sync/atomic"

	"waggle/bittorrent"
	"waggle/swarm"
)

// marks is how many groups of peers an applier tells apart, and late the mark of one for
// which it did something that it was told long before.
const (
	marks = 1 << 15
	late  = math.MaxUint64
)

// races knows which deeds of an applier a peer may have overtaken: one that announced to
// this tracker between what the node decided of it and the deed is not in the store as it
// said. It is the loop's, but for done and marked.
type races struct {
	handed uint64               // deeds, so far
	before uint64               // of them, those that were done before the lanes were emptied last
	latest uint64               // the same of this time
	done   atomic.Uint64        // of them
	last   [marks]atomic.Uint64 // the latest deed of each group
}

func (r *races) groupOf(h *bittorrent.InfoHash, a netip.AddrPort) *atomic.Uint64 {
	return &r.last[mixPeer(h, a)>>16%marks]
}

// hand notes a deed, which gets its number.
func (r *races) hand(d *deed) {
	r.handed++
	d.number = r.handed
	group := r.groupOf(&d.hash, d.peer.Addr)
	if was := group.Load(); was != late {
		group.CompareAndSwap(was, d.number)
	}
}

// markLate notes that a deed is about to be done that was handed over long before.
func (r *races) markLate(h *bittorrent.InfoHash, a netip.AddrPort) { r.groupOf(h, a).Store(late) }

// overtaken reports whether a peer whose change was in a lane may have overtaken a deed.
// It is true of some others, too.
func (r *races) overtaken(c *swarm.Change) bool {
	group := r.groupOf(&c.InfoHash, c.Peer.Addr)
	was := group.Load()
	if was == late {
		group.CompareAndSwap(late, r.handed)
	}
	return was > r.before
}

// beforeLanes is to be called before the lanes are emptied: what was done by then is older
// than what will be in them the next time.
func (c *crew) beforeLanes() {
	for i := range c.all {
		r := &c.all[i].races
		r.before, r.latest = r.latest, r.done.Load()
	}
}

// mayRace reports whether a deed may have come between a change and its being drained.
func (c *crew) mayRace(change *swarm.Change) bool {
	return change.Kind != swarm.DownloadCount && c.of(&change.InfoHash).races.overtaken(change)
}

// settleRace makes the store have a peer as it told this tracker last.
func (c *crew) settleRace(change *swarm.Change) {
	d := deed{what: put, hash: change.InfoHash, peer: change.Peer}
	if change.Kind == swarm.PeerGone {
		d.what = remove
	}
	c.add(&d)
}
