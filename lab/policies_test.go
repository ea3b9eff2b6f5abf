//go:build lab

package lab

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// theRacks is the machine room that all is measured in, but for what is about another.
var theRacks = []int{6, 6, 6, 6}

func length() int64 {
	if *quick {
		return 30 * megabyte
	}
	return 120 * megabyte
}

// policies returns those of all that are measured.
func policies(all ...string) (chosen []string) {
	wanted := *only
	if wanted == "" && *quick {
		wanted = "strict,random"
	}
	if wanted == "" {
		return all
	}
	for _, policy := range all {
		if slices.Contains(strings.Split(wanted, ","), policy) {
			chosen = append(chosen, policy)
		}
	}
	return chosen
}

func runs() int {
	if *quick {
		return 1
	}
	return *seeds
}

func TestPoliciesKeepToWhatTheyPromiseOfUplinks(t *testing.T) {
	ctx := working(t)
	r := newRig(t, theRacks...)
	file := newPayload(ctx, t, length())
	of := map[string]*summary{}
	var all []*summary
	for _, policy := range policies("strict", "balanced", "parity", "random", "subnet-first", "p2ptracker") {
		of[policy] = &summary{name: policy}
		all = append(all, of[policy])
	}
	for seed := range runs() {
		for _, s := range all {
			t.Run(fmt.Sprintf("%s %d", s.name, seed+1), func(t *testing.T) {
				s.runs = append(s.runs, rollOut(ctx, t, r, s.name, uint64(seed), file))
			})
		}
	}
	gates := uplinkGates(of)
	if !*quick {
		gates = append(gates, timeGates(of)...)
	}
	conclude(t, all, gates)
}

// rollOut lets a roll-out run to its end.
func rollOut(ctx context.Context, t *testing.T, r *rig, policy string, seed uint64, file *payload) result {
	t.Helper()
	ro := begin(ctx, t, r, policy, seed, file, everywhere(startTransmission))
	must(t, ro.join(ctx, ro.members...))
	must(t, ro.watch(ctx, never))
	return ro.conclude(t)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// conclude ends a roll-out and prints what it came to.
func (ro *rollout) conclude(t *testing.T) result {
	t.Helper()
	for _, m := range ro.waiting() {
		t.Logf("%s is not done: it lacks %d of %d bytes", m, m.left, ro.file.length)
	}
	result, err := ro.end()
	must(t, err)
	t.Logf("into the racks %.2f, out of the origin's %.2f, done after %.0f s to %.0f s, never %d, full %.0f s, processors %.0f %%",
		result.into, result.origin, seconds(result.done, 0), seconds(result.done, len(result.done)-1), result.never, result.full, 100*result.busy)
	return result
}

// conclude prints a table and the gates, and fails if one was not kept.
func conclude(t *testing.T, all []*summary, gates []gate) {
	t.Helper()
	var text strings.Builder
	must(t, table(&text, all))
	for _, g := range gates {
		fmt.Fprintln(&text, g)
		if !g.kept {
			t.Errorf("%s", g)
		}
	}
	t.Logf("\n%s", text.String())
}

// seconds returns one of some times, if there is.
func seconds(times []time.Duration, at int) float64 {
	if at < 0 || at >= len(times) {
		return math.NaN()
	}
	return times[at].Seconds()
}
