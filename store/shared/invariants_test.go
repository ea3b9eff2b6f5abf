package shared_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waggle/locality"
	"waggle/roster"
	"waggle/swarm"
)

// checkTold checks whom a peer is told of, and what an announce must lead to.
func (h *history) checkTold(t *rapid.T, c *peer, addrs []netip.AddrPort) {
	seen := map[netip.AddrPort]bool{}
	all := h.truthOf(t)
	m, member := all[c.addr]
	for _, addr := range addrs {
		q, known := all[addr]
		switch {
		case addr == c.addr, seen[addr]:
			t.Fatalf("%v is told of %v, which is itself or there twice", c.addr, addr)
		case h.disturbed:
		case c.path == "" && (!known || q.Location == nil || h.last[addr].Location == nil):
		case member && known && m.Location != nil && m.Location == q.Location:
		case member && m.Location != nil && m.Location == h.last[addr].Location: // it moved, and this announce ended its role there
		case slices.Contains(m.Parents, addr), slices.Contains(q.Parents, c.addr):
		default:
			t.Fatalf("%v is told of %v across an uplink without a lease:%s", c.addr, addr, dump(all))
		}
		seen[addr] = true
	}
	if h.disturbed || c.path == "" {
		return
	}
	if !member || m.Location == nil || m.Location.Path() != c.path {
		t.Fatalf("%v announced in %s, and is no member there:%s", c.addr, c.path, dump(all))
	}
	if m.Kind != swarm.Leecher {
		return
	}
	for g := m.Location; g != nil; g = g.Up() {
		if s := summarise(all, g); s.complete == 0 && len(s.importers) == 0 {
			t.Fatalf("I6: nobody imports for %s after an announce there:%s", g.Path(), dump(all))
		}
	}
}

// summary is what a group has.
type summary struct {
	incomplete, complete int
	importers, exporters []netip.AddrPort
	holders              map[netip.AddrPort]bool // of leases across its uplink
	reaches              bool                    // sources lead from an importer to a seeder
}

func inside(m *roster.Member, g *locality.Group) bool {
	return m.Location != nil && m.Location.At(g.Height()) == g
}

func summarise(all map[netip.AddrPort]roster.Member, g *locality.Group) summary {
	s := summary{holders: map[netip.AddrPort]bool{}}
	for addr, m := range all {
		for _, p := range m.Parents {
			q := all[p]
			if inside(&m, g) == inside(&q, g) {
				continue
			}
			for _, end := range [...]roster.Member{m, q} {
				if inside(&end, g) {
					s.holders[end.Addr] = true
				}
			}
		}
		if !inside(&m, g) {
			continue
		}
		switch m.Kind {
		case swarm.Leecher:
			s.incomplete++
			if m.Reach >= g.Height() {
				s.importers = append(s.importers, addr)
				s.reaches = s.reaches || reaches(all, &m)
			}
		case swarm.Seeder:
			s.complete++
			if m.Reach >= g.Height() {
				s.exporters = append(s.exporters, addr)
			}
		}
	}
	return s
}

// reaches reports whether sources lead from a member to a seeder.
func reaches(all map[netip.AddrPort]roster.Member, m *roster.Member) bool {
	q := *m
	for range len(all) + 1 {
		switch {
		case q.Kind == swarm.Seeder:
			return true
		case q.Depth == 0 || len(q.Parents) == 0:
			return false
		}
		q = all[q.Parents[0]]
	}
	return false
}

// crossed returns the height of the outermost boundary between two places.
func crossed(a, b *locality.Group) int {
	if a == nil {
		a, b = b, a
	}
	height := 0
	for g := a; g != nil; g = g.Up() {
		if b != nil && b.At(g.Height()) == g {
			break
		}
		height = g.Height()
	}
	return height
}

// check checks what must hold after any step.
func (h *history) check(t *rapid.T) {
	if h.wrong != nil {
		t.Fatal(h.wrong)
	}
	before, after := h.m.Before, h.m.After
	h.m.Before, h.m.After = nil, nil
	defer func() { h.m.Before, h.m.After = before, after }()
	all := h.truthOf(t)
	for _, addr := range slices.SortedFunc(maps.Keys(all), netip.AddrPort.Compare) {
		m := all[addr]
		if c := h.known[addr]; m.Location != nil && !slices.Contains(h.peers, c) { // it stopped while it announced elsewhere
			h.peers = append(h.peers, c)
			h.host.record(h.announceOf(c))
		}
		for _, p := range m.Parents {
			q, there := all[p]
			switch reach := crossed(m.Location, q.Location); {
			case !there, m.Kind != swarm.Leecher && q.Kind != swarm.Leecher, slices.Contains(q.Parents, addr), slices.Contains(m.Orphans, p):
				t.Fatalf("the lease of %v to %v is over, or there in both directions:%s", addr, p, dump(all))
			case m.Location != nil && m.Reach < reach, q.Location != nil && q.Reach < reach:
				t.Fatalf("the lease of %v to %v crosses %d boundaries; their reach is %d and %d", addr, p, reach, m.Reach, q.Reach)
			}
		}
	}
	for _, path := range h.paths[:len(h.paths)-1] {
		for g := h.at(path); g != nil; g = g.Up() {
			s := summarise(all, g)
			k, x := h.policy.Importers[g.Height()], h.policy.Exporters[g.Height()]
			switch {
			case len(s.holders) > k+x:
				t.Fatalf("I1: %d hold leases across the uplink of %s:%s", len(s.holders), g.Path(), dump(all))
			case len(s.importers) > k, len(s.exporters) > x:
				t.Fatalf("I7: %s has %d importers and %d exporters:%s", g.Path(), len(s.importers), len(s.exporters), dump(all))
			}
		}
	}
	h.last = all
	for n, s := range h.trackers {
		if has := members(t, s); !alike(has, all) {
			t.Fatalf("tracker %d has%s\n and the Map%s", n, dump(has), dump(all))
		}
	}
}

// alike reports whether two trackers have the same roles and leases.
func alike(a, b map[netip.AddrPort]roster.Member) bool {
	return maps.EqualFunc(a, b, func(a, b roster.Member) bool {
		slices.SortFunc(a.Orphans, netip.AddrPort.Compare)
		slices.SortFunc(b.Orphans, netip.AddrPort.Compare)
		return a.Location == b.Location && a.Kind == b.Kind && a.Reach == b.Reach && a.Standby == b.Standby &&
			(a.Probed == b.Probed || a.Probed) && a.Depth == b.Depth && slices.Equal(a.Parents, b.Parents) && slices.Equal(a.Orphans, b.Orphans) &&
			(a.Location == nil || a.Told == b.Told && a.Left == b.Left && a.ID == b.ID)
	})
}

// dump shows all members, a line each.
func dump(all map[netip.AddrPort]roster.Member) string {
	var b strings.Builder
	for _, m := range slices.SortedFunc(maps.Values(all), func(a, b roster.Member) int { return a.Addr.Compare(b.Addr) }) {
		path := "nowhere"
		if m.Location != nil {
			path = m.Location.Path()
		}
		fmt.Fprintf(&b, "\n%v in %s: %v, left %d, reach %d, standby %v, probed %v, told %v, depth %d, parents %v, orphans %v",
			m.Addr, path, m.Kind, m.Left, m.Reach, m.Standby, m.Probed, m.Told, m.Depth, m.Parents, m.Orphans)
	}
	return b.String()
}

func TestInvariantsHoldOverTrackersThatShareARoster(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(t, rt)
		defer h.close()
		actions := []func(*rapid.T){
			h.announce, h.announce, h.announce, h.announce, h.announce, h.announce, h.announce,
			h.leave, h.move, h.stall, h.silence, h.probe, h.expire, h.die, h.everybody,
		}
		for range rapid.IntRange(1, stepsOfHistory).Draw(rt, "steps") {
			h.pass(time.Millisecond)
			rapid.SampledFrom(actions).Draw(rt, "action")(rt)
			h.check(rt)
		}
	})
}
