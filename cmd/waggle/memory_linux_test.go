package main

import (
	"math"
	"testing"
	"testing/fstest"
)

func TestLeastLimitOfAControlGroupAndThoseAboveItCounts(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	groups := fstest.MapFS{
		"a/memory.max":           file("1000\n"),
		"a/b.slice/x":            file(""),
		"a/b.slice/c/memory.max": file("max\n"),
		"a/tight/memory.max":     file("10\n"),
		"a/broken/memory.max":    file("many\n"),
	}
	for self, want := range map[string]int64{
		"0::/a\n": 1000, "0::/a/b.slice/c\n": 1000, "0::/a/tight\n": 10, "0::/a/broken\n": 1000,
		"12:memory:/a\n1:name=systemd:/x\n0::/a/tight\n": 10,
		"0::/\n": math.MaxInt64, "0::/elsewhere\n": math.MaxInt64, "12:memory:/a\n": math.MaxInt64, "": math.MaxInt64,
		"0::/../..\n": math.MaxInt64, "0::/../../a\n": math.MaxInt64,
	} {
		if got := limitOfGroups(groups, []byte(self)); got != want {
			t.Errorf("%q: %d, want %d", self, got, want)
		}
	}
	groups["memory.max"] = file("500")
	for _, self := range []string{"0::/\n", "0::/a\n", "0::/../..\n"} {
		if got := limitOfGroups(groups, []byte(self)); got != 500 {
			t.Errorf("%q: %d, want that of the container", self, got)
		}
	}
}
