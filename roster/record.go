package roster

import (
	"math"
	"net/netip"
	"time"

	"waggle/locality"
	"waggle/swarm"
)

// Record is what must outlive a restart of a located peer, or of an unlocated one
// that has a lease. Its kind and what it lacks are the store's.
type Record struct {
	Addr     netip.AddrPort
	Location *locality.Group  // nil: unlocated
	Gone     bool             // it is no member any more
	Reach    int              // how many boundaries it may cross
	Standby  bool             // it announces often, to take over
	Probed   bool             // it could be connected to
	Told     time.Duration    // the interval that it was told
	Lag      time.Duration    // the interval that it keeps whatever it is told
	Parents  []netip.AddrPort // its source first, if it has one
	Depth    int              // of its source when that was chosen, plus one; 0: it has no source

	// Orphans are parents that were taken back, and that it may still use. One that is
	// over stays in the last record until another change of the member.
	Orphans []netip.AddrPort
}

// Keep makes the roster remember which records change, for Changes. It is called
// before anything else.
func (r *Roster) Keep() { r.kept = true }

// spareChanges is how many changes may wait beyond two for each member.
const spareChanges = 1024

// mark remembers that the record of a member changed. Where nobody takes changes,
// and others come and go, it remembers in the end that all must be taken.
func (r *Roster) mark(m *member) {
	if !r.kept || m.marked || r.missed {
		return
	}
	if len(r.changed) >= 2*len(r.all)+spareChanges {
		r.changed, r.missed = nil, true
		return
	}
	m.marked = true
	r.changed = append(r.changed, m.addr)
}

// Changed reports whether there are changes.
func (r *Roster) Changed() bool { return r.missed || len(r.changed) > 0 }

// Changes appends up to n of the records that have changed and were not taken since.
// whole: more have changed than are remembered, and all records are to be taken, by
// RecordsBelow.
func (r *Roster) Changes(dst []Record, n int) (_ []Record, whole bool) {
	if r.missed {
		return dst, true
	}
	rest := max(len(r.changed)-n, 0)
	for _, addr := range r.changed[rest:] {
		m := r.members[addr]
		if m == nil {
			dst = append(dst, Record{Addr: addr, Gone: true})
			continue
		}
		m.marked = false
		dst = append(dst, r.record(m))
	}
	r.changed = r.changed[:rest]
	return dst, false
}

// RecordsBelow takes up to n records, downwards from a number of members. It appends
// them, and returns the number to go on with, 0 at the end. The first number is
// math.MaxInt, which forgets what has changed. In between members may come, who are
// among the changes, go, or be appended twice, rightly the second time.
func (r *Roster) RecordsBelow(dst []Record, below, n int) (_ []Record, next int) {
	if below == math.MaxInt {
		r.changed, r.missed = r.changed[:0], false
	}
	top := min(below, len(r.all)) // whoever goes is replaced by one from above
	next = max(top-n, 0)
	for _, m := range r.all[next:top] {
		m.marked = false
		dst = append(dst, r.record(m))
	}
	return dst, next
}

// Records appends the records of all members.
func (r *Roster) Records(dst []Record) []Record {
	for _, m := range r.all {
		dst = append(dst, r.record(m))
	}
	return dst
}

// Disband lets the members go who are left where none is located, and reports whether
// the roster can be forgotten: there are no changes.
func (r *Roster) Disband() bool {
	for len(r.all) > 0 {
		r.remove(r.all[len(r.all)-1])
	}
	return !r.Changed()
}

func (r *Roster) record(m *member) Record {
	record := Record{
		Addr: m.addr, Location: m.place(), Reach: m.reach, Standby: m.standby, Probed: m.health == reachable,
		Told: m.told, Lag: m.lag, Orphans: list(m.exParents),
	}
	if m.source != nil {
		record.Parents = append(record.Parents, m.source.addr)
		record.Depth = m.depth
	}
	for _, p := range m.parents {
		if p != m.source {
			record.Parents = append(record.Parents, p.addr)
		}
	}
	return record
}

// Restore makes a member of a peer as it was recorded, without its leases. It has as
// long to announce as if it had done so now.
func (r *Roster) Restore(p *swarm.Peer, record *Record, now time.Time) {
	r.begin(now.UnixNano())
	if r.members[p.Addr] != nil {
		return
	}
	m := r.add(p.Addr, &p.ID, p.Kind, record.Location, known(p.Left))
	m.uploaded, m.downloaded, m.first = p.Uploaded, p.Downloaded, p.First.UnixNano()
	m.told, m.lag = record.Told, record.Lag
	if record.Probed {
		m.health = reachable
	}
	if m.leaf == nil || m.kind == swarm.PartialSeed {
		return
	}
	for m.reach < record.Reach && m.leaf.above(m.reach+1).place != nil && r.raise(m) {
	}
	if record.Standby && m.reach == 0 && m.downloads() {
		r.standUp(m)
	}
}

// RestoreLeases gives a restored member its parents back, once all are members, and
// its orphans. A lease that nobody may have any more is an orphan.
func (r *Roster) RestoreLeases(record *Record) {
	m := r.members[record.Addr]
	if m == nil {
		return
	}
	for i, addr := range record.Parents {
		p := r.members[addr]
		if p == nil || p == m || !m.downloads() && !p.downloads() || has(m.parents, p) || has(m.children, p) {
			continue
		}
		r.lend(m, p)
		if !m.may(p) || !p.may(m) {
			r.withdraw(m, p)
		} else if i == 0 && record.Depth > 0 && m.downloads() && follow(p, m) != circle {
			m.source, m.depth = p, record.Depth
		}
	}
	for _, addr := range record.Orphans {
		if p := r.members[addr]; p != nil && p != m && (m.downloads() || p.downloads()) {
			r.restoreOrphan(m, p)
		}
	}
}

// restoreOrphan counts an orphan that is none of those counted, and no lease.
func (r *Roster) restoreOrphan(m, p *member) {
	if !has(m.parents, p) && !has(m.children, p) && !has(m.exParents, p) && !has(m.exChildren, p) {
		r.keepOrphan(m, p)
	}
}

// may reports whether a member may have a lease with another one.
func (m *member) may(q *member) bool {
	return m.leaf == nil && q.leaf != nil || m.leaf != nil && m.reach >= crossed(m, q)
}
