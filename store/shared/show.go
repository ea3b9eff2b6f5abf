package shared

import (
	"context"
	"math"
	"net/netip"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/swarm"
)

// look asks what is new of a torrent, and then looks at its roster.
func (s *Replicas) look(ctx context.Context, h bittorrent.InfoHash, see func(*roster.Roster)) error {
	r := s.replica(h)
	return r.doTask(ctx, func(ctx context.Context) error {
		if err := r.refresh(ctx); err != nil {
			return err
		}
		r.state.Lock()
		defer r.state.Unlock()
		if !r.truth.roster.Empty() {
			see(r.truth.roster)
		}
		return nil
	})
}

// Explain is documented at [roster.Store].
func (s *Replicas) Explain(ctx context.Context, h bittorrent.InfoHash, addr netip.AddrPort) (roster.Explanation, bool, error) {
	found := make(chan roster.Explanation, 1)
	err := s.look(ctx, h, func(ro *roster.Roster) {
		if e, ok := ro.Explain(addr); ok {
			found <- e
		}
	})
	if err != nil {
		return roster.Explanation{}, false, err
	}
	select {
	case e := <-found:
		return e, true, nil
	default:
		return roster.Explanation{}, false, nil
	}
}

// Places is documented at [roster.Store].
func (s *Replicas) Places(ctx context.Context, h bittorrent.InfoHash) ([]roster.Place, error) {
	found := make(chan []roster.Place, 1)
	if err := s.look(ctx, h, func(ro *roster.Roster) { found <- ro.Places() }); err != nil {
		return nil, err
	}
	select {
	case places := <-found:
		return places, nil
	default:
		return nil, nil
	}
}

// memberStep is how many members are copied under one lock: some ten microseconds.
const memberStep = 64

// Members is documented at [roster.Store]. It asks for what is new once, and holds the
// lock only while it copies some members. Where the torrent was taken out of memory
// meanwhile, and so they stand in another order, it begins again.
func (s *Replicas) Members(ctx context.Context, h bittorrent.InfoHash, see func([]roster.Member) bool) error {
	if err := s.look(ctx, h, func(*roster.Roster) {}); err != nil {
		return err
	}
	for next, begun := math.MaxInt, 0; next > 0; {
		p, err := s.replica(h).membersBelow(ctx, next)
		if p.loaded {
			begun++
		}
		switch {
		case err != nil:
			return err
		case begun > tries:
			return swarm.ErrBusy
		case len(p.some) > 0 && !see(p.some):
			return nil
		}
		next = p.next
	}
	return nil
}

// part is some members, and where to go on below them.
type part struct {
	some   []roster.Member
	next   int
	loaded bool // they are the first ones, since all had to be asked for
}

func (r *replica) membersBelow(ctx context.Context, below int) (part, error) {
	found := make(chan part, 1)
	err := r.doTask(ctx, func(ctx context.Context) error {
		loaded, err := r.load(ctx)
		if err != nil {
			return err
		}
		if loaded {
			below = math.MaxInt
		}
		r.state.Lock()
		defer r.state.Unlock()
		p := part{loaded: loaded}
		if !r.truth.roster.Empty() {
			p.some, p.next = r.truth.roster.MembersBelow(nil, below, memberStep)
		}
		found <- p
		return nil
	})
	if err != nil {
		return part{}, err
	}
	return <-found, nil
}
