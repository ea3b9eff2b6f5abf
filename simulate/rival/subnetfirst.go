package rival

import (
	"context"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/swarm"
)

// SubnetFirst returns an empty store that tells a peer of those of its rack first, at
// random if they are more than it wants, and fills up with others at random: what
// is often thought to be enough. Peers are told the tracker's usual interval.
func SubnetFirst(seed [2]uint64) swarm.Store { return &subnetFirst{newBook(seed)} }

type subnetFirst struct{ book }

// Announce is documented at [swarm.Store]. It never fails.
func (s *subnetFirst) Announce(_ context.Context, a *swarm.Announce, r *swarm.Reply) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.torrent(a.InfoHash)
	if a.Event == bittorrent.EventStopped {
		if p := t.known[a.Addr()]; p != nil {
			t.remove(p)
		}
		t.setCounts(r)
		s.forgetEmpty(a.InfoHash)
		return nil
	}
	p := t.record(a)
	t.setCounts(r)
	w := &answer{a: a, asks: p, r: r, room: int(max(a.NumWant, 0))}
	s.some(w, t.racks[p.rack].all, w.room)
	s.others(w, t.all, p.rack)
	return nil
}

// others fills the answer up with peers that are not in a rack.
func (s *subnetFirst) others(w *answer, all []*peer, not *locality.Group) {
	if w.room == 0 {
		return
	}
	for _, i := range s.random.Perm(len(all)) {
		if all[i].rack != not {
			w.tell(all[i])
		}
	}
}
