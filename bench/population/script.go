package population

import (
	"math/rand/v2"

	"waggle/bittorrent"
)

// Script says which peer of a group announces next. It belongs to one goroutine.
type Script interface {
	// Next fills in a with the announce of a peer, and returns the number of the
	// peer. ok is false when nobody has anything to say.
	Next(a *bittorrent.AnnounceRequest) (peer int, ok bool)

	// Lost tells that the announce of a peer was not answered.
	Lost(peer int)

	// Done tells that nobody will have anything to say any more, unless an announce
	// is lost.
	Done() bool
}

// Fill returns a script in which each peer announces once that it starts, and again
// where that was lost.
func (g *Group) Fill() Script { return &fill{group: g} }

type fill struct {
	group *Group
	next  int
	lost  []int
}

func (f *fill) Next(a *bittorrent.AnnounceRequest) (int, bool) {
	if last := len(f.lost) - 1; last >= 0 {
		peer := f.lost[last]
		f.lost = f.lost[:last]
		f.group.announce(peer, bittorrent.EventStarted, a)
		return peer, true
	}
	if f.next == len(f.group.peers) {
		return 0, false
	}
	f.group.peers[f.next].joining = false
	f.group.announce(f.next, bittorrent.EventStarted, a)
	f.next++
	return f.next - 1, true
}

func (f *fill) Lost(peer int) { f.lost = append(f.lost, peer) }

func (f *fill) Done() bool { return f.next == len(f.group.peers) && len(f.lost) == 0 }

// Steady returns a script without end in which any of the first n peers announces that
// nothing has changed. The group stays as it is.
func (g *Group) Steady(n int, use uint64) Script {
	return &steady{g, min(n, len(g.peers)), g.random(use)}
}

// random returns numbers that no other group draws, for each use others.
func (g *Group) random(use uint64) *rand.Rand {
	return g.population.random(mix(use)<<16 + uint64(g.number) + 1)
}

type steady struct {
	group  *Group
	peers  int
	random *rand.Rand
}

func (s *steady) Next(a *bittorrent.AnnounceRequest) (int, bool) {
	if s.peers == 0 {
		return 0, false
	}
	peer := s.random.IntN(s.peers)
	s.group.announce(peer, bittorrent.EventNone, a)
	return peer, true
}

func (s *steady) Lost(int) {}

func (s *steady) Done() bool { return s.peers == 0 }

// Churn returns a script without end in which any peer announces, and peers change:
// of all announces the share leave ends a stay, half of them with "stopped" and half
// in silence. Another peer takes the place, as a leecher of a torrent that is drawn
// anew, and so many leechers complete that the share of seeders stays.
//
// A new peer has a random port. Now and then that is the port of another peer of
// the same torrent, and the tracker will see one where there are two.
func (g *Group) Churn(leave float64, use uint64) Script {
	seeders := min(g.population.Seeders, 0.99)
	return &churn{
		steady:   steady{g, len(g.peers), g.random(use)},
		leave:    leave,
		complete: min(leave*seeders/(1-seeders), 1-leave),
	}
}

type churn struct {
	steady
	leave    float64 // probability that an announce is the last of its peer
	complete float64 // probability that an announce completes a leecher
}

func (c *churn) Next(a *bittorrent.AnnounceRequest) (int, bool) {
	if len(c.group.peers) == 0 {
		return 0, false
	}
	n := c.random.IntN(len(c.group.peers))
	p := &c.group.peers[n]
	event := bittorrent.EventNone
	switch fate := c.random.Float64(); {
	case p.joining:
		p.joining = false
		event = bittorrent.EventStarted
	case fate < c.leave/2:
		c.group.announce(n, bittorrent.EventStopped, a)
		c.replace(p)
		return n, true
	case fate < c.leave:
		c.replace(p)
		p.joining = false
		event = bittorrent.EventStarted
	case fate < c.leave+c.complete && !p.seeder:
		p.seeder = true
		event = bittorrent.EventCompleted
	}
	c.group.announce(n, event, a)
	return n, true
}

// replace puts a peer that has not announced yet into the place.
func (c *churn) replace(p *peer) {
	*p = peer{
		torrent: uint32(c.group.population.alias.Draw(c.random)),
		port:    uint16(firstPort + c.random.IntN(ports)),
		joining: true,
	}
}
