package cluster

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// attempt is a test that may fail without harm.
type attempt struct{ failure string }

func (*attempt) Helper() {}

func (a *attempt) Fatalf(format string, args ...any) {
	a.failure = fmt.Sprintf(format, args...)
	panic(a)
}

// try plays a scenario, and returns what happened and why it failed, or nothing; all that it
// panics with is a failure, too.
func try(lines []string, silent bool) (failure string) {
	a := &attempt{}
	s := scenario{t: a, w: newWorld(a, 1, 0)}
	s.w.silent = silent
	defer func() {
		switch r := recover(); r {
		case nil, a:
			failure = a.failure
		default:
			failure = fmt.Sprintf("%s\npanic: %v\n%s", strings.Join(s.w.log, "\n"), r, debug.Stack())
		}
	}()
	s.play(lines)
	return ""
}

// shrink leaves out of a scenario that fails what it fails without, and has less go wrong by
// chance.
func shrink(lines []string) []string {
	fails := func(lines []string) bool { return try(lines, true) != "" }
	for shorter := true; shorter; {
		shorter = false
		for size := len(lines) / 2; size > 0; size /= 2 {
			for from := 0; from+size <= len(lines); {
				without := slices.Delete(slices.Clone(lines), from, from+size)
				if fixed(lines[from:from+size]) || !fails(without) {
					from += size
					continue
				}
				lines, shorter = without, true
			}
		}
		for i, line := range lines {
			for _, less := range milder(line) {
				calmer := slices.Clone(lines)
				calmer[i] = less
				if fails(calmer) {
					lines, shorter = calmer, true
					break
				}
			}
		}
	}
	return lines
}

// fixed reports whether there is a line that a scenario is none without, or is another one.
func fixed(lines []string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		for _, verb := range []string{"seed", "instances", "at 2m10s calm", "watch", "expect"} {
			if strings.HasPrefix(line, verb) {
				return true
			}
		}
		return false
	})
}

// milder are lines that have less go wrong than one.
func milder(line string) (list []string) {
	var n int
	for _, verb := range []string{"loss", "double"} {
		if _, err := fmt.Sscanf(line, verb+" %d%%", &n); err == nil && n > 1 {
			list = append(list, fmt.Sprintf("%s %d%%", verb, n/2))
		}
	}
	if _, err := fmt.Sscanf(line, "delay %dms", &n); err == nil && n > 5 {
		list = append(list, "delay 5ms", fmt.Sprintf("delay %dms", n/2))
	}
	return list
}

// A defect that only one line of many brings about is told by that line.
func TestScheduleThatFailsIsMadeAsShortAsItCanBe(t *testing.T) {
	lines := schedule(1)
	lines = append(lines[:len(lines)-6:len(lines)-6], "at 2m10s calm", "watch 35s", "kill 1", "expect 1 newcomer")
	short := shrink(lines)
	want := []string{"seed 1", "instances", "at 2m10s calm", "watch 35s", "expect 1 newcomer"}
	if len(short) != len(want) {
		t.Fatalf("what is left is\n%s", strings.Join(short, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(short[i], want[i]) {
			t.Errorf("line %d is %q", i+1, short[i])
		}
	}
}
