package main

import "testing"

func TestTablesLetNoGarbageLie(t *testing.T) {
	for _, test := range []struct {
		share        int
		live, tables int64
		want         int
	}{
		{100, 60 << 20, 48 << 20, 20},
		{100, 148 << 20, 48 << 20, 67},
		{25, 148 << 20, 48 << 20, 16},
		{100, 50 << 20, 48 << 20, 8}, // what may always lie
		{25, 60 << 20, 48 << 20, 6},
		{100, 40 << 20, 48 << 20, 10},
		{100, 10 << 20, 0, 100},
		{25, 1 << 20, 0, 100},
		{100, 0, 48 << 20, 100}, // nothing was collected yet
		{25, 1 << 40, 1 << 40, 1},
	} {
		if got := (&garbage{test.share}).percent(test.live, test.tables); got != test.want {
			t.Errorf("%d %%, %d live, %d of them tables: %d %%, want %d", test.share, test.live, test.tables, got, test.want)
		}
	}
}

func TestLessGarbageLiesWhereCollectingItIsSeldom(t *testing.T) {
	g := garbage{mostGarbage}
	for _, step := range []struct{ cycles, want int }{
		{2, 100}, {1, 50}, {0, 25}, {0, 25}, {2, 25}, {often - 1, 25}, {often, 100}, {3, 100}, {1, 50}, {often + 1, 100},
	} {
		if g.adapt(step.cycles); g.share != step.want {
			t.Fatalf("after %d collections it is %d %%, want %d", step.cycles, g.share, step.want)
		}
	}
}
