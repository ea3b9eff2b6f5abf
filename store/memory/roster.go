package memory

import (
	"bytes"
	"context"
	"math"
	"net/netip"
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/swarm"
)

var _ roster.Store = (*Store)(nil)

// rosterFor returns the roster of a torrent, which is made with its first located
// peer, or nil. Where no torrent of the shard has one, that costs nothing.
func (s *Store) rosterFor(sh *shard, t *torrent, a *swarm.Announce) *roster.Roster {
	if len(sh.rosters) == 0 && a.Location == nil {
		return nil
	}
	ro := sh.rosters[t]
	if ro == nil && a.Location != nil {
		ro = s.newRoster(sh, t)
	}
	return ro
}

func (s *Store) newRoster(sh *shard, t *torrent) *roster.Roster {
	ro := roster.New(&sh.selector, sh.torrents.seed[0], s.options.Budget)
	if s.options.KeepRoles {
		ro.Keep()
	}
	if sh.rosters == nil {
		sh.rosters = map[*torrent]*roster.Roster{}
	}
	sh.rosters[t] = ro
	return ro
}

// hear has a roster know of a peer that another tracker told of. It keeps no role that
// it would hear of at its announces here.
func hear(ro *roster.Roster, asker swarm.Position, a *swarm.Announce) {
	if ro == nil || asker.Index < 0 {
		return
	}
	if a.Location == nil {
		if known, _ := ro.Known(a.Addr()); known.Location != nil {
			ro.Remove(a.Addr())
		}
		return
	}
	ro.Govern(a.Policy)
	h := ro.Heard(a)
	h.Told = a.Relayed / 2 // of which twice is when it is silent
	ro.Take(&h)
	ro.Staff(a.Location, a.Now) // it may be whom others fetch from
}

// leaveRoster takes a peer that is about to be removed out of its torrent's roster.
func (s *Store) leaveRoster(sh *shard, t *torrent, v6 bool, i int) {
	if len(sh.rosters) == 0 {
		return
	}
	if ro := sh.rosters[t]; ro != nil {
		ro.Remove(sh.addr(t, v6, i))
	}
}

func (sh *shard) addr(t *torrent, v6 bool, i int) netip.AddrPort {
	if v6 {
		return expand(&sh.v6.records.one(sh.v6.number(sh.list6(t), i)).addr)
	}
	return expand(&sh.v4.records.one(sh.v4.number(&t.v4, i)).addr)
}

// eachRoster does something with every roster, under the lock of its shard. The error
// is that of ctx.
func (s *Store) eachRoster(ctx context.Context, do func(*shard, *torrent, *roster.Roster)) error {
	for i := range s.shards {
		if err := ctx.Err(); err != nil {
			return err
		}
		sh := &s.shards[i]
		sh.mu.Lock()
		for t, ro := range sh.rosters {
			do(sh, t, ro)
		}
		sh.mu.Unlock()
	}
	return nil
}

// Tend is documented at [roster.Store]. It holds the lock of a shard at a time.
func (s *Store) Tend(ctx context.Context, now time.Time, grace time.Duration) (peers int, err error) {
	var silent []netip.AddrPort
	err = s.eachRoster(ctx, func(sh *shard, t *torrent, ro *roster.Roster) {
		silent, _ = ro.Silent(silent[:0], now, grace, math.MaxInt)
		for _, addr := range silent {
			peers += s.dropAddr(sh, t, addr)
		}
		if ro.Empty() && ro.Disband() {
			delete(sh.rosters, t)
		}
	})
	return peers, err
}

// dropAddr removes the peer of an address, and returns how many that were. The
// torrent stays, even without peers, until it expires.
func (s *Store) dropAddr(sh *shard, t *torrent, addr netip.AddrPort) int {
	if i := sh.find(t, addr); i >= 0 {
		s.drop(sh, t, addr.Addr().Is6(), i)
		return 1
	}
	if ro := sh.rosters[t]; ro != nil {
		ro.Remove(addr)
	}
	return 0
}

// Probable is documented at [roster.Store].
func (s *Store) Probable(ctx context.Context) (probes []roster.Probe, err error) {
	var addrs []netip.AddrPort
	err = s.eachRoster(ctx, func(_ *shard, t *torrent, ro *roster.Roster) {
		addrs = ro.Probable(addrs[:0])
		for _, addr := range addrs {
			probes = append(probes, roster.Probe{InfoHash: t.hash, Addr: addr})
		}
	})
	return probes, err
}

// Probed is documented at [roster.Store].
func (s *Store) Probed(_ context.Context, p roster.Probe, ok bool) (dead bool, err error) {
	s.withRoster(p.InfoHash, func(sh *shard, t *torrent, ro *roster.Roster) {
		if dead = ro.Probed(p.Addr, ok); dead {
			sh.givingUp = true // others may reach it
			s.dropAddr(sh, t, p.Addr)
			sh.givingUp = false
		}
	})
	return dead, nil
}

// Explain is documented at [roster.Store].
func (s *Store) Explain(_ context.Context, h bittorrent.InfoHash, addr netip.AddrPort) (e roster.Explanation, ok bool, err error) {
	s.withRoster(h, func(_ *shard, _ *torrent, ro *roster.Roster) { e, ok = ro.Explain(addr) })
	return e, ok, nil
}

// Places is documented at [roster.Store].
func (s *Store) Places(_ context.Context, h bittorrent.InfoHash) (places []roster.Place, err error) {
	s.withRoster(h, func(_ *shard, _ *torrent, ro *roster.Roster) { places = ro.Places() })
	return places, nil
}

// memberStep is how many members are copied under one lock: some ten microseconds.
const memberStep = 64

// Members is documented at [roster.Store]. It holds the lock only while it copies
// some of them.
func (s *Store) Members(ctx context.Context, h bittorrent.InfoHash, see func([]roster.Member) bool) error {
	some := make([]roster.Member, 0, memberStep)
	for next := math.MaxInt; next > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		below := next
		some, next = some[:0], 0
		s.withRoster(h, func(_ *shard, _ *torrent, ro *roster.Roster) {
			some, next = ro.MembersBelow(some, below, memberStep)
		})
		if len(some) > 0 && !see(some) {
			return nil
		}
	}
	return nil
}

// withRoster does something with the roster of a torrent, if it has one, under the
// lock of its shard.
func (s *Store) withRoster(h bittorrent.InfoHash, do func(*shard, *torrent, *roster.Roster)) {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	n := sh.torrents.find(&h)
	if n == 0 {
		return
	}
	t := sh.torrents.one(n)
	if ro := sh.rosters[t]; ro != nil {
		do(sh, t, ro)
	}
}

// roleStep is how many records are copied under one lock: some ten microseconds.
const roleStep = 64

// RoleChanges shows some of the records of a shard's located peers that have changed
// and were not shown since, a torrent at a time, and reports whether there are more.
// The records are see's until it returns, which is under the lock of the shard: it
// must not block, nor call the store. whole: more of a torrent have changed than are
// remembered, which is shown again until Roles shows them all. buf is reused, and
// returned. It is for one goroutine, with Roles.
func (s *Store) RoleChanges(shard int, buf []roster.Record, see func(h bittorrent.InfoHash, records []roster.Record, whole bool)) (_ []roster.Record, more bool) {
	sh := &s.shards[shard]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	left := roleStep
	for t, ro := range sh.rosters {
		if !ro.Changed() {
			continue
		}
		if left == 0 {
			return buf, true
		}
		var whole bool
		buf, whole = ro.Changes(buf[:0], left)
		see(t.hash, buf, whole)
		left -= len(buf)
		if !whole && ro.Changed() {
			return buf, true
		}
	}
	return buf, false
}

// WithRoles returns the info hashes of a shard's torrents that have located peers, in
// their order.
func (s *Store) WithRoles(shard int) []bittorrent.InfoHash {
	sh := &s.shards[shard]
	sh.mu.Lock()
	hashes := make([]bittorrent.InfoHash, 0, len(sh.rosters))
	for t := range sh.rosters {
		hashes = append(hashes, t.hash)
	}
	sh.mu.Unlock()
	slices.SortFunc(hashes, func(a, b bittorrent.InfoHash) int { return bytes.Compare(a[:], b[:]) })
	return hashes
}

// Roles shows the records of all located peers of a torrent, some at a time, and holds
// the lock only while it copies those. One that changes meanwhile may be shown twice,
// rightly the second time, and is shown by RoleChanges; one that comes is shown by
// that alone. The records are see's until it returns. buf is reused, and returned.
func (s *Store) Roles(h bittorrent.InfoHash, buf []roster.Record, see func([]roster.Record)) []roster.Record {
	for next := math.MaxInt; next > 0; {
		below := next
		buf, next = buf[:0], 0
		s.withRoster(h, func(_ *shard, _ *torrent, ro *roster.Roster) {
			buf, next = ro.RecordsBelow(buf, below, roleStep)
		})
		see(buf)
	}
	return buf
}

// RestoreRoles gives the peers of a torrent, which have been restored, their roles
// and leases back. Records of peers that are not there are left out.
func (s *Store) RestoreRoles(h bittorrent.InfoHash, records []roster.Record, now time.Time) {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	n := sh.torrents.find(&h)
	if n == 0 {
		return
	}
	t := sh.torrents.one(n)
	ro := sh.rosters[t]
	if ro == nil {
		ro = s.newRoster(sh, t)
	}
	var p swarm.Peer
	for i := range records {
		if at := sh.find(t, records[i].Addr); at >= 0 {
			sh.peer(t, records[i].Addr.Addr().Is6(), at, &p)
			ro.Restore(&p, &records[i], now)
		}
	}
	for i := range records {
		ro.RestoreLeases(&records[i])
	}
}
