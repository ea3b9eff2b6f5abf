package roster

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/swarm"
)

// Explanation says why a peer is told of whom.
type Explanation struct {
	Peer      netip.AddrPort
	ID        bittorrent.PeerID
	Location  *locality.Group // nil: unlocated
	Kind      swarm.Kind
	Left      int64 // bytes, as announced last
	Reach     int   // how many boundaries it may cross, from the innermost outwards
	Standby   bool
	Stalled   bool // it was replaced because it got nothing
	Pace      swarm.Pace
	First     time.Time
	Last      time.Time
	Health    string // by probes: unknown, reachable, unreachable
	Depth     int    // parents between it and a seeder, plus one; -1: none is known
	Told      []Told // those across uplinks first
	Orphans   []Told // leases taken back that it may still use
	Sentences []string
}

// Told is a peer that another one is told of.
type Told struct {
	Peer     netip.AddrPort
	Location *locality.Group // nil: unlocated
	Kind     swarm.Kind
	Why      Why
	Children int // of it
}

// Why is why somebody is told of.
type Why string

// The reasons.
const (
	Source    Why = "source"    // the parent that leads to a seeder
	Parent    Why = "parent"    // one more parent
	Child     Why = "child"     // it was told to download from the asker
	Neighbour Why = "neighbour" // of the same rack
	Orphan    Why = "orphan"    // a lease that was taken back
)

// Explain says why the peer of an address is told of whom; false: it is no member.
// The neighbours are those of an answer that has room for all, and any family.
func (r *Roster) Explain(addr netip.AddrPort) (Explanation, bool) {
	m := r.members[addr]
	if m == nil {
		return Explanation{}, false
	}
	e := Explanation{
		Peer: m.addr, ID: m.id, Location: m.place(), Kind: m.kind, Left: m.left, Reach: m.reach, Standby: m.standby,
		Stalled: m.stalled, Pace: r.pace(m), First: time.Unix(0, m.first), Last: time.Unix(0, m.last),
		Health: [...]string{"unknown", "reachable", "unreachable"}[m.health], Depth: -1,
	}
	if follow(m, nil) == seed {
		e.Depth = m.depthNow()
	}
	r.explainTold(m, &e)
	r.explainRole(m, &e)
	return e, true
}

func (m *member) place() *locality.Group {
	if m.leaf == nil {
		return nil
	}
	return m.leaf.place
}

func told(q *member, why Why) Told {
	return Told{Peer: q.addr, Location: q.place(), Kind: q.kind, Why: why, Children: len(q.children)}
}

func (r *Roster) explainTold(m *member, e *Explanation) {
	for _, p := range m.parents {
		why := Parent
		if p == m.source {
			why = Source
		}
		if m.downloads() || p.downloads() {
			e.Told = append(e.Told, told(p, why))
		}
	}
	for _, c := range m.children {
		e.Told = append(e.Told, told(c, Child))
	}
	for _, ends := range [...][]*member{m.exParents, m.exChildren} {
		for _, q := range ends {
			e.Orphans = append(e.Orphans, told(q, Orphan))
		}
	}
	if m.leaf == nil {
		return
	}
	var out swarm.Reply
	r.asking = &swarm.Announce{Families: swarm.IPv4 | swarm.IPv6}
	r.asking.NumWant = Neighbours
	t := telling{r: r, to: m, out: &out, room: Neighbours}
	t.neighbours()
	r.asking = nil
	for addr := range out.Peers.All() {
		e.Told = append(e.Told, told(r.members[addr], Neighbour))
	}
}

// explainRole puts into sentences what a member is, and why.
func (r *Roster) explainRole(m *member, e *Explanation) {
	say := func(format string, a ...any) { e.Sentences = append(e.Sentences, fmt.Sprintf(format, a...)) }
	if m.leaf == nil {
		say("Nobody knows where %s is: it counts as a group of its own, and is told of unlocated peers at random.", m.addr)
		say("It has %s across uplinks of others.", plural(len(m.parents)+len(m.children), "lease"))
		return
	}
	g := m.leaf
	say("%s is in %s, which has %s and %s in this torrent.", m.addr, g.place.Path(), plural(g.incomplete, "leecher"), plural(g.complete, "seeder"))
	switch {
	case m.reach > 0 && m.downloads():
		say("It is an importer of %s: the torrent may have %d of them there.", m.groups(), r.policy.Importers[m.reach])
	case m.reach > 0:
		say("It is complete, and an exporter of %s.", m.groups())
	case m.stalled:
		say("It was an importer, and was replaced because it got nothing while its parents went on.")
	case !m.downloads():
		say("It is complete. Others export for its rack already.")
	case m.standby:
		say("It is on standby: it announces often, and takes over where an importer of its rack fails.")
	case g.complete > 0:
		say("Its rack has a seeder: nobody there needs to import.")
	default:
		say("Others of its rack import: %s.", addresses(g.importers))
	}
	for _, h := range m.refused(r) {
		say("%s", h)
	}
	switch {
	case m.source != nil && e.Depth > 0:
		say("Its source is %s: %s to a seeder.", m.source.addr, plural(e.Depth, "step"))
	case m.downloads() && m.reach > 0:
		say("It has no source that leads to a seeder: none is known outside of what it imports for. Its group is starving.")
	}
	say("%s", r.paceSentence(m))
}

// refused says why the member's rack has fewer importers than it might.
func (m *member) refused(r *Roster) []string {
	if r.starving(m.leaf) && len(m.leaf.importers) == 0 && r.budget.spent(m.leaf.place) {
		return []string{"Its rack has as many importers over all torrents as its bandwidth allows: this torrent waits for another one there."}
	}
	return nil
}

func (r *Roster) paceSentence(m *member) string {
	if r.pace(m) == swarm.Active {
		return "It is told to announce often, because others depend on it, or soon will."
	}
	return "It is told to announce seldom: what it needs is near."
}

// groups names the groups that a member may cross the uplinks of.
func (m *member) groups() string {
	var paths []string
	for g := m.leaf; g.height <= m.reach; g = g.up {
		paths = append(paths, g.place.Path())
	}
	return strings.Join(paths, " and of ")
}

func addresses(members []*member) string {
	if len(members) == 0 {
		return "nobody, now"
	}
	var out []string
	for _, m := range members {
		out = append(out, m.addr.String())
	}
	return strings.Join(out, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Place is what a torrent has in a group.
type Place struct {
	Group     *locality.Group
	Leechers  int
	Seeders   int
	Importers []netip.AddrPort
	Exporters []netip.AddrPort
	Standbys  []netip.AddrPort
	Left      int64 // bytes that its leechers lack together
	Starving  bool  // it lacks data and no parents lead to a seeder
	Waiting   bool  // it has no importer because the rack's bandwidth is given to other torrents
	Leases    int   // across its uplink
	Orphans   int   // leases across its uplink that were taken back, and may still be used
	Imported  int64 // bytes across its uplink at most: what its importers downloaded
}

// Places returns what the torrent has in each group, in the order of their paths.
func (r *Roster) Places() []Place {
	places := make([]Place, 0, len(r.groups))
	orphans := r.orphans()
	for _, g := range r.groups {
		p := Place{
			Group: g.place, Leechers: g.incomplete, Seeders: g.complete, Left: g.left, Starving: r.starving(g),
			Importers: list(g.importers), Exporters: list(g.exporters), Standbys: list(g.standbys), Imported: g.imported,
		}
		p.Waiting = p.Starving && g.height == 1 && len(g.importers) == 0 && r.budget.spent(g.place)
		p.Leases, p.Orphans = len(g.leases()), orphans[g]
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b Place) int { return cmp.Compare(a.Group.Path(), b.Group.Path()) })
	return places
}

// starving reports whether a group lacks data, and no importer of it has a source
// that leads to a seeder.
func (r *Roster) starving(g *group) bool {
	if g.incomplete == 0 || g.complete > 0 {
		return false
	}
	return !slices.ContainsFunc(g.importers, func(m *member) bool { return m.source != nil && rooted(m.source, m) })
}

// orphans returns how many there are across the uplink of each group.
func (r *Roster) orphans() map[*group]int {
	n := map[*group]int{}
	for _, m := range r.all {
		for _, ends := range [...][]*member{m.exParents, m.exChildren} {
			for _, q := range ends {
				for g := m.leaf; g != nil && g.between(m, q); g = g.up {
					n[g]++
				}
			}
		}
	}
	return n
}

// lease is a parent told to a child.
type lease struct{ child, parent *member }

// leases returns those across the uplink of a group.
func (g *group) leases() []lease {
	var leases []lease
	for _, crossing := range [...][]*member{g.importers, g.exporters} {
		for _, m := range crossing {
			for _, p := range m.parents {
				if g.between(m, p) {
					leases = append(leases, lease{m, p})
				}
			}
			for _, c := range m.children {
				if g.between(c, m) {
					leases = append(leases, lease{c, m})
				}
			}
		}
	}
	return leases
}

// between reports whether one of two members is inside a group and the other not.
func (g *group) between(a, b *member) bool { return g.holds(a) != g.holds(b) }

func (g *group) holds(m *member) bool { return m.leaf != nil && m.leaf.above(g.height) == g }

func list(members []*member) []netip.AddrPort {
	var out []netip.AddrPort
	for _, m := range members {
		if m != nil {
			out = append(out, m.addr)
		}
	}
	return out
}
