package roster

import (
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/swarm"
)

// Where several trackers keep a roster of the same torrent, each takes in what peers
// said to others (Take, Forget), and which roles and leases others gave (Assign, then
// RestoreLeases). These decide nothing: nobody gets a role or a lease that is not
// said. A peer's own announce is taken in first, too, and decided then: Announce at
// the time of what was taken in last of a peer does not count that twice.

// Heard is what a peer said of itself last, to whichever tracker, and what that one
// knew of it.
type Heard struct {
	Addr       netip.AddrPort
	ID         bittorrent.PeerID
	Kind       swarm.Kind
	Location   *locality.Group // nil: unlocated
	Left       int64           // bytes
	Uploaded   int64           // bytes
	Downloaded int64           // bytes
	First      int64           // its first announce, Unix nanoseconds
	Last       int64           // its last one, Unix nanoseconds
	Told       time.Duration   // the interval that it was told
	Lag        time.Duration   // the interval that it keeps whatever it is told
}

// Heard returns what is to be told of an announce to others before it is decided: what
// the peer says now, and what is known of it. Who is new was told the passive interval
// in all likelihood. The policy of a located peer's announce is not nil.
func (r *Roster) Heard(a *swarm.Announce) Heard {
	now := a.Now.UnixNano()
	h := Heard{
		Addr: a.Addr(), ID: a.PeerID, Kind: a.Kind(), Location: a.Location, Left: known(a.Left),
		Uploaded: a.Uploaded, Downloaded: a.Downloaded, First: now, Last: now, Lag: unknownLag,
	}
	if m := r.members[h.Addr]; m != nil {
		h.First, h.Told, h.Lag = m.first, m.told, m.lag
		if lag, learnt := punctual(m, a.Event, time.Duration(now-m.last)); learnt {
			h.Lag = lag
		}
	} else if a.Policy != nil {
		h.Told = a.Policy.Passive
	}
	return h
}

// Take takes in what a peer said. Who is no member becomes one, without roles. One
// that is of another kind or at another place by now has lost its roles.
func (r *Roster) Take(h *Heard) {
	r.begin(h.Last)
	m := r.members[h.Addr]
	if m != nil && m.place() != h.Location {
		r.detach(m)
		m = nil
	}
	if m == nil {
		m = r.add(h.Addr, &h.ID, h.Kind, h.Location, h.Left)
		m.uploaded, m.downloaded, m.first = h.Uploaded, h.Downloaded, h.First
		if m.gained > 0 {
			m.gained = h.First
		}
	}
	m.id = h.ID
	if m.leaf == nil {
		r.strangerFigures(m, h.Left, h.Uploaded)
	} else {
		r.figures(m, h.Left, h.Uploaded, h.Downloaded)
	}
	m.heard(r.now)
	m.told, m.lag = h.Told, h.Lag
	if m.kind != h.Kind {
		r.become(m, h.Kind)
	}
}

// begin sets the time of what is to be done, before there may have been an announce:
// an empty policy gives no roles.
func (r *Roster) begin(now int64) {
	r.now = now
	if r.policy == nil {
		r.policy = new(swarm.Policy)
	}
}

// heard notes when a member announced. What has been taken in already is not counted
// again.
func (m *member) heard(now int64) {
	if now != m.last {
		m.before, m.last = m.last, now
	}
}

// Govern sets the policy, as an announce does.
func (r *Roster) Govern(policy *swarm.Policy) { r.policy = policy }

// Len returns how many members there are.
func (r *Roster) Len() int { return len(r.all) }

// Known returns what was heard last of a member; false: it is none.
func (r *Roster) Known(addr netip.AddrPort) (Heard, bool) {
	m := r.members[addr]
	if m == nil {
		return Heard{}, false
	}
	return Heard{
		Addr: m.addr, ID: m.id, Kind: m.kind, Location: m.place(), Left: m.left, Uploaded: m.uploaded, Downloaded: m.downloaded,
		First: m.first, Last: m.last, Told: m.told, Lag: m.lag,
	}, true
}

// Alive makes a member have announced by a time.
func (r *Roster) Alive(addr netip.AddrPort, now time.Time) {
	if m := r.members[addr]; m != nil {
		m.last = max(m.last, now.UnixNano())
	}
}

// Forget forgets a peer, and finds nobody for what it did.
func (r *Roster) Forget(addr netip.AddrPort) {
	if m := r.members[addr]; m != nil {
		r.detach(m)
	}
}

// Record returns the record of a member; false: it is none.
func (r *Roster) Record(addr netip.AddrPort) (Record, bool) {
	m := r.members[addr]
	if m == nil {
		return Record{}, false
	}
	return r.record(m), true
}

// Assign makes the roles of a member those of its record, even beyond the budget, and
// takes its parents and orphans away: RestoreLeases brings those of the record, once
// the roles of all that they are with are assigned.
func (r *Roster) Assign(record *Record) {
	m := r.members[record.Addr]
	if m == nil {
		return
	}
	r.unlink(m)
	switch {
	case record.Probed:
		m.health, m.failed = reachable, 0
	case m.health == reachable:
		m.health = unprobed
	}
	if m.leaf == nil {
		return
	}
	reach := record.Reach
	if m.kind == swarm.PartialSeed {
		reach = 0
	}
	r.lower(m, reach)
	for m.reach < reach && m.leaf.above(m.reach+1).place != nil {
		r.lift(m)
	}
	switch standby := record.Standby && m.reach == 0 && m.downloads(); {
	case !standby:
		r.standDown(m)
	case !m.standby:
		r.standUp(m)
	}
}

// unlink takes the parents and orphans of a member away.
func (r *Roster) unlink(m *member) {
	if len(m.parents)+len(m.exParents) > 0 {
		r.mark(m)
	}
	for _, p := range m.parents {
		p.children = without(p.children, m)
	}
	for _, p := range m.exParents {
		p.exChildren = without(p.exChildren, m)
	}
	m.parents, m.exParents, m.source = nil, nil, nil
}

// Derive returns what a record comes to, by who is a member, of which kind and reach:
// a parent that is none is none, one that it may not have is an orphan. It is what
// Assign and RestoreLeases make of it.
func (r *Roster) Derive(record *Record) Record {
	out := *record
	out.Parents, out.Orphans, out.Depth = nil, nil, 0
	m := r.members[record.Addr]
	if m == nil {
		out.Gone = true
		return out
	}
	for i, addr := range record.Parents {
		p := r.members[addr]
		switch {
		case p == nil || p == m || !m.downloads() && !p.downloads():
		case !m.may(p) || !p.may(m):
			out.Orphans = append(out.Orphans, addr)
		default:
			out.Parents = append(out.Parents, addr)
			if i == 0 && m.downloads() {
				out.Depth = record.Depth
			}
		}
	}
	for _, addr := range record.Orphans {
		if p := r.members[addr]; p != nil && p != m && (m.downloads() || p.downloads()) {
			out.Orphans = append(out.Orphans, addr)
		}
	}
	return out
}

// Staff finds others for what somebody did who was in a group and is not any more.
func (r *Roster) Staff(place *locality.Group, now time.Time) {
	r.begin(now.UnixNano())
	if g := r.groups[place]; g != nil {
		r.staff(g, nil)
	}
}

// Judgement is what a roster has noticed of an importer that gets nothing. Deciding
// an announce moves it on.
type Judgement struct {
	addr     netip.AddrPort
	stuck    int
	stalled  bool
	patience int
}

// Judgement returns that of a member.
func (r *Roster) Judgement(addr netip.AddrPort) Judgement {
	if m := r.members[addr]; m != nil && m.leaf != nil {
		return Judgement{addr, m.stuck, m.stalled, m.leaf.patience}
	}
	return Judgement{}
}

// Recall puts a judgement back, so that the same announce can be decided again.
func (r *Roster) Recall(j Judgement) {
	if m := r.members[j.addr]; m != nil && m.leaf != nil {
		m.stuck, m.stalled, m.leaf.patience = j.stuck, j.stalled, j.patience
	}
}

// Dissolve gives back what the importers take of the budget. The roster must not be
// used any more.
func (r *Roster) Dissolve() {
	for _, g := range r.groups {
		if g.height == 1 {
			for range g.importers {
				r.budget.free(g.place)
			}
		}
	}
}
