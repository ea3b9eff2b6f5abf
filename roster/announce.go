package roster

import (
	"net/netip"
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Neighbours is the most peers of its rack that a peer is told of. About as many
// others are told of it, and clients keep some fifty connections: one that had them
// all within its rack could not import.
const Neighbours = 15

// crowd is how many peers of a rack are a crowd: there importers, and who may become
// one, are not told to others, but connect to their neighbours by themselves. The
// first of a rack, which they mostly are, would be told to most.
const crowd = 2*Neighbours + 1

// Announce takes in what a peer says that is in the view, at a position, and
// appends to out.Peers those that it is told of, no more than a.NumWant, those
// across uplinks first. It sets out.Pace. A peer that stops is not announced but
// removed.
func (r *Roster) Announce(view swarm.View, asker swarm.Position, a *swarm.Announce, out *swarm.Reply) {
	r.now, r.view, r.asking = a.Now.UnixNano(), view, a
	defer func() { r.view, r.asking = nil, nil }()
	if a.Policy != nil {
		r.policy = a.Policy
	}
	if a.Location == nil {
		r.announceStranger(asker, out)
		return
	}
	m := r.update(a)
	r.tried(m, a.Reach)
	r.judge(m)
	r.staff(m.leaf, m)
	r.keepStandby(m)
	r.provide(m)
	out.Pace = r.pace(m)
	if told := r.interval(out.Pace); told != m.told {
		m.told = told
		r.mark(m)
	}
	r.tell(m, out)
}

func (r *Roster) interval(p swarm.Pace) time.Duration {
	if p == swarm.Active {
		return r.policy.Active
	}
	return r.policy.Passive
}

// update records what a located peer says of itself.
func (r *Roster) update(a *swarm.Announce) *member {
	addr := a.Addr()
	m := r.members[addr]
	if m == nil || m.leaf == nil || m.leaf.place != a.Location {
		return r.settleIn(m, a)
	}
	m.id = a.PeerID
	r.figures(m, known(a.Left), a.Uploaded, a.Downloaded)
	r.punctuality(m, a.Event)
	m.heard(r.now)
	if m.kind != a.Kind() {
		r.turn(m, a.Kind())
	}
	return m
}

// settleIn adds a member, which was another one if it moved.
func (r *Roster) settleIn(old *member, a *swarm.Announce) *member {
	if old != nil {
		r.detach(old)
	}
	m := r.add(a.Addr(), &a.PeerID, a.Kind(), a.Location, known(a.Left))
	m.uploaded, m.downloaded = a.Uploaded, a.Downloaded
	if old != nil && old.leaf != nil {
		r.staff(old.leaf, nil)
	}
	return m
}

// figures records what a member transferred since its last announce. What came to
// an importer counts as having crossed the uplinks that it may cross; what came
// before a client began again counts from nothing.
func (r *Roster) figures(m *member, left, uploaded, downloaded int64) {
	if left < m.left {
		m.moved, m.busy, m.stalled = r.now, r.now, false
		if m.gained == 0 {
			m.gained = r.now
		}
	}
	if uploaded > m.uploaded {
		m.busy = r.now
	}
	if n := downloaded - m.downloaded; n > 0 && m.downloads() {
		reach := m.reach
		if len(m.exParents)+len(m.exChildren) > 0 {
			reach = max(reach, 1)
		}
		for g := m.leaf; g.place != nil && g.height <= reach; g = g.up {
			g.imported += n
		}
	}
	if m.downloads() {
		for g := m.leaf; g != nil; g = g.up {
			g.left += left - m.left
		}
	}
	m.left, m.uploaded, m.downloaded = left, uploaded, downloaded
}

// UnknownLeft is what counts as left of a peer that cannot say, in bytes.
const UnknownLeft = 1 << 48

// known returns what is left, where a client has said something sensible.
func known(left int64) int64 {
	if left < 0 || left > UnknownLeft {
		return UnknownLeft
	}
	return left
}

// punctuality learns whether a client keeps the interval that it is told, from
// announces that nothing but the time made it send.
func (r *Roster) punctuality(m *member, event bittorrent.Event) {
	lag, learnt := punctual(m, event, time.Duration(r.now-m.last))
	if !learnt {
		return
	}
	if (lag == 0) != (m.lag == 0) {
		r.mark(m)
	}
	m.lag = lag
}

// punctual returns the interval that a member keeps whatever it is told, 0 if none,
// by the time between two announces, where that tells.
func punctual(m *member, event bittorrent.Event, gap time.Duration) (lag time.Duration, learnt bool) {
	if event != bittorrent.EventNone || gap < time.Second {
		return 0, false
	}
	if gap > m.told*3/2 {
		lag = min(gap, time.Hour)
	}
	return lag, true
}

// tell appends the peers that a located member is told of.
func (r *Roster) tell(m *member, out *swarm.Reply) {
	t := telling{r: r, to: m, out: out, room: int(max(r.asking.NumWant, 0))}
	for _, p := range m.parents {
		t.one(p)
	}
	for _, c := range m.children {
		t.one(c)
	}
	t.neighbours()
	t.dropIDs()
}

// neighbours tells a located member of others of its rack: half of them complete,
// if it lacks data.
func (t *telling) neighbours() {
	g, want := t.to.leaf, min(Neighbours, t.room)
	t.crowded = len(g.leechers)+len(g.seeds) > crowd
	if t.to.downloads() {
		want -= t.some(g.seeds, min(len(g.seeds), max((want+1)/2, want-len(g.leechers)+1)))
	}
	t.some(g.leechers, want)
}

// telling is one answer being put together.
type telling struct {
	r    *Roster
	to   *member
	out  *swarm.Reply
	room int

	crowded bool // the rack
}

// one tells of a peer, and reports whether it did.
func (t *telling) one(q *member) bool {
	if t.room == 0 || !t.fits(q) {
		return false
	}
	t.room--
	if t.r.asking.WithIDs && q.id != (bittorrent.PeerID{}) {
		t.out.Peers.AppendWithID(q.addr, q.id)
	} else {
		t.out.Peers.Append(q.addr)
	}
	return true
}

// fits reports whether a member may be told of: who downloads nothing is told of
// those only that do, and nobody of itself.
func (t *telling) fits(q *member) bool {
	return q != t.to && q.id != t.to.id && (t.to.downloads() || q.downloads()) &&
		t.r.asking.Families&swarm.FamilyOf(q.addr.Addr()) != 0
}

// some tells of up to n members of a list, mostly the same at each announce, and
// returns of how many.
func (t *telling) some(list []*member, n int) int {
	told := 0
	if len(list) <= n+1 { // with itself, all
		for _, q := range list {
			if told < n && t.one(q) {
				told++
			}
		}
		return told
	}
	r := t.r
	r.picked = r.picked[:0]
	for i := uint64(0); told < n && i < uint64(3*n); i++ {
		at := jump(mix(t.to.key+i*0x9e3779b97f4a7c15, r.seed), len(list))
		if slices.Contains(r.picked, at) {
			continue
		}
		r.picked = append(r.picked, at)
		if q := list[at]; t.mayBeCrowded(q) && t.one(q) {
			told++
		}
	}
	return told
}

// mayBeCrowded reports whether a neighbour may be told to any number of others.
func (t *telling) mayBeCrowded(q *member) bool {
	return !t.crowded || !q.downloads() || q.reach == 0 && !q.standby
}

// dropIDs takes the ids away if some are not known: they stand in the order of the
// addresses.
func (t *telling) dropIDs() {
	p := &t.out.Peers
	if len(p.IDs4)*bittorrent.CompactLen4 != len(p.V4) || len(p.IDs6)*bittorrent.CompactLen6 != len(p.V6) {
		p.IDs4, p.IDs6 = p.IDs4[:0], p.IDs6[:0]
	}
}

// jump maps a key to one of n places such that, where n grows by one, one key in n
// goes to the new place and all others stay (Lamping and Veach, 2014).
func jump(key uint64, n int) int32 {
	b, j := int64(-1), int64(0)
	for j < int64(n) {
		b = j
		key = key*2862933555777941757 + 1
		j = int64(float64(b+1) * (float64(int64(1)<<31) / float64(key>>33+1)))
	}
	return int32(b)
}

// announceStranger answers an unlocated peer: others of its kind at random, and
// located ones by leases.
func (r *Roster) announceStranger(asker swarm.Position, out *swarm.Reply) {
	a := r.asking
	r.selector.Select(r.view, asker, a, out)
	out.Peers.DeleteFunc(r.isLocated)
	m := r.members[a.Addr()]
	if m != nil && m.leaf != nil { // it is not where it was
		r.remove(m)
		m = nil
	}
	if m == nil {
		r.visitor = member{addr: a.Addr(), id: a.PeerID, key: r.hash(a.Addr()), kind: a.Kind(), index: -1}
		m = &r.visitor
	}
	m.id, m.last = a.PeerID, r.now
	r.strangerFigures(m, a.Left, a.Uploaded)
	if m.kind != a.Kind() {
		r.turn(m, a.Kind())
	}
	m = r.lendToStranger(m, out)
	if m.index >= 0 && len(m.parents)+len(m.children) == 0 {
		r.remove(m)
		return
	}
	out.Peers.Truncate(int(a.NumWant) - len(m.parents) - len(m.children))
	t := telling{r: r, to: m, out: out, room: int(max(a.NumWant, 0)) - out.Peers.Len()}
	for _, p := range m.parents {
		t.stranger(p)
	}
	for _, c := range m.children {
		t.stranger(c)
	}
	t.dropIDs()
}

// strangerFigures records what an unlocated member transferred.
func (r *Roster) strangerFigures(m *member, left, uploaded int64) {
	if left < m.left || uploaded > m.uploaded {
		m.busy = r.now
	}
	m.left, m.uploaded = left, uploaded
}

// stranger tells of a located peer; the others are drawn at random.
func (t *telling) stranger(q *member) {
	if q.leaf != nil {
		t.one(q)
	}
}

// lendToStranger gives an unlocated peer located parents, if they have children to
// spare or it knows nobody else, and returns it, who is a member by then.
func (r *Roster) lendToStranger(m *member, out *swarm.Reply) *member {
	if !m.downloads() || r.policy == nil {
		return m
	}
	if len(m.parents) == 0 {
		p := r.sourceOfStranger(m, out)
		if p == nil {
			return m
		}
		m = r.joined(m)
		r.lend(m, p)
		m.source, m.depth = p, p.depthNow()+1
	}
	for len(m.parents) < r.policy.Edges {
		p := r.another(m)
		if p == nil {
			break
		}
		r.lend(m, p)
	}
	return m
}

// sourceOfStranger returns the first located parent of an unlocated peer.
func (r *Roster) sourceOfStranger(m *member, out *swarm.Reply) *member {
	p := r.bestSource(m, &r.root)
	alone := len(m.children)+out.Peers.Len() == 0
	if p == nil || has(m.children, p) || r.spare(p) <= 0 && !alone {
		return nil
	}
	return p
}

func (r *Roster) isLocated(addr netip.AddrPort) bool {
	m := r.members[addr]
	return m != nil && m.leaf != nil
}
