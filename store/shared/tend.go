package shared

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/roster"
)

// atOnce is how many torrents are tended at a time, and removed how many peers go in
// one step.
const (
	atOnce  = 16
	removed = MaxCommit / 4
)

// Tend is documented at [roster.Store]. It tends the torrents to which peers announced
// here lately, and forgets the others. Where nobody seems to be silent, nothing is
// asked of the Map; where somebody does, first what others heard.
func (s *Replicas) Tend(ctx context.Context, now time.Time, grace time.Duration) (peers int, err error) {
	var count atomic.Int64
	var group errgroup.Group // one that fails does not keep others from being tended
	group.SetLimit(atOnce)
	for _, r := range s.each() {
		switch {
		case s.o.Now().UnixNano()-r.used.Load() > int64(s.o.Idle):
			s.drop(r)
		case r.due(now, grace):
			group.Go(func() error {
				return r.do(ctx, &job{task: func(ctx context.Context) error {
					n, err := r.tend(ctx, now, grace)
					count.Add(int64(n))
					return err
				}})
			})
		}
	}
	err = group.Wait()
	return int(count.Load()), err
}

// due reports whether there is something to tend, as far as is known here.
func (r *replica) due(now time.Time, grace time.Duration) bool {
	if r.s.policy.Load() == nil {
		return false
	}
	r.state.Lock()
	defer r.state.Unlock()
	t := r.truth
	if t.roster.Overdue(now, grace) || len(t.strays) > 0 {
		return true
	}
	c := t.changes()
	commit, _ := c.entries()
	return len(commit) > 0
}

// tend forgets who is silent, when the store says so too.
func (r *replica) tend(ctx context.Context, now time.Time, grace time.Duration) (peers int, err error) {
	if err := r.refresh(ctx); err != nil {
		return 0, err
	}
	r.state.Lock()
	silent := r.truth.roster.Silent(nil, now, grace)
	r.state.Unlock()
	if err := r.settle(ctx, r.sweep); err != nil { // who was late, found by probes, or announced in vain
		return 0, err
	}
	return r.removeGone(ctx, silent, now)
}

// sweep removes values of peers that announced in vain.
func (r *replica) sweep() (entries []Entry) {
	for _, addr := range sorted(r.truth.strays) {
		if entries = append(entries, Entry{Peer: addr}); len(entries) == removed {
			break
		}
	}
	return append(entries, r.disband()...)
}

// removeGone forgets peers that the store has not heard of since the replica has.
func (r *replica) removeGone(ctx context.Context, addrs []netip.AddrPort, now time.Time) (peers int, err error) {
	for some := range slices.Chunk(addrs, removed) {
		dropped, err := r.s.host.Drop(ctx, r.hash, r.gone(some))
		if err != nil {
			return peers, err
		}
		r.state.Lock()
		for _, addr := range some {
			if !slices.Contains(dropped, addr) {
				r.truth.roster.Alive(addr, now)
			}
		}
		r.state.Unlock()
		n, err := r.remove(ctx, dropped)
		if peers += n; err != nil {
			return peers, err
		}
	}
	return peers, nil
}

func (r *replica) gone(addrs []netip.AddrPort) []Gone {
	r.state.Lock()
	defer r.state.Unlock()
	gone := make([]Gone, 0, len(addrs))
	for _, addr := range addrs {
		if h, member := r.truth.roster.Known(addr); member {
			gone = append(gone, Gone{addr, time.Unix(0, h.Last)})
		}
	}
	return gone
}

// remove forgets peers that the store does not have any more, unless another tracker
// hears of them meanwhile, and returns how many members that were.
func (r *replica) remove(ctx context.Context, addrs []netip.AddrPort) (peers int, err error) {
	last := map[netip.AddrPort]int64{}
	for _, g := range r.gone(addrs) {
		last[g.Addr] = g.Last.UnixNano()
	}
	err = r.settle(ctx, func() (entries []Entry) {
		peers = 0
		t := r.truth
		for _, addr := range addrs {
			h, member := t.roster.Known(addr)
			if since, was := last[addr]; was && member && h.Last > since {
				continue
			}
			if member {
				peers++
				t.roster.Remove(addr)
			}
			if _, announced := t.announced[addr]; announced {
				entries = append(entries, Entry{Peer: addr})
			}
		}
		return append(entries, r.disband()...)
	})
	return peers, err
}

// Remove forgets peers of a torrent that the store has forgotten by itself, when they
// expired, and finds others for what they did. It is to be called for torrents that
// have values in the Map.
func (s *Replicas) Remove(ctx context.Context, h bittorrent.InfoHash, addrs []netip.AddrPort) error {
	r := s.replica(h)
	return r.do(ctx, &job{task: func(ctx context.Context) error {
		if err := r.refresh(ctx); err != nil {
			return err
		}
		for some := range slices.Chunk(addrs, removed) {
			if _, err := r.remove(ctx, some); err != nil {
				return err
			}
		}
		return nil
	}})
}

// Probable is documented at [roster.Store]. It returns the peers of the torrents to
// which peers announced here lately.
func (s *Replicas) Probable(ctx context.Context) (probes []roster.Probe, err error) {
	var addrs []netip.AddrPort
	for _, r := range s.each() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r.state.Lock()
		addrs = r.truth.roster.Probable(addrs[:0])
		r.state.Unlock()
		for _, addr := range addrs {
			probes = append(probes, roster.Probe{InfoHash: r.hash, Addr: addr})
		}
	}
	return probes, nil
}

// Probed is documented at [roster.Store]. That a peer could be connected to is told to
// other trackers with what is decided next, or when the torrent is tended.
func (s *Replicas) Probed(ctx context.Context, p roster.Probe, ok bool) (dead bool, err error) {
	r := s.held(p.InfoHash)
	if r == nil {
		return false, nil
	}
	r.state.Lock()
	h, _ := r.truth.roster.Known(p.Addr)
	dead = r.truth.roster.Probed(p.Addr, ok)
	r.state.Unlock()
	if !dead {
		return false, nil
	}
	err = r.do(ctx, &job{task: func(ctx context.Context) error {
		if err := r.refresh(ctx); err != nil {
			return err
		}
		r.state.Lock()
		now, member := r.truth.roster.Known(p.Addr)
		r.state.Unlock()
		if dead = member && now.Last == h.Last; !dead {
			return nil
		}
		n, err := r.removeGone(ctx, []netip.AddrPort{p.Addr}, s.o.Now())
		dead = n > 0
		return err
	}})
	return err == nil && dead, err
}
