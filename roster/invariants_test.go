package roster

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waggle/locality"
	"waggle/swarm"
)

// history is a random one of two torrents in a tree of locations, whose invariants
// (I1 to I8 of the specification) hold after each step.
type history struct {
	tree   *locality.Tree
	places []*locality.Group // the last one is nil: unlocated
	policy *swarm.Policy
	budget *Budget
	most   int
	worlds []*world
	hosts  [][]*host // of each world: those that live
	next   int
}

func newHistory(t *rapid.T) *history {
	h := &history{}
	levels, paths := []string{"rack"}, []string{"r1", "r2", "r3"}
	if rapid.Bool().Draw(t, "two levels") {
		levels, paths = []string{"row", "rack"}, []string{"a/r1", "a/r2", "b/r1", "b/r2", "b/r3"}
	}
	h.tree = mustTree(levels...)
	for _, p := range paths {
		h.places = append(h.places, mustGroup(h.tree, p))
	}
	h.places = append(h.places, nil)
	h.policy = mustPolicy(rapid.SampledFrom(swarm.Profiles).Draw(t, "profile"))
	h.most = rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "budget")
	h.budget = NewBudget(h.most)
	for range 2 {
		h.worlds = append(h.worlds, newWorld(h.policy, h.budget))
		h.hosts = append(h.hosts, nil)
	}
	return h
}

// pick draws a host of a torrent; nil: nobody is there.
func (h *history) pick(t *rapid.T) (int, *host) {
	n := rapid.IntRange(0, len(h.worlds)-1).Draw(t, "torrent")
	if len(h.hosts[n]) == 0 {
		return n, nil
	}
	return n, rapid.SampledFrom(h.hosts[n]).Draw(t, "host")
}

// join lets a host come, mostly with nothing.
func (h *history) join(t *rapid.T) {
	n := rapid.IntRange(0, len(h.worlds)-1).Draw(t, "torrent")
	if len(h.hosts[n]) >= 24 {
		return
	}
	h.next++
	c := newHost(h.next, rapid.SampledFrom(h.places).Draw(t, "place"))
	switch rapid.IntRange(0, 7).Draw(t, "has") {
	case 0:
		c.left = 0
	case 1:
		c.left = fileSize / 2
	case 2:
		c.partial, c.left = true, fileSize/2
	}
	c.reach = swarm.Reach(rapid.IntRange(0, 2).Draw(t, "reach"))
	h.hosts[n] = append(h.hosts[n], c)
	h.announceOf(t, n, c)
}

// again lets a host announce, after it got something or nothing.
func (h *history) again(t *rapid.T) {
	n, c := h.pick(t)
	if c == nil {
		return
	}
	if got := rapid.SampledFrom([]int64{0, 0, 100, fileSize}).Draw(t, "bytes"); !c.partial {
		c.get(got)
		c.uploaded += got
	}
	h.announceOf(t, n, c)
}

func (h *history) leave(t *rapid.T) {
	n, c := h.pick(t)
	if c == nil {
		return
	}
	before := h.importers(n)
	h.drop(n, c)
	h.worlds[n].leave(c.addr)
	h.noneNewBesideSeeder(t, before)
}

// move lets a host announce from another place, or from nowhere.
func (h *history) move(t *rapid.T) {
	n, c := h.pick(t)
	if c == nil {
		return
	}
	c.place = rapid.SampledFrom(h.places).Draw(t, "place")
	h.announceOf(t, n, c)
}

// stall lets an importer get nothing for a while, as all others go on.
func (h *history) stall(t *rapid.T) {
	n, c := h.pick(t)
	if c == nil {
		return
	}
	w := h.worlds[n]
	for range 3 {
		w.now = w.now.Add(15 * time.Second)
		for _, other := range h.hosts[n] {
			if other != c {
				other.uploaded++
			}
			h.announceOf(t, n, other)
		}
	}
}

// silence lets time pass, and forgets who was silent.
func (h *history) silence(t *rapid.T) {
	passed := time.Duration(rapid.SampledFrom([]int{1, 15, 40, 700}).Draw(t, "seconds")) * time.Second
	for n, w := range h.worlds {
		w.now = w.now.Add(passed)
		before := h.importers(n)
		for _, addr := range w.tend() {
			h.hosts[n] = slices.DeleteFunc(h.hosts[n], func(c *host) bool { return c.addr == addr })
		}
		h.noneNewBesideSeeder(t, before)
	}
}

// probe finds a host alive or dead.
func (h *history) probe(t *rapid.T) {
	n, c := h.pick(t)
	if c == nil {
		return
	}
	w := h.worlds[n]
	for range 2 {
		if w.roster.Probed(c.addr, rapid.Bool().Draw(t, "alive")) {
			h.drop(n, c)
			w.leave(c.addr)
			return
		}
	}
}

// restart builds the rosters anew from their records. Some of those that were there
// are lost.
func (h *history) restart(t *rapid.T) {
	h.budget = NewBudget(h.most)
	for _, w := range h.worlds {
		old := w.roster
		w.roster = New(&w.selector, 7, h.budget)
		records := old.Records(nil)
		for i := range records {
			if m := old.members[records[i].Addr]; rapid.IntRange(0, 9).Draw(t, "lost") > 0 {
				w.roster.Restore(&swarm.Peer{ID: m.id, Addr: m.addr, Kind: m.kind, Left: m.left}, &records[i], w.now)
			}
		}
		for i := range records {
			w.roster.RestoreLeases(&records[i])
		}
	}
}

// everybody lets all announce three times, getting little: then nobody starves that
// need not.
func (h *history) everybody(t *rapid.T) {
	for range 3 {
		for n, w := range h.worlds {
			w.now = w.now.Add(time.Second)
			for _, c := range h.hosts[n] {
				if c.left > 1 && !c.partial {
					c.get(1)
				}
				h.announceOf(t, n, c)
			}
		}
	}
	for n, w := range h.worlds {
		seeded := slices.ContainsFunc(h.hosts[n], func(c *host) bool { return c.left == 0 })
		for _, p := range w.roster.Places() {
			if seeded && p.Starving && h.most == 0 {
				t.Fatalf("torrent %d: %s starves although there is a seeder:%s", n, p.Group.Path(), dump(w.roster))
			}
		}
	}
}

func (h *history) drop(n int, c *host) {
	h.hosts[n] = slices.DeleteFunc(h.hosts[n], func(d *host) bool { return c == d })
}

// announceOf lets a host announce, and checks what it is told.
func (h *history) announceOf(t *rapid.T, n int, c *host) {
	before := h.importers(n)
	told := h.worlds[n].announce(c.announce())
	r := h.worlds[n].roster
	h.noneNewBesideSeeder(t, before)
	m := r.members[c.addr]
	seen := map[netip.AddrPort]bool{}
	for _, addr := range told {
		q := r.members[addr]
		switch {
		case addr == c.addr, seen[addr]:
			t.Fatalf("%v is told of %v, which is itself or there twice:%s", c.addr, addr, dump(r))
		case c.place == nil && (q == nil || q.leaf == nil):
		case m != nil && q != nil && m.leaf != nil && m.leaf == q.leaf:
		case m != nil && q != nil && (slices.Contains(m.parents, q) || slices.Contains(q.parents, m)):
		default:
			t.Fatalf("%v is told of %v across an uplink without a lease", c.addr, addr)
		}
		seen[addr] = true
	}
	if len(told) > 50 {
		t.Fatalf("%d told", len(told))
	}
	if m == nil || m.leaf == nil || !m.downloads() || h.most > 0 {
		return
	}
	if g := m.leaf; g.incomplete+g.complete == 1 && m.reach == 0 {
		t.Fatalf("I5: %v is alone in its rack and no importer", c.addr)
	}
	for g := m.leaf; g.place != nil; g = g.up {
		if g.complete == 0 && len(g.importers) == 0 {
			t.Fatalf("I6: nobody imports for %s after an announce there", g.place.Path())
		}
	}
}

// importers returns who imports for each group.
func (h *history) importers(n int) map[*group][]*member {
	out := map[*group][]*member{}
	for _, g := range h.worlds[n].roster.groups {
		if g.complete > 0 {
			out[g] = slices.Clone(g.importers)
		}
	}
	return out
}

// noneNewBesideSeeder is I3.
func (h *history) noneNewBesideSeeder(t *rapid.T, before map[*group][]*member) {
	for g, was := range before {
		if g.complete == 0 {
			continue
		}
		for _, m := range g.importers {
			if !slices.Contains(was, m) {
				t.Fatalf("I3: %v became importer of %s beside a seeder", m.addr, g.place.Path())
			}
		}
	}
}

// check checks what must hold after any step.
func (h *history) check(t *rapid.T) {
	used := map[*locality.Group]int{}
	for n, w := range h.worlds {
		r := w.roster
		if err := consistent(r); err != nil {
			t.Fatalf("torrent %d: %v%s", n, err, dump(r))
		}
		starving := map[*locality.Group]bool{}
		for _, p := range r.Places() {
			starving[p.Group] = p.Starving
		}
		for _, g := range r.groups {
			if err := h.checkGroup(g, starving[g.place]); err != nil {
				t.Fatalf("torrent %d: %s: %v%s", n, g.place.Path(), err, dump(r))
			}
			if g.height == 1 {
				used[g.place] += len(g.importers)
			}
		}
		for _, m := range r.all {
			for _, p := range m.parents {
				if reach := crossed(m, p); m.leaf != nil && m.reach < reach || p.leaf != nil && p.reach < reach {
					t.Fatalf("torrent %d: the lease of %v to %v crosses %d boundaries; their reach is %d and %d", n, m.addr, p.addr, reach, m.reach, p.reach)
				}
			}
		}
	}
	for place, n := range used {
		if h.most > 0 && n > h.most || n != h.budget.Used(place) {
			t.Fatalf("I4: %s has %d importers; the budget has %d of %d", place.Path(), n, h.budget.Used(place), h.most)
		}
	}
}

func (h *history) checkGroup(g *group, starving bool) error {
	holders := map[*member]bool{}
	for _, l := range g.leases() {
		for _, m := range []*member{l.child, l.parent} {
			if g.holds(m) {
				holders[m] = true
			}
		}
	}
	k, x := h.policy.Importers[g.height], h.policy.Exporters[g.height]
	switch {
	case len(holders) > k+x:
		return fmt.Errorf("I1: %d hold leases across the uplink; %d may", len(holders), k+x)
	case len(g.importers) > k || len(g.exporters) > x:
		return fmt.Errorf("I7: %d importers and %d exporters", len(g.importers), len(g.exporters))
	case g.incomplete > 0 && g.complete == 0 && !starving && !g.reaches():
		return fmt.Errorf("I2: no path of leases leads to a seeder, and it is not said to starve")
	}
	return nil
}

// reaches reports whether leases lead from an importer of a group to a seeder.
func (g *group) reaches() bool {
	for _, m := range g.importers {
		seen := map[*member]bool{}
		for q := m; q != nil && !seen[q]; q = q.source {
			if q.kind == swarm.Seeder {
				return true
			}
			if q.source != nil && !slices.Contains(q.parents, q.source) {
				return false
			}
			seen[q] = true
		}
	}
	return false
}

// consistent checks that lists, counts and leases agree with the members.
func consistent(r *Roster) error {
	counts := map[*group][3]int64{}
	for i, m := range r.all {
		if m.index != i || r.members[m.addr] != m {
			return fmt.Errorf("%v is not where it should be", m.addr)
		}
		for _, p := range m.parents {
			if r.members[p.addr] != p || !slices.Contains(p.children, m) || slices.Contains(p.parents, m) {
				return fmt.Errorf("the lease of %v to %v is not one of both", m.addr, p.addr)
			}
		}
		for _, c := range m.children {
			if r.members[c.addr] != c || !slices.Contains(c.parents, m) {
				return fmt.Errorf("the child %v of %v does not know it", c.addr, m.addr)
			}
		}
		for _, p := range m.exParents {
			if r.members[p.addr] != p || !slices.Contains(p.exChildren, m) || slices.Contains(p.parents, m) || slices.Contains(m.parents, p) {
				return fmt.Errorf("the orphan of %v to %v is not one of both, or a lease", m.addr, p.addr)
			}
			if !m.downloads() && !p.downloads() {
				return fmt.Errorf("the orphan of %v to %v is over", m.addr, p.addr)
			}
		}
		for _, c := range m.exChildren {
			if r.members[c.addr] != c || !slices.Contains(c.exParents, m) {
				return fmt.Errorf("the orphan of %v and its child %v is not one of both", m.addr, c.addr)
			}
		}
		if m.source != nil && !slices.Contains(m.parents, m.source) {
			return fmt.Errorf("the source of %v is no parent", m.addr)
		}
		if m.leaf == nil {
			continue
		}
		for g := m.leaf; g != nil; g = g.up {
			c := counts[g]
			switch m.kind {
			case swarm.Leecher:
				c[0]++
				c[2] += m.left
			case swarm.Seeder:
				c[1]++
			}
			counts[g] = c
			if list := *g.list(m); g.height <= m.reach+1 && list[m.at[g.height]] != m {
				return fmt.Errorf("%v is not in its list of height %d", m.addr, g.height)
			}
			if crosses := slices.Contains(*g.crossing(m), m); crosses != (g.height <= m.reach) {
				return fmt.Errorf("%v of reach %d: crosses at height %d: %v", m.addr, m.reach, g.height, crosses)
			}
		}
	}
	for _, g := range append(slices.Collect(mapValues(r.groups)), &r.root) {
		if c := counts[g]; int(c[0]) != g.incomplete || int(c[1]) != g.complete || c[2] != g.left {
			return fmt.Errorf("a group counts %d, %d, %d instead of %v", g.incomplete, g.complete, g.left, c)
		}
	}
	if len(r.members) != len(r.all) {
		return fmt.Errorf("%d members of %d", len(r.members), len(r.all))
	}
	return nil
}

// dump shows all members, a line each.
func dump(r *Roster) string {
	var b strings.Builder
	for _, m := range r.all {
		path := "nowhere"
		if m.leaf != nil {
			path = m.leaf.place.Path()
		}
		fmt.Fprintf(&b, "\n%v in %s: %v, reach %d, source %v, parents %v, children %v",
			m.addr, path, m.kind, m.reach, list([]*member{m.source}), list(m.parents), list(m.children))
	}
	return b.String()
}

func mapValues(groups map[*locality.Group]*group) func(func(*group) bool) {
	return func(yield func(*group) bool) {
		for _, g := range groups {
			if !yield(g) {
				return
			}
		}
	}
}

func TestInvariantsHoldOverRandomHistories(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(rt)
		actions := []func(*rapid.T){
			h.join, h.join, h.join, h.join, h.again, h.again, h.again, h.again, h.again, h.leave, h.move,
			h.stall, h.silence, h.probe, h.restart, h.everybody,
		}
		for range rapid.IntRange(1, stepsOfHistory).Draw(rt, "steps") {
			rapid.SampledFrom(actions).Draw(rt, "action")(rt)
			h.check(rt)
		}
	})
}
