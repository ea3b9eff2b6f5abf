package roster

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// copyOf returns a roster that was told what another one knows: what peers said, and
// the records.
func copyOf(w *world, budget *Budget) *Roster {
	r := New(&w.selector, 7, budget)
	records := w.roster.Records(nil)
	for i := range records {
		h, _ := w.roster.Known(records[i].Addr)
		r.Take(&h)
	}
	for i := range records {
		r.Assign(&records[i])
	}
	for i := range records {
		r.RestoreLeases(&records[i])
	}
	return r
}

func recordsOf(r *Roster) map[netip.AddrPort]Record {
	out := map[netip.AddrPort]Record{}
	for _, record := range r.Records(nil) {
		slices.SortFunc(record.Orphans, netip.AddrPort.Compare)
		out[record.Addr] = record
	}
	return out
}

func sameRecords(a, b map[netip.AddrPort]Record) bool {
	return maps.EqualFunc(a, b, func(a, b Record) bool {
		return a.Location == b.Location && a.Reach == b.Reach && a.Standby == b.Standby && a.Probed == b.Probed && a.Told == b.Told &&
			a.Lag == b.Lag && a.Depth == b.Depth && slices.Equal(a.Parents, b.Parents) && slices.Equal(a.Orphans, b.Orphans)
	})
}

func TestRosterThatIsToldWhatAnotherOneKnowsIsThatOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(rt)
		actions := []func(*rapid.T){h.join, h.join, h.join, h.again, h.again, h.leave, h.move, h.stall, h.silence, h.probe, h.everybody}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			rapid.SampledFrom(actions).Draw(rt, "action")(rt)
		}
		for n, w := range h.worlds {
			r := copyOf(w, nil)
			if err := consistent(r); err != nil {
				rt.Fatalf("torrent %d: %v%s", n, err, dump(r))
			}
			want := recordsOf(w.roster)
			if got := recordsOf(r); !sameRecords(got, want) {
				rt.Fatalf("torrent %d: from%s\nto%s", n, dump(w.roster), dump(r))
			}
			for _, record := range w.roster.Records(nil) {
				d := r.Derive(&record)
				slices.SortFunc(d.Orphans, netip.AddrPort.Compare)
				if !sameRecords(map[netip.AddrPort]Record{d.Addr: d}, map[netip.AddrPort]Record{d.Addr: want[d.Addr]}) {
					rt.Fatalf("of %+v follows %+v", record, d)
				}
			}
		}
	})
}

func TestAnnounceThatWasTakenInIsDecidedAlike(t *testing.T) {
	policy := mustPolicy("strict")
	tree := mustTree("rack")
	plain, taken := newWorld(policy, nil), newWorld(policy, nil)
	peers := [2][]*host{}
	for i := range peers {
		peers[i] = append(peers[i], newSeed(100, mustGroup(tree, "r0")))
		for n := range 12 {
			peers[i] = append(peers[i], newHost(n, mustGroup(tree, []string{"r1", "r2", "r3"}[n%3])))
		}
	}
	for round := range 6 {
		for n := range peers[0] {
			for i, w := range [...]*world{plain, taken} {
				w.now = w.now.Add(5 * time.Second)
				h := peers[i][n]
				h.get(int64(n * round * 7))
				a := h.announce()
				a.Now, a.Policy = w.now, policy
				if i == 1 {
					heard := w.roster.Heard(a)
					w.roster.Take(&heard)
				}
				w.announce(a)
			}
			if !sameRecords(recordsOf(plain.roster), recordsOf(taken.roster)) {
				t.Fatalf("round %d, host %d:%s\nand%s", round, n, dump(plain.roster), dump(taken.roster))
			}
		}
	}
	for addr, m := range plain.roster.members {
		if q := taken.roster.members[addr]; m.moved != q.moved || m.busy != q.busy || m.before != q.before || m.lag != q.lag || m.stuck != q.stuck {
			t.Errorf("%v: %+v and %+v", addr, m, q)
		}
	}
}

func TestRolesOfOthersGoBeyondTheBudgetAndAreGivenBack(t *testing.T) {
	tree := mustTree("rack")
	budget := NewBudget(1)
	rack := mustGroup(tree, "r1")
	var rosters []*Roster
	for n := range 3 {
		w := newWorld(mustPolicy("strict"), nil)
		w.announce(newHost(n, rack).announce())
		rosters = append(rosters, copyOf(w, budget))
	}
	if n := budget.Used(rack); n != 3 {
		t.Errorf("%d are used", n)
	}
	for _, r := range rosters {
		r.Dissolve()
	}
	if n := budget.Used(rack); n != 0 {
		t.Errorf("%d are left", n)
	}
}

func TestForgottenMemberIsReplacedWhenItsGroupIsStaffed(t *testing.T) {
	tree := mustTree("rack")
	w := newWorld(mustPolicy("strict"), nil)
	rack := mustGroup(tree, "r1")
	origin, one, two := newSeed(100, mustGroup(tree, "r0")), newHost(1, rack), newHost(2, rack)
	for _, h := range []*host{origin, one, two} {
		w.announce(h.announce())
	}
	w.roster.Forget(one.addr)
	if m := w.roster.members[two.addr]; m.reach != 0 {
		t.Errorf("reach %d", m.reach)
	}
	w.roster.Staff(rack, w.now)
	if m := w.roster.members[two.addr]; m.reach != 1 || m.source == nil {
		t.Errorf("reach %d, source %v", m.reach, m.source)
	}
}

func TestOverdueFindsWhatSilentWouldAndChangesNothing(t *testing.T) {
	tree := mustTree("rack")
	w := newWorld(mustPolicy("strict"), nil)
	rack := mustGroup(tree, "r1")
	one, two := newHost(1, rack), newHost(2, rack)
	w.announce(one.announce())
	w.announce(two.announce())
	if w.roster.Overdue(w.now.Add(20*time.Second), 0) {
		t.Error("who is in time is overdue")
	}
	later := w.now.Add(31 * time.Second)
	standby := w.roster.members[two.addr].standby
	if !w.roster.Overdue(later, 0) || w.roster.members[two.addr].standby != standby || !standby {
		t.Error("who should not stand by any more is not overdue, or has changed")
	}
	w.silent(later)
	if w.roster.members[two.addr].standby || w.roster.Overdue(later, 0) {
		t.Error("it still stands by")
	}
	if w.roster.Alive(one.addr, w.now.Add(601*time.Second)); len(w.silent(w.now.Add(601*time.Second))) != 1 {
		t.Error("the store has heard of one, and both are silent")
	}
}

func TestSilenceOfManyIsLookedAtInParts(t *testing.T) {
	tree := mustTree("rack")
	w := newWorld(mustPolicy("strict"), nil)
	w.roster.Keep()
	for n := range 20 {
		w.announce(newHost(n, mustGroup(tree, fmt.Sprint("r", n/2))).announce())
	}
	w.roster.Changes(nil, math.MaxInt)
	later := w.now.Add(31 * time.Second)
	parts, standbys := 0, 0
	for more := true; more; parts++ {
		if _, more = w.roster.Silent(nil, later, 0, 3); more != (parts < 3) {
			t.Fatalf("part %d: more %v", parts, more)
		}
		if some, _ := w.roster.Changes(nil, math.MaxInt); len(some) > 3 {
			t.Errorf("%d changes", len(some))
		}
	}
	for _, m := range w.roster.members {
		if m.standby {
			standbys++
		}
	}
	if parts != 4 || standbys > 0 {
		t.Errorf("in %d parts, and %d still stand by", parts, standbys)
	}
}

func TestRecalledJudgementCountsAnAnnounceOnce(t *testing.T) {
	tree := mustTree("rack")
	w := newWorld(mustPolicy("strict"), nil)
	h := newHost(1, mustGroup(tree, "r1"))
	w.announce(h.announce())
	before := w.roster.Judgement(h.addr)
	m := w.roster.members[h.addr]
	m.stuck, m.stalled, m.leaf.patience = 3, true, 8
	w.roster.Recall(before)
	if m.stuck != 0 || m.stalled || m.leaf.patience != firstPatience {
		t.Errorf("%+v", m)
	}
	w.roster.Recall(w.roster.Judgement(newHost(9, nil).addr)) // of nobody
}
