package roster

import (
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
	Parents  []netip.AddrPort // its source first
}

// Keep makes the roster remember which records change, for Changes. It is called
// before anything else.
func (r *Roster) Keep() { r.kept = true }

// mark remembers that the record of a member changed.
func (r *Roster) mark(m *member) {
	if r.kept && !m.marked {
		m.marked = true
		r.changed = append(r.changed, m.addr)
	}
}

// Changed reports whether there are changes.
func (r *Roster) Changed() bool { return len(r.changed) > 0 }

// Changes appends the records that have changed since the last call.
func (r *Roster) Changes(dst []Record) []Record {
	for _, addr := range r.changed {
		m := r.members[addr]
		if m == nil {
			dst = append(dst, Record{Addr: addr, Gone: true})
			continue
		}
		m.marked = false
		dst = append(dst, r.record(m))
	}
	r.changed = r.changed[:0]
	return dst
}

// Records appends the records of all members.
func (r *Roster) Records(dst []Record) []Record {
	for _, m := range r.all {
		dst = append(dst, r.record(m))
	}
	return dst
}

func (r *Roster) record(m *member) Record {
	record := Record{
		Addr: m.addr, Location: m.place(), Reach: m.reach, Standby: m.standby, Probed: m.health == reachable,
		Told: m.told, Lag: m.lag,
	}
	if m.source != nil {
		record.Parents = append(record.Parents, m.source.addr)
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
	r.now = now.UnixNano()
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
		m.standby = true
		m.leaf.standbys = append(m.leaf.standbys, m)
	}
}

// RestoreLeases gives a restored member its parents back, once all are members. A
// lease that nobody may have any more is an orphan.
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
		} else if i == 0 && m.downloads() && follow(p, m) != circle {
			m.source, m.depth = p, p.depthNow()+1
		}
	}
}

// may reports whether a member may have a lease with another one.
func (m *member) may(q *member) bool {
	return m.leaf == nil && q.leaf != nil || m.leaf != nil && m.reach >= crossed(m, q)
}
