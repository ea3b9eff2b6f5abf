package shared

import (
	"context"
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/swarm"
)

const warnMembers = "the tracker holds as many located peers as it may: you are not recorded, try again later"

// Announce decides an announce to a torrent that has located peers, or gets its first
// with it, and appends to out those that the peer is told of; it sets out.Pace. One
// that stops is forgotten. The store has recorded the announce itself: view is its
// view of the swarm, perhaps a sample, with the true lengths, and asker where the peer
// stands there. The view must not be changed until Announce returns.
//
// The error is swarm.ErrBusy where too many wait, it takes more than 5 s, or other trackers
// were quicker always, ctx's, or the Map's. The peer may have been recorded by then; the next
// announce of it mends what is missing.
func (s *Replicas) Announce(ctx context.Context, a *swarm.Announce, out *swarm.Reply, view swarm.View, asker swarm.Position) error {
	r, j := s.job(a)
	j.view, j.asker = view, asker
	if err := r.do(ctx, j); err != nil {
		return err
	}
	j.answer(out)
	return nil
}

// AnnounceWhile is Announce of a peer that the store has yet to record: record does so,
// while the Map is asked, and returns the view and where the peer stands. So both take
// one round trip. Where record fails, nothing is decided, and its error is returned; the
// Map may know by then what the peer announced.
func (s *Replicas) AnnounceWhile(ctx context.Context, a *swarm.Announce, out *swarm.Reply, record func(context.Context) (swarm.View, swarm.Position, error)) error {
	r, j := s.job(a)
	j.recorded = make(chan struct{})
	if err := r.push(j); err != nil {
		return err
	}
	j.unrecorded = errFault // where record panics, which its caller may survive
	func() {
		defer close(j.recorded)
		j.view, j.asker, j.unrecorded = record(ctx)
	}()
	if j.unrecorded != nil {
		j.abandon()
		return j.unrecorded
	}
	if err := j.wait(ctx); err != nil {
		return err
	}
	j.answer(out)
	return nil
}

func (s *Replicas) job(a *swarm.Announce) (*replica, *job) {
	r := s.replica(a.InfoHash)
	r.used.Store(s.o.Now().UnixNano())
	j := &job{a: *a}
	if a.Location != nil { // which may be of another tree with the same names
		j.a.Location, _ = s.locate(a.Location.Path())
	}
	return r, j
}

// announce decides a batch: their figures go to all in one step, and what changes
// because of them in a second one.
func (r *replica) announce(ctx context.Context, some []*job) {
	loaded, err := r.load(ctx)
	if err != nil {
		finishAll(some, err)
		return
	}
	some, entries := r.prepare(some)
	if len(entries) > 0 || !loaded {
		if _, err := r.step(ctx, entries, nil, false); err != nil {
			finishAll(some, err)
			return
		}
	}
	some = recorded(ctx, some)
	for len(some) > 0 {
		decided := 0
		err := r.settle(ctx, func() []Entry {
			decided = r.decideSome(some)
			return append(r.corrections(some[:decided]), r.disband()...)
		})
		if err != nil {
			finishAll(some, err)
			return
		}
		finishAll(some[:decided], nil)
		some = some[decided:]
	}
}

// recorded waits until the store has recorded announces, and returns those of which it
// has.
func recorded(ctx context.Context, some []*job) (kept []*job) {
	for _, j := range some {
		if err := j.recordedBy(ctx); err != nil {
			j.finish(err)
			continue
		}
		kept = append(kept, j)
	}
	return kept
}

func (j *job) recordedBy(ctx context.Context) error {
	if j.recorded == nil {
		return nil
	}
	select {
	case <-j.recorded:
		return j.unrecorded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// prepare returns what peers announce, as others should know it, and the jobs that are
// not refused.
func (r *replica) prepare(some []*job) (taken []*job, entries []Entry) {
	r.state.Lock()
	defer r.state.Unlock()
	t := r.truth
	for _, j := range some {
		addr := j.a.Addr()
		known, member := t.roster.Known(addr)
		if j.before = known.Location; !member && j.a.Location != nil && t.roster.Len()+len(entries) >= r.s.o.MaxMembers {
			j.reply.Warning = warnMembers
			j.finish(nil)
			continue
		}
		taken = append(taken, j)
		if value, needed := t.saying(&j.a); needed {
			entries = append(entries, Entry{Peer: addr, Value: value})
		}
	}
	return taken, entries
}

// saying returns the value that an announce makes of its peer, nil for none, and
// whether it must be written.
func (t *truth) saying(a *swarm.Announce) (value []byte, needed bool) {
	addr := a.Addr()
	_, announced := t.announced[addr]
	switch {
	case a.Event == bittorrent.EventStopped:
		return nil, true
	case a.Location == nil && t.records[addr] == nil:
		return nil, announced
	}
	h := t.roster.Heard(a)
	return t.value(&h), true
}

func (t *truth) value(h *roster.Heard) []byte {
	path := ""
	if h.Location != nil {
		path = h.Location.Path()
	}
	return announcedValue(h, path)
}

// decideSome decides announces in their order, and returns how many: those whose
// changes are sure to go into one commit.
func (r *replica) decideSome(some []*job) int {
	t := r.truth
	dirty := len(t.dirty)
	for i, j := range some {
		if i > 0 && len(t.dirty)-dirty >= enough {
			return i
		}
		r.decide(j)
		t.collect()
		t.dirty[j.a.Addr()] = struct{}{} // a kind alone is not among the roster's changes
	}
	return len(some)
}

// decide decides an announce, perhaps once more.
func (r *replica) decide(j *job) {
	ro, addr := r.truth.roster, j.a.Addr()
	j.reply.Reset()
	if !j.judged {
		j.judged, j.judgement = true, ro.Judgement(addr)
	} else {
		ro.Recall(j.judgement)
	}
	if s, announced := r.truth.announced[addr]; announced && s.Last != j.a.Now.UnixNano() {
		j.heed(&s)
	}
	location := j.a.Location
	if j.a.Event == bittorrent.EventStopped {
		ro.Remove(addr)
		location = nil
	} else {
		j.announce(ro)
	}
	if j.before != nil && j.before != location {
		ro.Staff(j.before, j.a.Now)
	}
}

func (j *job) announce(ro *roster.Roster) {
	j.mu.Lock()
	defer j.mu.Unlock()
	ro.Announce(j.view, j.asker, &j.a, &j.reply)
}

// heed makes the announce of a peer what it announced to another tracker since.
func (j *job) heed(s *said) {
	if s.foreign || j.a.Event == bittorrent.EventStopped {
		return
	}
	j.a.Now, j.a.Location = time.Unix(0, s.Last), s.Location
	j.a.PeerID, j.a.Left, j.a.Uploaded, j.a.Downloaded = s.ID, s.Left, s.Uploaded, s.Downloaded
	switch {
	case s.Kind == swarm.PartialSeed:
		j.a.Event = bittorrent.EventPaused
	case j.a.Event == bittorrent.EventPaused:
		j.a.Event = bittorrent.EventNone
	}
}

// disband lets unlocated members go where none is located any more, and returns the
// values that go with them.
func (r *replica) disband() (entries []Entry) {
	t := r.truth
	if t.roster.Len() == 0 || !t.roster.Empty() {
		return nil
	}
	for _, addr := range t.members(MaxCommit / 4) {
		t.roster.Remove(addr)
		if _, announced := t.announced[addr]; announced {
			entries = append(entries, Entry{Peer: addr})
		}
	}
	return entries
}

// corrections returns the announced values of peers that are not as decided: the
// interval that they are told, or whether they are members.
func (r *replica) corrections(some []*job) (entries []Entry) {
	t := r.truth
	for _, j := range some {
		if j.a.Event == bittorrent.EventStopped {
			continue
		}
		addr := j.a.Addr()
		s, announced := t.announced[addr]
		h, member := t.roster.Known(addr)
		switch {
		case member && (!announced || h.Location != nil && milliseconds(s.Told) != milliseconds(h.Told)):
			entries = append(entries, Entry{Peer: addr, Value: t.value(&h)})
		case !member && announced:
			entries = append(entries, Entry{Peer: addr})
		}
	}
	return entries
}

// members returns the addresses of some members.
func (t *truth) members(n int) (addrs []netip.AddrPort) {
	some, _ := t.roster.MembersBelow(nil, 1<<30, n)
	for i := range some {
		addrs = append(addrs, some[i].Addr)
	}
	return addrs
}
