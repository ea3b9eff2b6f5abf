package main

import "testing"

func TestTablesLetNoGarbageLie(t *testing.T) {
	for _, test := range []struct {
		live, tables int64
		want         int
	}{
		{60 << 20, 48 << 20, 20},
		{148 << 20, 48 << 20, 67},
		{50 << 20, 48 << 20, 8}, // the least that may lie
		{40 << 20, 48 << 20, 10},
		{10 << 20, 0, 100},
		{1 << 20, 0, 100},
		{0, 48 << 20, 100}, // nothing was collected yet
	} {
		if got := garbageShare(test.live, test.tables); got != test.want {
			t.Errorf("%d live, %d of them tables: %d %%, want %d", test.live, test.tables, got, test.want)
		}
	}
}
