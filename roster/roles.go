package roster

import (
	"time"

	"waggle/swarm"
)

// looks is how many members are looked at to find a good one, in groups that have
// more.
const looks = 64

// staff gives the roles of a group and of those around it to members, as far as
// they have fewer than they should. asker is the member that announces now, if any.
func (r *Roster) staff(leaf *group, asker *member) {
	for g := leaf; g.place != nil; g = g.up {
		r.relieve(g, asker)
		for r.wantsExporter(g) {
			m := r.nextExporter(g)
			if m == nil || !r.raise(m) {
				break
			}
		}
		for r.wantsImporter(g) {
			m := r.nextImporter(g, asker, nil)
			if m == nil || !r.raise(m) {
				break
			}
		}
	}
	for g := leaf; g.place != nil; g = g.up {
		for _, m := range g.importers {
			if len(m.parents) == 0 && m != asker { // who is provided for when all else is settled
				r.provide(m)
			}
		}
	}
}

// relieve takes the role from importers of a group that have no leases and are late,
// if somebody announces there who could have it.
func (r *Roster) relieve(g *group, asker *member) {
	if asker == nil || !asker.downloads() || asker.reach != g.height-1 {
		return
	}
	for i := len(g.importers) - 1; i >= 0; i-- {
		if m := g.importers[i]; len(m.parents)+len(m.children) == 0 && !r.fresh(m) {
			r.lower(m, g.height-1)
		}
	}
}

func (r *Roster) wantsExporter(g *group) bool {
	return g.place != nil && r.policy != nil && len(g.exporters) < r.policy.Exporters[g.height]
}

func (r *Roster) wantsImporter(g *group) bool {
	return r.policy != nil && g.incomplete > 0 && g.complete == 0 && len(g.importers) < r.policy.Importers[g.height]
}

// nextExporter returns the seeder that should be an exporter of a group next: one
// that can be reached, gives least, and came first.
func (r *Roster) nextExporter(g *group) *member {
	var best *member
	for i := range r.sample(len(g.seeds)) {
		m := g.seeds[i]
		if m.reach == g.height-1 && m.kind == swarm.Seeder && (best == nil || exportsBefore(m, best)) {
			best = m
		}
	}
	return best
}

func exportsBefore(a, b *member) bool {
	switch {
	case (a.health == unreachable) != (b.health == unreachable):
		return b.health == unreachable
	case len(a.children) != len(b.children):
		return len(a.children) < len(b.children)
	}
	return a.first < b.first
}

// nextImporter returns the leecher that should be an importer of a group next, or
// nil. It is one that announces now or often, so that it hears of it soon, if there is
// any: those who import for a rack may have to do without. It is not the one that is
// excepted.
func (r *Roster) nextImporter(g *group, asker, except *member) *member {
	var best *member
	bestSoon := false
	consider := func(m *member) {
		soon := m == asker || r.fresh(m)
		if m == except || m.reach != g.height-1 || !soon && g.height == 1 {
			return
		}
		if best == nil || soon && !bestSoon || soon == bestSoon && importsBefore(m, best) {
			best, bestSoon = m, soon
		}
	}
	for _, m := range g.standbys {
		consider(m)
	}
	for i := range r.sample(len(g.leechers)) {
		consider(g.leechers[i])
	}
	if asker != nil && asker.downloads() && asker.leaf.above(g.height) == g {
		consider(asker) // who is not among those looked at
	}
	return best
}

func importsBefore(a, b *member) bool {
	switch {
	case a.stalled != b.stalled:
		return b.stalled
	case (a.health == unreachable) != (b.health == unreachable):
		return b.health == unreachable
	case a.left != b.left:
		return a.left < b.left
	case len(a.children) != len(b.children):
		return len(a.children) < len(b.children)
	case a.first != b.first:
		return a.first < b.first
	}
	return a.key < b.key
}

// fresh reports whether a member was told to announce often, and does, as far as is
// known of it.
func (r *Roster) fresh(m *member) bool {
	gap := r.policy.Active
	if m.lag != unknownLag {
		gap = max(gap, m.lag)
	}
	return m.told <= r.policy.Active && r.now-m.last <= int64(2*gap)
}

// keepStandby makes the announcing member one of its rack that can take over, if
// there are too few. They stay while there is a seeder, which may leave. One that cannot be connected to
// makes room for one of which nobody knows that.
func (r *Roster) keepStandby(m *member) {
	g, fit := m.leaf, !m.standby && m.reach == 0 && m.downloads() && !m.stalled
	for i := len(g.standbys) - 1; i >= 0; i-- {
		if s := g.standbys[i]; s.stalled || !r.fresh(s) || s.health == unreachable && fit && m.health != unreachable {
			r.standDown(s)
		}
	}
	if fit && len(g.standbys) < r.policy.Standby {
		r.standUp(m)
	}
}

func (r *Roster) standUp(m *member) {
	r.mark(m)
	m.standby = true
	m.leaf.standbys = append(m.leaf.standbys, m)
}

func (r *Roster) standDown(m *member) {
	if m.standby {
		r.mark(m)
		m.standby = false
		m.leaf.standbys = without(m.leaf.standbys, m)
	}
}

// expectant is for how long the only seeder of a torrent announces often, though
// nobody depends on it yet.
const expectant = time.Hour

// pace returns how often a member should announce: often, if others depend on it, or
// soon will.
func (r *Roster) pace(m *member) swarm.Pace {
	switch {
	case m.leaf == nil:
		return swarm.Usual
	case m.standby, m.reach > 0 && m.downloads(), m.reach > 0 && m.leaf.incomplete > 0:
		return swarm.Active
	case m.reach > 0 && r.root.incomplete == 0 && r.root.complete == 1 && r.now-m.first < int64(expectant):
		return swarm.Active
	}
	for _, c := range m.children {
		if c.downloads() {
			return swarm.Active
		}
	}
	return swarm.Passive
}

// judge notices an importer that gets nothing although its parents go on, and
// replaces it if there is somebody else.
func (r *Roster) judge(m *member) {
	g := m.leaf
	if m.imports() == 0 {
		return
	}
	if m.moved == r.now {
		m.stuck, g.patience = 0, firstPatience
		return
	}
	if !r.parentsGoOn(m) {
		return
	}
	if m.stuck++; m.stuck < g.patience {
		return
	}
	m.stuck, m.stalled = 0, true
	substitute := r.nextImporter(g, nil, m)
	if substitute == nil || substitute.stalled {
		return
	}
	g.patience = min(2*g.patience, lastPatience)
	r.dismiss(m)
	r.raise(substitute)
}

// dismiss takes the role of an importer away, and its leases.
func (r *Roster) dismiss(m *member) {
	m.stalled = true
	r.lower(m, 0)
	r.orphan(m)
}

// parentsGoOn reports whether a parent that has more than the member downloaded or
// uploaded anything since the member last got something, and has had something to
// give since an interval before the member's announce before: it takes a client some
// ten seconds to let another one have what it has.
func (r *Roster) parentsGoOn(m *member) bool {
	for _, p := range m.parents {
		if p.left < m.left && p.busy > m.moved && p.gained > 0 && p.gained <= m.before-int64(r.policy.Active) {
			return true
		}
	}
	return false
}

// sample returns some of the numbers below n, all if they are few.
func (r *Roster) sample(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		if n <= looks {
			for i := range n {
				if !yield(i) {
					return
				}
			}
			return
		}
		for _, i := range r.selector.Sample(n, looks) {
			if !yield(int(i)) {
				return
			}
		}
	}
}
