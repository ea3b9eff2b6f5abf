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

// atOnce is how many torrents are tended at a time, removed how many peers go in one
// step, and after how many changes nothing more is decided with them, so that those of
// the last decision have room in the same commit.
const (
	atOnce  = 16
	removed = MaxCommit / 4
	enough  = MaxCommit / 2
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
				n, err := r.tend(ctx, now, grace)
				count.Add(int64(n))
				return err
			})
		}
	}
	err = group.Wait()
	return int(count.Load()), err
}

// due reports whether there is something to tend, as far as is known here.
func (r *replica) due(now time.Time, grace time.Duration) bool {
	if r.policy.Load() == nil {
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

// tend forgets who is silent, when the store says so too. Announces go on in between.
func (r *replica) tend(ctx context.Context, now time.Time, grace time.Duration) (peers int, err error) {
	for range tries {
		var silent []Gone
		var more bool
		err := r.doTask(ctx, func(ctx context.Context) (err error) {
			silent, more, err = r.silent(ctx, now, grace)
			return err
		})
		if err != nil {
			return peers, err
		}
		n, err := r.removeGone(ctx, silent, now)
		if peers += n; err != nil || !more {
			return peers, err
		}
	}
	return peers, nil // the others next time
}

// doTask does something in its turn. Where ctx ends before, it may go on.
func (r *replica) doTask(ctx context.Context, task func(context.Context) error) error {
	return r.do(ctx, &job{task: task})
}

// silent returns who is silent, and writes what follows for others: of those who were
// late, found by probes, or announced in vain. more: there are others.
func (r *replica) silent(ctx context.Context, now time.Time, grace time.Duration) (silent []Gone, more bool, err error) {
	if err := r.refresh(ctx); err != nil {
		return nil, false, err
	}
	silent, more = r.lookForSilent(now, grace)
	return silent, more, r.settle(ctx, r.sweep)
}

func (r *replica) lookForSilent(now time.Time, grace time.Duration) ([]Gone, bool) {
	r.state.Lock()
	defer r.state.Unlock()
	r.truth.collect()
	addrs, more := r.truth.roster.Silent(nil, now, grace, enough)
	return r.gone(addrs), more
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

// removeGone forgets peers that the store has not heard of since they were last heard
// of, and returns how many members that were. Announces go on while the store is asked.
func (r *replica) removeGone(ctx context.Context, gone []Gone, now time.Time) (peers int, err error) {
	for some := range slices.Chunk(gone, removed) {
		dropped, err := r.s.host.Drop(ctx, r.hash, some)
		if err != nil {
			return peers, err
		}
		n := 0
		err = r.doTask(ctx, func(ctx context.Context) (err error) {
			if _, err = r.load(ctx); err != nil {
				return err
			}
			n, err = r.remove(ctx, r.dropped(some, dropped, now))
			return err
		})
		if err != nil {
			return peers, err
		}
		peers += n
	}
	return peers, nil
}

// dropped returns the peers that the store has dropped. The others are alive.
func (r *replica) dropped(gone []Gone, addrs []netip.AddrPort, now time.Time) (left []Gone) {
	r.state.Lock()
	defer r.state.Unlock()
	for _, g := range gone {
		if slices.Contains(addrs, g.Addr) {
			left = append(left, g)
		} else {
			r.truth.roster.Alive(g.Addr, now)
		}
	}
	return left
}

// gone returns when peers were heard of last; of one that is no member, never. The state
// is locked.
func (r *replica) gone(addrs []netip.AddrPort) []Gone {
	gone := make([]Gone, len(addrs))
	for i, addr := range addrs {
		h, _ := r.truth.roster.Known(addr)
		gone[i] = Gone{addr, time.Unix(0, h.Last)}
	}
	return gone
}

// remove forgets peers that the store does not have any more, unless another tracker
// hears of them meanwhile, and returns how many members that were.
func (r *replica) remove(ctx context.Context, gone []Gone) (peers int, err error) {
	for len(gone) > 0 {
		done, members := 0, 0
		err := r.settle(ctx, func() (entries []Entry) {
			done, members, entries = r.removeSome(gone)
			return append(entries, r.disband()...)
		})
		if err != nil {
			return peers, err
		}
		peers += members
		gone = gone[done:]
	}
	return peers, nil
}

// removeSome forgets the first of some peers: as many as one commit is sure to have room
// for.
func (r *replica) removeSome(gone []Gone) (done, members int, entries []Entry) {
	t := r.truth
	dirty := len(t.dirty)
	for done < len(gone) && len(t.dirty)-dirty < enough {
		g := gone[done]
		done++
		h, member := t.roster.Known(g.Addr)
		if member && h.Last > g.Last.UnixNano() {
			continue
		}
		if member {
			members++
			t.roster.Remove(g.Addr)
			t.collect()
		}
		if _, announced := t.announced[g.Addr]; announced {
			entries = append(entries, Entry{Peer: g.Addr})
		}
	}
	return done, members, entries
}

// Remove forgets peers of a torrent that the store has forgotten by itself, when they
// expired, and finds others for what they did. It is to be called for torrents that
// have values in the Map. Who announced at a time or later has come back, and stays.
func (s *Replicas) Remove(ctx context.Context, h bittorrent.InfoHash, addrs []netip.AddrPort, before time.Time) error {
	for some := range slices.Chunk(addrs, removed) {
		r := s.replica(h)
		err := r.doTask(ctx, func(ctx context.Context) error {
			if err := r.refresh(ctx); err != nil {
				return err
			}
			_, err := r.remove(ctx, r.expired(some, before))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *replica) expired(addrs []netip.AddrPort, before time.Time) []Gone {
	r.state.Lock()
	defer r.state.Unlock()
	return slices.DeleteFunc(r.gone(addrs), func(g Gone) bool { return !g.Last.Before(before) })
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
// other trackers with what is decided next, when the torrent is tended, or when as much
// waits as is tidied.
func (s *Replicas) Probed(ctx context.Context, p roster.Probe, ok bool) (dead bool, err error) {
	r := s.held(p.InfoHash)
	if r == nil {
		return false, nil
	}
	r.state.Lock()
	h, _ := r.truth.roster.Known(p.Addr)
	dead = r.truth.roster.Probed(p.Addr, ok)
	r.truth.collect()
	many := len(r.truth.dirty) >= tidy
	r.state.Unlock()
	switch {
	case dead:
		return r.dead(ctx, p.Addr, h.Last)
	case many:
		return false, r.doTask(ctx, func(ctx context.Context) error {
			if _, err := r.load(ctx); err != nil {
				return err
			}
			return r.settle(ctx, func() []Entry { return nil })
		})
	}
	return false, nil
}

// dead forgets a peer that nobody has heard of since a time, and reports whether it did.
func (r *replica) dead(ctx context.Context, addr netip.AddrPort, last int64) (bool, error) {
	var gone []Gone
	err := r.doTask(ctx, func(ctx context.Context) error {
		if err := r.refresh(ctx); err != nil {
			return err
		}
		r.state.Lock()
		defer r.state.Unlock()
		if now, member := r.truth.roster.Known(addr); member && now.Last == last {
			gone = r.gone([]netip.AddrPort{addr})
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	n, err := r.removeGone(ctx, gone, r.s.o.Now())
	return n > 0, err
}
