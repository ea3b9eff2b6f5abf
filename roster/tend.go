package roster

import (
	"net/netip"
	"time"

	"waggle/swarm"
)

// tendStep is how many members are looked at by one tending: some tens of
// microseconds.
const tendStep = 8192

// Silent appends to dst the located peers that have been silent for longer than
// they may: twice the interval that they were told or keep, and at least 15 seconds
// beyond it, and the grace. It looks at some thousand at a time, and at the others
// when it is asked again. The store forgets them, which calls Remove. It stops where so
// many changes wait as may, and says so: to be asked again when they were taken.
//
// An importer that never could be connected to, and is silent for twice the interval
// that it was told, may be dead or slow: it stays, and loses its role.
func (r *Roster) Silent(dst []netip.AddrPort, now time.Time, grace time.Duration, changes int) (_ []netip.AddrPort, more bool) {
	r.now = now.UnixNano()
	for range min(tendStep, len(r.all)) {
		if len(r.changed) >= changes {
			return dst, true
		}
		switch m := r.nextTended(); r.lateness(m, grace) {
		case silent:
			dst = append(dst, m.addr)
		case late:
			r.dismiss(m)
			r.staff(m.leaf, nil)
		case unfit:
			r.standDown(m)
		}
	}
	return dst, false
}

// Overdue reports whether Silent would find anything among the members that it would
// look at, and changes nothing. Where there is nothing, it and Silent go on with
// others.
func (r *Roster) Overdue(now time.Time, grace time.Duration) bool {
	r.now = now.UnixNano()
	from := r.tended
	for range min(tendStep, len(r.all)) {
		if r.lateness(r.nextTended(), grace) != inTime {
			r.tended = from
			return true
		}
	}
	return false
}

func (r *Roster) nextTended() *member {
	if r.tended >= len(r.all) {
		r.tended = 0
	}
	m := r.all[r.tended]
	r.tended++
	return m
}

// lateness is what follows from when a member announced last.
type lateness uint8

const (
	inTime lateness = iota
	silent          // it is taken to be gone
	late            // it may be dead or slow, and should not import
	unfit           // it should not stand by
)

func (r *Roster) lateness(m *member, grace time.Duration) lateness {
	switch passed := time.Duration(r.now - m.last); {
	case m.leaf == nil:
		return inTime
	case passed > m.patience()+grace:
		return silent
	case m.health == unreachable && m.imports() > 0 && passed > 2*m.told+grace:
		return late
	case m.standby && !r.fresh(m):
		return unfit
	}
	return inTime
}

// patience returns how long a member may be silent.
func (m *member) patience() time.Duration {
	gap := max(m.told, m.lag)
	return max(2*gap, gap+15*time.Second)
}

// Probable appends to dst the located peers that others depend on, and whose death
// should be noticed early.
func (r *Roster) Probable(dst []netip.AddrPort) []netip.AddrPort {
	for _, g := range r.groups {
		if g.height != 1 {
			continue
		}
		for _, list := range [...][]*member{g.importers, g.exporters, g.standbys} {
			for _, m := range list {
				if r.pace(m) == swarm.Active {
					dst = append(dst, m.addr)
				}
			}
		}
	}
	return dst
}

// deaths is how many probes one after the other must fail.
const deaths = 2

// Probed records whether a peer could be connected to, and reports whether it is
// dead: it could before, and now twice could not. One that never could is behind
// something that keeps others out, and lives.
func (r *Roster) Probed(addr netip.AddrPort, ok bool) (dead bool) {
	m := r.members[addr]
	switch {
	case m == nil:
		return false
	case ok:
		if m.failed = 0; m.health != reachable {
			m.health = reachable
			r.mark(m)
		}
		return false
	}
	m.failed = min(m.failed+1, deaths)
	if m.failed < deaths {
		return false
	}
	if m.health == reachable {
		return true
	}
	m.health = unreachable
	return false
}

// tried takes in what somebody found who tried to connect to a member that announces. Who could not is held for
// one that others cannot connect to, unless they were seen to; and where it imports and has got nothing yet,
// another one does in its place that is not so.
func (r *Roster) tried(m *member, found swarm.Reach) {
	switch {
	case found == swarm.Unreachable && m.health == unprobed:
		m.health = unreachable
	case found == swarm.Reachable && m.health == unreachable && m.failed < deaths: // no probe has found that
		m.health = unprobed
	}
	if m.health != unreachable || m.imports() == 0 || m.moved != m.first {
		return
	}
	if s := r.nextImporter(m.leaf, nil, m); s != nil && s.health != unreachable && !s.stalled {
		r.lower(m, 0)
		r.orphan(m)
		r.raise(s)
	}
}
