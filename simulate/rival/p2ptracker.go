package rival

import (
	"context"
	"math"
	"time"

	"waggle/swarm"
)

// What p2ptracker's configuration for production says.
const (
	// Representatives is MAX_REPR_RACK: how many peers of a rack are told of others.
	Representatives = 2
	// MaxPeers is MAXPEERS: how many peers a representative is told of, if those of
	// its rack and the seeders are not more.
	MaxPeers = 35
	// ActiveInterval is ACTIVE_INTERVAL, between the announces of all peers.
	ActiveInterval = 45 * time.Second
)

// P2PTracker returns an empty store that chooses as p2ptracker does, by its source
// (announce.py):
//
//   - The first [Representatives] peers that announce from a rack are its
//     representatives.
//   - A representative is told of all of its rack, of all seeders there are unless it
//     is one, and of random representatives of all racks up to [MaxPeers].
//   - Everybody else is told of all of its rack.
//   - A seeder is told of no seeders.
//
// As there, nobody is ever forgotten: not who stops, nor who falls silent. So a
// representative that is dead stays one, and nobody takes its place, and Expire does
// nothing. As there, numwant is not looked at; the room of an answer is. Python's
// sets have an order of their own; here it is random. Every torrent is active.
// All are told to announce often, which there is [ActiveInterval].
func P2PTracker(seed [2]uint64) swarm.Store { return &p2pTracker{book: newBook(seed)} }

type p2pTracker struct {
	book
	answers uint64 // how many there were
}

// Announce is documented at [swarm.Store]. It never fails.
func (s *p2pTracker) Announce(_ context.Context, a *swarm.Announce, r *swarm.Reply) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.torrent(a.InfoHash)
	p := t.record(a)
	home := t.racks[p.rack]
	if !p.representative && home.representatives < Representatives {
		p.representative = true
		home.representatives++
	}
	t.setCounts(r)
	r.Pace = swarm.Active
	w := &answer{a: a, asks: p, r: r, room: math.MaxInt}
	if a.Room > 0 {
		w.room = int(a.Room)
	}
	if p.representative {
		s.outside(w, t, home)
	} else {
		s.some(w, home.all, len(home.all))
	}
	return nil
}

// outside answers a representative (get_outside_peers). The lists overlap: what was
// told of once is not told of again.
func (s *p2pTracker) outside(w *answer, t *torrent, home *rack) {
	s.answers++
	places := MaxPeers
	var list []*peer
	add := func(p *peer) {
		if p.told != s.answers {
			p.told = s.answers
			list = append(list, p)
		}
	}
	for _, p := range home.all {
		add(p)
		places--
	}
	if w.asks.Kind != swarm.Seeder {
		for _, p := range t.all {
			if p.Kind == swarm.Seeder {
				add(p)
				places--
			}
		}
	}
	for _, p := range s.representatives(t, places) {
		add(p)
	}
	s.some(w, list, len(list))
}

// representatives returns up to n of them, at random (get_representants).
func (s *p2pTracker) representatives(t *torrent, n int) []*peer {
	if n <= 0 {
		return nil
	}
	var all []*peer
	for _, p := range t.all {
		if p.representative {
			all = append(all, p)
		}
	}
	s.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(n, len(all))]
}

// Expire does nothing, as there.
func (s *p2pTracker) Expire(ctx context.Context, _ time.Time) (int, error) { return 0, ctx.Err() }
