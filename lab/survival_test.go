//go:build lab

package lab

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// killAfter is when representatives die: importers have begun to pass on what they
// have.
const killAfter = 14 * time.Second

func TestSurvivorsFinishAfterTheRepresentativesOfAllRacksDie(t *testing.T) {
	ctx := working(t)
	r := newRig(t, theRacks...)
	file := newPayload(ctx, t, length())
	of := map[string]*summary{}
	var all []*summary
	for _, policy := range policies("strict", "balanced", "parity", "p2ptracker") {
		of[policy] = &summary{name: policy + ", representatives killed"}
		all = append(all, of[policy])
		for seed := range min(runs(), 3) {
			t.Run(fmt.Sprintf("%s %d", policy, seed+1), func(t *testing.T) {
				of[policy].runs = append(of[policy].runs, rollOutWithDeaths(ctx, t, r, policy, uint64(seed), file, (*rollout).killRepresentatives))
			})
		}
	}
	conclude(t, all, survivalGates(of))
}

func TestSurvivorsFinishAfterTheImporterAndItsSubstituteDie(t *testing.T) {
	ctx := working(t)
	r := newRig(t, theRacks...)
	file := newPayload(ctx, t, length())
	s := &summary{name: "strict, importer and standby killed"}
	s.runs = append(s.runs, rollOutWithDeaths(ctx, t, r, "strict", 0, file, (*rollout).killStandbysToo))
	conclude(t, []*summary{s}, survivalGates(map[string]*summary{"strict": s}))
}

// A disaster befalls a roll-out after killAfter.
type disaster func(ro *rollout, ctx context.Context, t *testing.T)

func rollOutWithDeaths(ctx context.Context, t *testing.T, r *rig, policy string, seed uint64, file *payload, d disaster) result {
	t.Helper()
	ro := begin(ctx, t, r, policy, seed, file, everywhere(startTransmission))
	must(t, ro.join(ctx, ro.members...))
	must(t, ro.watch(ctx, ro.after(killAfter)))
	d(ro, ctx, t)
	must(t, ro.watch(ctx, never))
	return ro.conclude(t)
}

// killRepresentatives kills who of each rack may cross its uplink.
func (ro *rollout) killRepresentatives(ctx context.Context, t *testing.T) {
	t.Helper()
	ro.killAll(t, func(rack int) ([]netip.Addr, error) {
		now, _, err := ro.tracker.representatives(ctx, rack)
		return now, err
	})
}

// killStandbysToo kills those, and who stands by to take over.
func (ro *rollout) killStandbysToo(ctx context.Context, t *testing.T) {
	t.Helper()
	ro.killAll(t, func(rack int) ([]netip.Addr, error) {
		now, standby, err := ro.tracker.representatives(ctx, rack)
		return slices.Concat(now, standby), err
	})
}

func (ro *rollout) killAll(t *testing.T, ofRack func(rack int) ([]netip.Addr, error)) {
	t.Helper()
	var victims []netip.Addr
	for rack := 1; rack < len(ro.rig.racks); rack++ {
		some, err := ofRack(rack)
		must(t, err)
		if len(some) == 0 {
			t.Fatalf("nobody represents rack %d", rack)
		}
		victims = append(victims, some...)
	}
	t.Logf("killed after %v: %v", killAfter, victims)
	kill(ro.those(func(m *member) bool { return slices.Contains(victims, m.addr) }))
}

// those returns some of the members.
func (ro *rollout) those(wanted func(*member) bool) (members []*member) {
	for _, m := range ro.members {
		if wanted(m) {
			members = append(members, m)
		}
	}
	return members
}

// Two hosts of each rack are complete before the others come. These have begun to
// draw from them when both leave.
func TestRacksWhoseSeedsLeaveFinish(t *testing.T) {
	ctx := working(t)
	r := newRig(t, theRacks...)
	file := newPayload(ctx, t, length())
	ro := begin(ctx, t, r, "strict", 0, file, everywhere(startTransmission))
	early := func(m *member) bool { return m == ro.ofRack(m.rack)[0] || m == ro.ofRack(m.rack)[1] }
	late := ro.those(func(m *member) bool { return !early(m) })
	must(t, ro.join(ctx, ro.those(early)...))
	must(t, ro.watch(ctx, never))
	joined := time.Now()
	must(t, ro.join(ctx, late...))
	must(t, ro.watch(ctx, func() bool { return time.Since(joined) > killAfter }))
	for _, m := range ro.those(early) {
		m.gone = true
	}
	must(t, atOnce(ro.those(early), func(m *member) error {
		m.client.leave()
		return nil
	}))
	t.Logf("%d seeds left after %.0f s, when %d of %d others were done",
		len(ro.those(early)), time.Since(ro.began).Seconds(), len(late)-len(ro.waiting()), len(late))
	must(t, ro.watch(ctx, never))
	s := &summary{name: "strict, seeds leave", runs: []result{ro.conclude(t)}}
	conclude(t, []*summary{s}, survivalGates(map[string]*summary{"strict": s}))
}

func (ro *rollout) ofRack(rack int) []*member {
	return ro.those(func(m *member) bool { return m.rack == rack })
}

func TestRacksOfOneHostDrawTheFileOnce(t *testing.T) {
	ctx := working(t)
	r := newRig(t, 6, 6, 1, 1)
	s := &summary{name: "strict, two racks of six and two of one", runs: []result{rollOut(ctx, t, r, "strict", 0, newPayload(ctx, t, length()))}}
	gates := append(survivalGates(map[string]*summary{"strict": s}), atMost("the worst rack", s.worst().mean, 1.2))
	conclude(t, []*summary{s}, gates)
}

// All connections of the origin could go to the racks that come first.
func TestFortyRacksThatStartInTheSameSecondFinish(t *testing.T) {
	ctx := working(t)
	r := newRig(t, slices.Repeat([]int{2}, 40)...)
	s := &summary{name: "strict, 40 racks of two, 20 MB", runs: []result{rollOut(ctx, t, r, "strict", 0, newPayload(ctx, t, 20*megabyte))}}
	gates := append(survivalGates(map[string]*summary{"strict": s}), atMost("bytes into a rack", s.into().mean, 1.2))
	conclude(t, []*summary{s}, gates)
}
