package rival

import "waggle/swarm"

// answer is an answer being put together.
type answer struct {
	a    *swarm.Announce
	asks *peer
	r    *swarm.Reply
	room int // for how many more peers
}

// fits reports whether a peer may be told of: never the asker, and to one that
// downloads nothing nobody that does not either.
func (w *answer) fits(p *peer) bool {
	return w.room > 0 && p != w.asks && p.ID != w.asks.ID &&
		w.a.Families&swarm.FamilyOf(p.Addr.Addr()) != 0 &&
		(w.asks.Kind == swarm.Leecher || p.Kind == swarm.Leecher)
}

// tell appends the peer, if it fits, and reports whether it did.
func (w *answer) tell(p *peer) bool {
	if !w.fits(p) {
		return false
	}
	w.room--
	if w.a.WithIDs {
		w.r.Peers.AppendWithID(p.Addr, p.ID)
	} else {
		w.r.Peers.Append(p.Addr)
	}
	return true
}

// some tells of up to n peers of a list, each as likely as another.
func (b *book) some(w *answer, list []*peer, n int) {
	order := b.random.Perm(len(list))
	for _, i := range order {
		if n == 0 {
			return
		}
		if w.tell(list[i]) {
			n--
		}
	}
}
