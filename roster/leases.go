package roster

import (
	"waggle/swarm"
)

// lone is how many parents a member gets that is alone in its rack: what it draws
// crosses the uplink once, from however many.
const lone = 30

// deepest is how many first parents are followed to a seeder.
const deepest = 128

// edges returns how many parents a member should have.
func (r *Roster) edges(m *member) int {
	if m.leaf != nil && m.leaf.incomplete+m.leaf.complete == 1 {
		return max(lone, r.policy.Edges)
	}
	return r.policy.Edges
}

// spare returns how many children more a member should have, for others than those
// that have no parent.
func (r *Roster) spare(m *member) int { return 2*r.policy.Edges - len(m.children) }

// provide gives an importer the parents that it lacks. They are told of it too, and
// some of them announce soon: so it gets data although it does not.
func (r *Roster) provide(m *member) {
	height := m.imports()
	if height == 0 {
		return
	}
	if !m.sourceIsGood(height) {
		r.takeSource(m, height)
	}
	for len(m.parents) < r.edges(m) {
		p := r.another(m)
		if p == nil {
			break
		}
		r.lend(m, p)
	}
	for len(m.parents) > max(lone, r.policy.Edges)+1 { // after many changes of its source
		r.withdraw(m, m.spareParent())
	}
}

// imports returns the height of the outermost group that lacks a seeder and that
// the member imports for; 0: none.
func (m *member) imports() int {
	if m.leaf == nil || !m.downloads() {
		return 0
	}
	height := 0
	for g := m.leaf; g.height <= m.reach && g.complete == 0; g = g.up {
		height = g.height
	}
	return height
}

// spareParent returns the parent that a member has had for longest, of those that
// are not its source.
func (m *member) spareParent() *member {
	if m.parents[0] != m.source {
		return m.parents[0]
	}
	return m.parents[1]
}

// sourceIsGood reports whether a member's source leads to a seeder, and lies
// outside of its group of a height.
func (m *member) sourceIsGood(height int) bool {
	return m.source != nil && m.outside(m.source, height) && rooted(m.source, m)
}

func (m *member) outside(q *member, height int) bool {
	return q.leaf == nil || q.leaf.above(height) != m.leaf.above(height)
}

// takeSource gives a member a source that leads to a seeder, if there is one; any
// other only if it has none.
func (r *Roster) takeSource(m *member, height int) {
	best := r.bestSource(m, m.leaf.above(height+1))
	if best == nil || m.source != nil && m.outside(m.source, height) && !rooted(best, m) {
		return
	}
	if has(m.children, best) { // it is fed by others too, and turns round
		r.release(best, m)
	}
	if !has(m.parents, best) {
		r.lend(m, best)
	}
	r.mark(m)
	m.source = best
	m.depth = best.depthNow() + 1
}

// end is where following first parents ends.
type end uint8

const (
	nowhere end = iota // at one that has none
	seed
	circle // at the one who asks
)

// follow follows the sources of q.
func follow(q, asker *member) end {
	for range deepest {
		switch {
		case q == asker:
			return circle
		case q.kind == swarm.Seeder:
			return seed
		case q.source == nil:
			return nowhere
		}
		q = q.source
	}
	return nowhere
}

func rooted(q, asker *member) bool { return follow(q, asker) == seed }

// depthNow is how far a member is from a seeder, by what is known of its source.
func (m *member) depthNow() int {
	switch {
	case m.kind == swarm.Seeder:
		return 0
	case m.source == nil:
		return deepest
	}
	return m.depth
}

// bestSource returns the best source for a member among those in a group, or nil.
func (r *Roster) bestSource(m *member, outside *group) *member {
	var best candidate
	for _, list := range [...][]*member{outside.seeds, outside.leechers} {
		for i := range r.sample(len(list)) {
			q := list[i]
			if r.may(m, q) && (m.leaf == nil || m.outside(q, outside.height-1)) {
				best.considerSource(m, q, r.spare(q) > 0)
			}
		}
	}
	for _, p := range m.parents { // a stranger, who may not be drawn again
		if m.leaf != nil && r.may(m, p) && m.outside(p, outside.height-1) {
			best.considerSource(m, p, true)
		}
	}
	if outside.place == nil && m.leaf != nil {
		r.considerStrangers(m, &best)
	}
	return r.joined(best.member)
}

// may reports whether a parent can be told to a child: it must be of a family that
// the answer has room for, and not the same client.
func (r *Roster) may(child, parent *member) bool {
	return parent != child && parent.id != child.id && parent.kind != swarm.PartialSeed &&
		r.families(child)&swarm.FamilyOf(parent.addr.Addr()) != 0
}

// families returns those that an answer to a member has room for: of one that does
// not announce now, its own.
func (r *Roster) families(m *member) swarm.Families {
	if r.asking != nil && r.asking.Addr() == m.addr {
		return r.asking.Families
	}
	return swarm.FamilyOf(m.addr.Addr())
}

// candidate is a possible parent and what speaks for it, weightiest first.
type candidate struct {
	member *member
	rooted bool
	spare  bool
	depth  int
	load   int
	chance uint64
}

// considerSource considers q as the source of m.
func (c *candidate) considerSource(m, q *member, spare bool) {
	if to := follow(q, m); to != circle {
		c.consider(candidate{
			member: q, rooted: to == seed, spare: spare, depth: q.depthNow(), load: len(q.children), chance: mix(m.key, q.key),
		})
	}
}

// consider keeps the better of two.
func (c *candidate) consider(d candidate) {
	if c.member == nil || d.before(c) {
		*c = d
	}
}

func (c *candidate) before(d *candidate) bool {
	switch {
	case c.rooted != d.rooted:
		return c.rooted
	case c.spare != d.spare:
		return c.spare
	case c.depth != d.depth:
		return c.depth < d.depth
	case c.load != d.load:
		return c.load < d.load
	}
	return c.chance < d.chance
}

// another returns one more parent for a member, or nil: the least loaded that has
// children to spare besides one for who has no parent, in a group of which it has
// none, the nearest common group first.
func (r *Roster) another(m *member) *member {
	if m.leaf == nil {
		return r.anotherWithin(m, &r.root)
	}
	for g := m.leaf.up; ; g = g.up {
		if p := r.anotherWithin(m, g); p != nil || g.height > m.reach {
			return p
		}
	}
}

func (r *Roster) anotherWithin(m *member, g *group) *member {
	var best candidate
	for _, list := range [...][]*member{g.leechers, g.seeds} {
		for i := range r.sample(len(list)) {
			q := list[i]
			if r.spare(q) > 1 && r.may(m, q) && !has(m.children, q) && !r.sameGroup(m, q, g.height-1) {
				best.consider(candidate{member: q, load: len(q.children), chance: mix(m.key, q.key)})
			}
		}
	}
	if g.place == nil && m.leaf != nil && best.member == nil {
		r.considerStrangers(m, &best)
	}
	return r.joined(best.member)
}

// sameGroup reports whether a candidate lies in m's group of a height, or in the
// innermost group of a parent that m has.
func (r *Roster) sameGroup(m, q *member, height int) bool {
	if m.leaf != nil && !m.outside(q, height) {
		return true
	}
	for _, p := range m.parents {
		if p == q || p.leaf == q.leaf {
			return true
		}
	}
	return false
}

// strangersSeen is how many of the unlocated peers are looked at.
const strangersSeen = 8

// considerStrangers considers unlocated peers of the swarm, seeders above all.
func (r *Roster) considerStrangers(m *member, best *candidate) {
	if r.view == nil {
		return // somebody left; they are found when the member announces
	}
	groups := [...]swarm.Group{swarm.Seeds4, swarm.Seeds6, swarm.Leechers4, swarm.Leechers6}
	unlocated := [...]bool{
		r.view.Len(swarm.Seeds4)+r.view.Len(swarm.Seeds6) > r.located,
		r.view.Len(swarm.Leechers4)+r.view.Len(swarm.Leechers6) > r.root.incomplete,
	}
	for i, g := range groups {
		n := r.view.Len(g)
		if i < 2 {
			n = r.view.Seeders(g)
		}
		if n == 0 || !unlocated[i/2] || r.families(m)&(swarm.IPv4<<(g&1)) == 0 {
			continue
		}
		r.found.Reset()
		r.view.Append(g, r.selector.Sample(n, strangersSeen), r.asking, &r.found)
		for addr := range r.found.Peers.All() {
			q := r.members[addr]
			if q == nil {
				q = &member{addr: addr, kind: swarm.Leecher, index: -1}
				if i < 2 {
					q.kind = swarm.Seeder
				}
			}
			if q.leaf == nil && addr != m.addr && !has(m.children, q) && !has(m.parents, q) {
				best.considerSource(m, q, r.spare(q) > 0)
			}
		}
	}
}

// joined makes a member of a stranger that was chosen.
func (r *Roster) joined(q *member) *member {
	if q != nil && q.index < 0 {
		return r.add(q.addr, &q.id, q.kind, nil, q.left)
	}
	return q
}

// lend makes q a parent of m.
func (r *Roster) lend(m, q *member) {
	r.mark(m)
	m.parents = append(m.parents, q)
	q.children = append(q.children, m)
	forgetOrphan(m, q)
	forgetOrphan(q, m)
}

// release ends a lease.
func (r *Roster) release(m, q *member) {
	r.mark(m)
	m.parents = without(m.parents, q)
	q.children = without(q.children, m)
	if m.source == q {
		m.source = nil
	}
}

// withdraw ends a lease whose ends may go on using it.
func (r *Roster) withdraw(m, q *member) {
	r.release(m, q)
	if m.downloads() || q.downloads() {
		r.keepOrphan(m, q)
	}
}

// keepOrphan counts a lease that was taken back.
func (r *Roster) keepOrphan(child, parent *member) {
	r.mark(child)
	child.exParents = append(child.exParents, parent)
	parent.exChildren = append(parent.exChildren, child)
}

func forgetOrphan(child, parent *member) {
	child.exParents = without(child.exParents, parent)
	parent.exChildren = without(parent.exChildren, child)
}

// orphan withdraws all leases of a member that lost its role.
func (r *Roster) orphan(m *member) {
	for len(m.parents) > 0 {
		r.withdraw(m, m.parents[0])
	}
	for len(m.children) > 0 {
		r.withdraw(m.children[0], m)
	}
}

// settle ends what is over for a member that has turned into another kind: leases
// both of whose ends are complete, and those across boundaries that it may not cross
// any more. Who was a parent of one that is complete now is a child.
func (r *Roster) settle(m *member) {
	for i := len(m.parents) - 1; i >= 0; i-- {
		p := m.parents[i]
		r.settleLease(m, p, m)
		if m.kind == swarm.Seeder && i < len(m.parents) && m.parents[i] == p {
			r.release(m, p)
			r.lend(p, m)
		}
	}
	for i := len(m.children) - 1; i >= 0; i-- {
		r.settleLease(m.children[i], m, m)
	}
	if !m.downloads() {
		m.source = nil
	}
	for i := len(m.exParents) - 1; i >= 0; i-- {
		if p := m.exParents[i]; !m.downloads() && !p.downloads() {
			forgetOrphan(m, p)
		}
	}
	for i := len(m.exChildren) - 1; i >= 0; i-- {
		if c := m.exChildren[i]; !m.downloads() && !c.downloads() {
			forgetOrphan(c, m)
		}
	}
}

func (r *Roster) settleLease(child, parent, turned *member) {
	switch {
	case !child.downloads() && !parent.downloads():
		r.release(child, parent)
	case turned.leaf != nil && turned.reach < crossed(child, parent):
		r.withdraw(child, parent)
	}
}

// crossed returns the height of the outermost boundary between two members, of
// which one at least is located.
func crossed(a, b *member) int {
	if a.leaf == nil {
		a, b = b, a
	}
	height := 0
	for g := a.leaf; g.place != nil; g = g.up {
		if b.leaf != nil && b.leaf.above(g.height) == g {
			break
		}
		height = g.height
	}
	return height
}
