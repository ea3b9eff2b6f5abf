package lab

import (
	"strings"
	"testing"
	"time"
)

func measured(name string, into float64, lastDone time.Duration, never int) *summary {
	return &summary{name: name, runs: []result{{
		into: []float64{into, into}, full: []float64{1, 3}, done: []time.Duration{time.Second, lastDone}, never: never, busy: 0.5,
	}}}
}

func TestSummaryTellsMeanAndSpreadOverRunsAndTheWorstRack(t *testing.T) {
	s := measured("strict", 1, 60*time.Second, 0)
	s.runs = append(s.runs, result{into: []float64{1, 2}, full: []float64{0, 0}, done: []time.Duration{80 * time.Second}, never: 2})
	var text strings.Builder
	if err := table(&text, []*summary{s}); err != nil {
		t.Fatal(err)
	}
	const want = "| strict | 2 | 1.25 (1.00-1.50) | 1.50 (1.00-2.00) | 0.00 | 70 (60-80) s | 1.0 (0.0-2.0) s | 2 | 25 % |\n"
	if !strings.HasSuffix(text.String(), want) {
		t.Errorf("the table is\n%swant a row\n%s", text.String(), want)
	}
}

func TestRunsInWhichNobodyFinishesHaveNoLastHost(t *testing.T) {
	s := &summary{runs: []result{{into: []float64{0.1}, full: []float64{0}, never: 16}}}
	if got := s.last().format(0); got != "-" {
		t.Errorf("the last host is done after %s, want -", got)
	}
}

func kept(gates []gate) map[string]bool {
	verdicts := map[string]bool{}
	for _, g := range gates {
		verdicts[g.what] = g.kept
	}
	return verdicts
}

func TestUplinkGatesHoldEachPolicyToItsPromise(t *testing.T) {
	good := map[string]*summary{
		"strict": measured("strict", 1.1, 99*time.Second, 0), "balanced": measured("balanced", 1.6, 80*time.Second, 0),
		"parity": measured("parity", 1.9, 70*time.Second, 0), "random": measured("random", 4, 90*time.Second, 0),
		"p2ptracker": measured("p2ptracker", 1.8, 80*time.Second, 1),
	}
	for what, ok := range kept(append(uplinkGates(good), timeGates(good)...)) {
		if !ok {
			t.Errorf("not kept: %s", what)
		}
	}
	bad := map[string]*summary{
		"strict": measured("strict", 1.21, 100*time.Second, 1), "random": measured("random", 2.9, 90*time.Second, 0),
		"p2ptracker": measured("p2ptracker", 1.2, 80*time.Second, 0),
	}
	broken := 0
	for what, ok := range kept(append(uplinkGates(bad), timeGates(bad)...)) {
		if ok != (what == "random, hosts that are never done: at most 0.00") {
			t.Errorf("%s: kept %v", what, ok)
		}
		if !ok {
			broken++
		}
	}
	if broken != 5 {
		t.Errorf("%d gates are not kept, want 5", broken)
	}
}

func TestGateOfWhatWasNotMeasuredIsNotKept(t *testing.T) {
	of := map[string]*summary{"strict": {name: "strict"}}
	if kept(uplinkGates(of))["strict, bytes into a rack: at most 1.20"] {
		t.Error("strict without a run passes")
	}
}

func TestSurvivalGatesWantAllSurvivorsAndMoreThanP2PTracker(t *testing.T) {
	of := map[string]*summary{"strict": measured("strict", 1, time.Second, 0), "p2ptracker": measured("p2ptracker", 1, time.Second, 16)}
	for what, ok := range kept(survivalGates(of)) {
		if !ok {
			t.Errorf("not kept: %s", what)
		}
	}
	of["strict"].runs[0].never = 16
	for what, ok := range kept(survivalGates(of)) {
		if ok {
			t.Errorf("kept: %s", what)
		}
	}
}
