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
		{100, 49 << 20, 48 << 20, 4}, // what may always lie
		{25, 60 << 20, 48 << 20, 5},
		{100, 40 << 20, 48 << 20, 5},
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

func TestLessGarbageLiesWhereCollectingItIsSeldomAndCheap(t *testing.T) {
	g := garbage{mostGarbage}
	for _, step := range []struct {
		cycles int
		took   float64
		want   int
		calm   bool
	}{
		{cycles: 2, want: 100},
		{cycles: 1, want: 25},
		{cycles: 0, want: 10, calm: true},
		{cycles: 0, want: 10},
		{cycles: often - 1, want: 10},
		{cycles: often, want: 100},
		{cycles: 1, took: tooMuch / step, want: 100}, // it would be too much with less
		{cycles: 1, took: tooMuch / step / 2, want: 25},
		{cycles: 2, want: 25},
		{cycles: 1, want: 10, calm: true},
		{cycles: 2, took: tooMuch, want: 10},
		{cycles: 2, took: 2 * tooMuch, want: 100}, // a large heap
	} {
		if calm := g.adapt(step.cycles, step.took); g.share != step.want || calm != step.calm {
			t.Fatalf("after %d collections in %g it is %d %%, calm: %t; want %d, %t", step.cycles, step.took, g.share, calm, step.want, step.calm)
		}
	}
}
