package roster

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/swarm"
)

// Roster is the located peers of one torrent, their roles and leases. Use [New]. It
// is not safe for concurrent use.
type Roster struct {
	selector *swarm.Selector
	budget   *Budget
	seed     uint64
	policy   *swarm.Policy
	now      int64 // of the announce or the tending under way, Unix nanoseconds

	members map[netip.AddrPort]*member
	all     []*member
	groups  map[*locality.Group]*group
	root    group // holds the outermost groups
	located int   // members that are located and complete, or partial seeds

	kept    bool             // changes are remembered
	changed []netip.AddrPort // members whose record changed, and such that were
	missed  bool             // more have changed than are remembered
	tended  int              // where tending goes on
	found   swarm.Reply      // reused, so that looking for strangers allocates nothing
	picked  []int32          // reused, of the rack-mates told
	visitor member           // reused, of an unlocated peer that has no lease
	view    swarm.View       // of the announce under way
	asking  *swarm.Announce
}

func has(list []*member, m *member) bool { return slices.Contains(list, m) }

// New returns an empty roster. Its choices follow from the selector's and the seed.
// The budget is shared by all torrents of a store; nil: no limit.
func New(selector *swarm.Selector, seed uint64, budget *Budget) *Roster {
	return &Roster{
		selector: selector, budget: budget, seed: seed,
		members: map[netip.AddrPort]*member{},
		groups:  map[*locality.Group]*group{},
	}
}

// member is a located peer, or an unlocated one that has a lease.
type member struct {
	addr  netip.AddrPort
	id    bittorrent.PeerID
	key   uint64 // spreads it among others
	leaf  *group // its innermost group; nil: unlocated
	index int    // in all
	at    [locality.MaxLevels + 2]int32

	kind    swarm.Kind
	reach   int // how many boundaries it may cross
	standby bool
	marked  bool // its record changed
	stalled bool // was replaced because it got nothing
	health  health
	failed  uint8 // probes, one after the other

	left, uploaded, downloaded int64
	first                      int64 // Unix nanoseconds, as all times here
	last                       int64
	before                     int64         // of the announce before the last
	gained                     int64         // when it first had something to give; 0: not yet
	moved                      int64         // when left fell last
	busy                       int64         // when left fell or uploaded rose last
	told                       time.Duration // the interval
	lag                        time.Duration // the interval that it keeps whatever it is told
	stuck                      int           // announces in a row that got nothing

	source   *member   // its first parent; nil: none
	parents  []*member // the source and others
	children []*member

	// Orphans: leases that were taken back while one end at least lacked data.
	exParents, exChildren []*member

	depth int // of its source, plus one, when that was chosen
}

type health uint8

const (
	unprobed health = iota
	reachable
	unreachable
)

// lag that is taken for granted before the second announce: clients are known that
// keep 300 seconds whatever they are told.
const unknownLag = 300 * time.Second

// group is what a torrent has in a group of locations, or in all of them.
type group struct {
	place  *locality.Group // nil: the root
	up     *group
	height int

	incomplete, complete int // members inside

	// Those that may be told to other groups of the same height inside it: in an
	// innermost group everybody, in others whoever has a reach of one less than its
	// height. Partial seeds are in the seeds of the innermost only.
	leechers, seeds []*member

	importers, exporters []*member // that may cross its uplink
	standbys             []*member // of an innermost group

	left     int64 // bytes that its incomplete members lack together
	imported int64 // bytes that its importers downloaded while they were such, or orphans
	patience int   // announces that an importer may get nothing before it is replaced
}

// patience of a group that has not replaced anybody, and at most.
const (
	firstPatience = 2
	lastPatience  = 64
)

// Empty reports whether no member is located.
func (r *Roster) Empty() bool { return r.root.incomplete+r.located == 0 }

// group returns what the torrent has in a group of locations, made if it is new.
func (r *Roster) group(place *locality.Group) *group {
	if place == nil {
		return &r.root
	}
	g := r.groups[place]
	if g == nil {
		g = &group{place: place, up: r.group(place.Up()), height: place.Height(), patience: firstPatience}
		r.groups[place] = g
		g.up.height = g.height + 1
	}
	return g
}

// above returns the group of a height that a group is, or lies in.
func (g *group) above(height int) *group {
	for g.height < height {
		g = g.up
	}
	return g
}

func (m *member) downloads() bool { return m.kind == swarm.Leecher }

func (g *group) list(m *member) *[]*member {
	if m.downloads() {
		return &g.leechers
	}
	return &g.seeds
}

func (g *group) crossing(m *member) *[]*member {
	if m.downloads() {
		return &g.importers
	}
	return &g.exporters
}

// enter puts a member in a list of a group.
func (g *group) enter(m *member) {
	list := g.list(m)
	m.at[g.height] = int32(len(*list))
	*list = append(*list, m)
}

// leave takes it out; the last one takes its place.
func (g *group) leave(m *member) {
	list := g.list(m)
	last := len(*list) - 1
	moved := (*list)[last]
	at := m.at[g.height]
	(*list)[at], (*list)[last] = moved, nil
	moved.at[g.height] = at
	*list = (*list)[:last]
}

func without(list []*member, m *member) []*member {
	if i := slices.Index(list, m); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// add makes a member of an announcing peer. place is nil for a stranger.
func (r *Roster) add(addr netip.AddrPort, id *bittorrent.PeerID, kind swarm.Kind, place *locality.Group, left int64) *member {
	m := &member{
		addr: addr, id: *id, key: r.hash(addr), kind: kind, index: len(r.all), left: left,
		first: r.now, last: r.now, before: r.now, moved: r.now, busy: r.now, lag: unknownLag,
	}
	if kind != swarm.Leecher {
		m.gained = r.now
	}
	r.members[addr] = m
	r.all = append(r.all, m)
	r.mark(m)
	if place != nil {
		m.leaf = r.group(place)
		r.include(m)
	}
	return m
}

// include enters a member into its groups, without a reach.
func (r *Roster) include(m *member) {
	m.leaf.enter(m)
	r.count(m, 1)
}

func (r *Roster) count(m *member, n int) {
	if !m.downloads() {
		r.located += n
	}
	for g := m.leaf; g != nil; g = g.up {
		switch m.kind {
		case swarm.Leecher:
			g.incomplete += n
			g.left += int64(n) * m.left
		case swarm.Seeder:
			g.complete += n
		}
	}
}

// exclude takes a member out of its groups, and its reach away.
func (r *Roster) exclude(m *member) {
	r.lower(m, 0)
	r.standDown(m)
	m.leaf.leave(m)
	r.count(m, -1)
}

// raise lets a member cross one more boundary, and reports whether it may: the
// budget of its rack may be spent.
func (r *Roster) raise(m *member) bool {
	if m.reach == 0 && m.downloads() && !r.budget.take(m.leaf.place) {
		return false
	}
	r.cross(m)
	return true
}

// lift does so even beyond the budget.
func (r *Roster) lift(m *member) {
	if m.reach == 0 && m.downloads() {
		r.budget.force(m.leaf.place)
	}
	r.cross(m)
}

// cross lets a member cross one more boundary.
func (r *Roster) cross(m *member) {
	g := m.leaf.above(m.reach + 1)
	m.reach++
	r.mark(m)
	r.standDown(m)
	crossing := g.crossing(m)
	*crossing = append(*crossing, m)
	g.up.enter(m)
}

// lower takes from a member what it may cross beyond a reach. Its leases stay.
func (r *Roster) lower(m *member, reach int) {
	for m.reach > reach {
		g := m.leaf.above(m.reach)
		g.up.leave(m)
		crossing := g.crossing(m)
		*crossing = without(*crossing, m)
		if g.height == 1 && m.downloads() {
			r.budget.free(g.place)
		}
		m.reach--
		r.mark(m)
	}
}

// turn makes another kind of a member. An importer that completes goes on as an
// exporter as far as there is room for one.
func (r *Roster) turn(m *member, kind swarm.Kind) {
	reach := m.reach
	r.become(m, kind)
	for m.reach < reach && kind == swarm.Seeder && r.wantsExporter(m.leaf.above(m.reach+1)) {
		r.raise(m)
	}
	r.settle(m)
}

// become makes another kind of a member, which loses its roles. Its leases stay.
func (r *Roster) become(m *member, kind swarm.Kind) {
	if m.leaf == nil {
		m.kind = kind
		return
	}
	r.exclude(m)
	m.kind, m.stuck, m.stalled = kind, 0, false
	r.include(m)
}

// Remove forgets a peer that left, or was forgotten by the store, and finds others
// for what it did.
func (r *Roster) Remove(addr netip.AddrPort) {
	if m := r.members[addr]; m != nil {
		r.remove(m)
	}
}

func (r *Roster) remove(m *member) {
	r.detach(m)
	if m.leaf != nil {
		r.staff(m.leaf, nil)
	}
}

// detach forgets a member, whose roles nobody takes over.
func (r *Roster) detach(m *member) {
	r.mark(m)
	for _, c := range m.children {
		r.mark(c)
		c.parents = without(c.parents, m)
		if c.source == m {
			c.source = nil
		}
	}
	for _, p := range m.parents {
		p.children = without(p.children, m)
	}
	for _, p := range m.exParents {
		p.exChildren = without(p.exChildren, m)
	}
	for _, c := range m.exChildren {
		c.exParents = without(c.exParents, m)
	}
	m.children, m.parents, m.source, m.exParents, m.exChildren = nil, nil, nil, nil, nil
	last := r.all[len(r.all)-1]
	r.all[m.index], last.index = last, m.index
	r.all[len(r.all)-1] = nil
	r.all = r.all[:len(r.all)-1]
	delete(r.members, m.addr)
	if m.leaf != nil {
		r.exclude(m)
	}
}

// hash spreads addresses. It is keyed, so that nobody can choose whom it is told of.
func (r *Roster) hash(addr netip.AddrPort) uint64 {
	ip := addr.Addr().As16()
	h := mix(binary.LittleEndian.Uint64(ip[:])^r.seed, binary.LittleEndian.Uint64(ip[8:])^0x9e3779b97f4a7c15)
	return mix(h^uint64(addr.Port()), r.seed^0xd6e8feb86659fd93)
}

// mix is the last part of SplitMix64 (Steele, Lea and Flood, 2014) over both.
func mix(a, b uint64) uint64 {
	x := a ^ bits.RotateLeft64(b, 32)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
