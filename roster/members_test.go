package roster

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"

	"waggle/swarm"
)

// members takes all members, n at a time, and does something in between.
func members(r *Roster, n int, between func()) map[netip.AddrPort]Member {
	all := map[netip.AddrPort]Member{}
	for next := math.MaxInt; next > 0; {
		var some []Member
		some, next = r.MembersBelow(nil, next, n)
		for _, m := range some {
			all[m.Addr] = m
		}
		between()
	}
	return all
}

func TestMembersAreWhatAnnouncesMadeThem(t *testing.T) {
	w, origin, all := racks(mustPolicy("strict"), 3, 5)
	announceAll(w, all)
	for n := 1; n < 20; n += 3 {
		got := members(w.roster, n, func() {})
		if len(got) != 16 {
			t.Fatalf("%d at a time: %d members", n, len(got))
		}
		for addr, m := range got {
			e, _ := w.roster.Explain(addr)
			if place := w.roster.Places()[slices.IndexFunc(w.roster.Places(), func(p Place) bool { return p.Group == m.Location })]; place.Imported != m.RackImported || m.RackSpent {
				t.Errorf("%+v is in %+v", m, place)
			}
			if m.ID != e.ID || m.Location != e.Location || m.Kind != e.Kind || m.Left != e.Left || m.Reach != e.Reach ||
				m.Standby != e.Standby || m.Stalled != e.Stalled || m.Rooted != (e.Depth >= 0) {
				t.Errorf("%+v is explained as %+v", m, e)
			}
		}
		first := got[all[1][0].addr]
		if first.Reach != 1 || first.Depth == 0 || len(first.Parents) == 0 || !first.Rooted {
			t.Errorf("the importer is %+v", first)
		}
		if o := got[origin.addr]; o.Kind != swarm.Seeder || !o.Rooted || len(o.Parents) != 0 {
			t.Errorf("the origin is %+v", o)
		}
	}
}

func TestMemberThatStaysIsAmongThoseTakenInPartsWhoeverGoes(t *testing.T) {
	w, origin, all := racks(mustPolicy("strict"), 4, 25)
	announceAll(w, all)
	gone := map[netip.AddrPort]bool{}
	i := 0
	got := members(w.roster, 7, func() {
		for _, rack := range all { // the first ones stand lowest, and are replaced by those seen
			if i < 20 {
				w.leave(rack[i].addr)
				gone[rack[i].addr] = true
			}
		}
		i++
	})
	for _, rack := range all {
		for _, h := range rack {
			if _, is := got[h.addr]; !is && !gone[h.addr] {
				t.Errorf("%v is left out", h.addr)
			}
		}
	}
	if _, is := got[origin.addr]; !is {
		t.Error("the origin is left out")
	}
}

func TestTakingMembersTakesNoChanges(t *testing.T) {
	w := newWorld(mustPolicy("strict"), nil)
	w.roster.Keep()
	place := mustGroup(mustTree("rack"), "r1")
	w.announce(newSeed(1, place).announce())
	members(w.roster, 10, func() {})
	if changes, whole := w.roster.Changes(nil, 10); len(changes) != 1 || whole {
		t.Errorf("%d changes, %v", len(changes), whole)
	}
}

// BenchmarkMembersBelow is a look at all members, in parts, and for comparison at all
// places, which is in one go.
func BenchmarkMembersBelow(b *testing.B) {
	for _, hosts := range []int{8_000, 100_000} {
		w := newWorld(mustPolicy("strict"), nil)
		tree := mustTree("rack")
		for n := range hosts {
			h := newHost(n, mustGroup(tree, fmt.Sprintf("r%d", n%(hosts/40))))
			if n == 0 {
				h.left = 0
			}
			h.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 6881)
			a := h.announce()
			a.Now, a.Policy, a.Families = w.now, w.policy, swarm.IPv4
			w.reply.Reset()
			w.roster.Announce(w, swarm.Position{Group: swarm.Leechers4}, a, &w.reply)
		}
		b.Run(fmt.Sprintf("members=%d", hosts), func(b *testing.B) {
			var some []Member
			for b.Loop() {
				for next := math.MaxInt; next > 0; {
					some, next = w.roster.MembersBelow(some[:0], next, 64)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(hosts)*64, "ns/64-members")
		})
		b.Run(fmt.Sprintf("places=%d", hosts), func(b *testing.B) {
			for b.Loop() {
				if len(w.roster.Places()) != hosts/40 {
					b.Fatal("places are missing")
				}
			}
		})
	}
}
