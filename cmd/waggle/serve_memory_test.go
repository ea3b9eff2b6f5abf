package main

import (
	"math"
	"runtime/debug"
	"testing"

	"waggle/config"
)

func TestMemoryLimitIsThatOfTheConfigurationOrWhatThereIs(t *testing.T) {
	const there = 1_000_000_000
	for _, test := range []struct {
		memory               config.Memory
		there, limit, showed int64
	}{
		{config.Memory{}, there, 0, there},
		{config.Memory{Percent: 75}, there, 750e6, 750e6},
		{config.Memory{Percent: 75}, 0, 0, 0},
		{config.Memory{Bytes: 256e6}, there, 256e6, 256e6},
		{config.Memory{Bytes: 256e6}, 0, 256e6, 256e6},
		{config.Memory{Bytes: 2e9}, there, 2e9, there},
	} {
		s := &service{config: config.Config{Limits: config.Limits{Memory: test.memory}}}
		if s.limitMemory(test.there); s.memory.limit != test.limit || s.memoryLimit != test.showed {
			t.Errorf("%s of %d: %d, shown %d; want %d, %d", test.memory, test.there, s.memory.limit, s.memoryLimit, test.limit, test.showed)
		}
	}
}

func TestPeersHaveWhatOfTheMemoryIsNotForOtherThings(t *testing.T) {
	for limit, want := range map[int64]int64{0: 0, 1 << 30: 576 << 20, 256 << 20: 96 << 20, 90 << 20: 16 << 20, 1: 16 << 20} {
		if got := (&memoryBound{limit: limit}).forPeers(new(config.Limits)); got != want {
			t.Errorf("of %d: %d, want %d", limit, got, want)
		}
	}
	limits := config.Limits{Addresses: 1 << 20, RecognisedPeers: 1 << 20}
	if got := (&memoryBound{limit: 1 << 30}).forPeers(&limits); got != (576-8-40)<<20 {
		t.Errorf("beside tables: %d", got)
	}
}

func TestStoreIsPressedNearTheLimitUntilThereIsRoomAgain(t *testing.T) {
	m := &memoryBound{limit: 1000}
	for _, step := range []struct {
		used    int64
		pressed bool
	}{{899, false}, {900, true}, {880, true}, {869, false}, {899, false}, {2000, true}} {
		was := m.pressed
		if before, now := m.look(step.used); now != step.pressed || before != was || m.pressed != now {
			t.Errorf("at %d: %v, then %v; want %v", step.used, before, now, step.pressed)
		}
	}
}

func TestHeapHasWhatOthersDoNotTake(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	m := &memoryBound{limit: 10 << 30, garbage: math.MaxInt64}
	heap := m.limitHeap(math.MaxInt64, 1<<30)
	if heap != 7<<30 || debug.SetMemoryLimit(-1) != heap {
		t.Errorf("%d, in force %d", heap, debug.SetMemoryLimit(-1))
	}
	if again := m.limitHeap(heap, 1<<30+1<<20); again != heap {
		t.Errorf("one MiB more elsewhere changes it to %d", again)
	}
	if least := m.limitHeap(heap, 20<<30); least != fixedMemory/4 {
		t.Errorf("where others take all, it is %d", least)
	}
	m.garbage = 1 << 30
	if most := m.limitHeap(heap, 0); most != 1<<30 {
		t.Errorf("GOMEMLIMIT is exceeded: %d", most)
	}
}
