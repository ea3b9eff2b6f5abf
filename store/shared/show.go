package shared

import (
	"context"
	"math"
	"net/netip"

	"waggle/bittorrent"
	"waggle/roster"
)

// look asks what is new of a torrent, and then looks at its roster.
func (s *Replicas) look(ctx context.Context, h bittorrent.InfoHash, see func(*roster.Roster)) error {
	r := s.replica(h)
	return r.do(ctx, &job{task: func(ctx context.Context) error {
		if err := r.refresh(ctx); err != nil {
			return err
		}
		r.state.Lock()
		defer r.state.Unlock()
		if !r.truth.roster.Empty() {
			see(r.truth.roster)
		}
		return nil
	}})
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
// lock only while it copies some members.
func (s *Replicas) Members(ctx context.Context, h bittorrent.InfoHash, see func([]roster.Member) bool) error {
	if err := s.look(ctx, h, func(*roster.Roster) {}); err != nil {
		return err
	}
	r := s.replica(h)
	for next := math.MaxInt; next > 0; {
		some, rest, err := r.membersBelow(ctx, next)
		switch {
		case err != nil:
			return err
		case len(some) > 0 && !see(some):
			return nil
		}
		next = rest
	}
	return nil
}

// membersBelow copies some members. What was taken out of memory meanwhile is asked for
// again.
func (r *replica) membersBelow(ctx context.Context, below int) (some []roster.Member, next int, err error) {
	type part struct {
		some []roster.Member
		next int
	}
	found := make(chan part, 1)
	err = r.do(ctx, &job{task: func(ctx context.Context) error {
		if _, err := r.load(ctx); err != nil {
			return err
		}
		r.state.Lock()
		defer r.state.Unlock()
		if r.truth.roster.Empty() {
			return nil
		}
		var p part
		p.some, p.next = r.truth.roster.MembersBelow(nil, below, memberStep)
		found <- p
		return nil
	}})
	if err != nil {
		return nil, 0, err
	}
	select {
	case p := <-found:
		return p.some, p.next, nil
	default:
		return nil, 0, nil
	}
}
