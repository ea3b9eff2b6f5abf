package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"waggle/bittorrent"
)

func TestByNameHasWhatListHasInTheOrderOfNamesWithoutRegardToCase(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store := NewMemory(0)
		c, err := Open(context.Background(), Options{Store: store})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 30), 0, 60).Draw(rt, "edits") {
			b := single([]string{"a", "A", "b", "Ba", "ba"}[n%5], n)
			if _, err := c.Add(context.Background(), "x.torrent", b); errors.Is(err, ErrDuplicate) && n%2 == 0 {
				err = c.Delete(context.Background(), hashOf(t, b))
				if err != nil {
					rt.Fatal(err)
				}
			} else if errors.Is(err, ErrDuplicate) {
				if _, err = c.Deactivate(context.Background(), hashOf(t, b)); err != nil {
					rt.Fatal(err)
				}
			}
		}
		wantByName(rt, c)
		again, err := Open(context.Background(), Options{Store: store})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = again.Close() }()
		wantByName(rt, again)
	})
}

func wantByName(t *rapid.T, c *Catalog) {
	want, _, err := c.List("", maxPage, nil)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(want, func(a, b Transfer) int { return compareFolded(&a, &b) })
	got, _ := c.ByName()
	if !slices.EqualFunc(got, want, func(a *Transfer, b Transfer) bool { return *a == b }) {
		t.Errorf("%d are there, want %d: %+v", len(got), len(want), want)
	}
}

func TestVersionGrowsWithEachEditAlone(t *testing.T) {
	c := mustOpen(t, Options{Profiles: []string{"strict"}})
	last := c.Version()
	grows := func(what string, edit func() error) {
		t.Helper()
		if err := edit(); err != nil {
			t.Fatal(what, err)
		}
		if now := c.Version(); now <= last {
			t.Errorf("%s: %d, after %d", what, now, last)
		}
		last = c.Version()
	}
	h := hashOf(t, single("x", 1))
	grows("upload", func() error { _, err := c.Add(t.Context(), "x.torrent", single("x", 1)); return err })
	c.Started(&h, start)
	if c.Version() != last {
		t.Error("it grew with a start")
	}
	grows("profile", func() error { _, err := c.SetProfile(t.Context(), h, "strict"); return err })
	grows("deactivate", func() error { _, err := c.Deactivate(t.Context(), h); return err })
	grows("activate", func() error { _, err := c.Activate(t.Context(), h); return err })
	grows("delete", func() error { return c.Delete(t.Context(), h) })
	if all, version := c.ByName(); len(all) != 0 || version != last {
		t.Errorf("%v of version %d, want none of %d", all, version, last)
	}
}

func TestNamesAreOrderedWithoutRegardToCase(t *testing.T) {
	long := strings.Repeat("y", MaxKey)
	names := []string{"", "a", "B", "b2", "C", long, "\xff"}
	for i := range names {
		for j := range names {
			if got := CompareNames(names[i], names[j]); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("%q and %q: %d", names[i], names[j], got)
			}
		}
	}
	if CompareNames(long+"1", long+"2") != 0 || CompareNames("aB", "Ab") != 0 {
		t.Error("what does not count makes a difference")
	}
}

func TestCursorsStayShortHoweverLongNamesAre(t *testing.T) {
	c := mustOpen(t, Options{})
	long := strings.Repeat("n", 4000)
	var want []string
	for n := range 9 {
		name := long + fmt.Sprint(n%3)
		want = append(want, name)
		mustAdd(t, c, "x.torrent", single(name, n))
	}
	var got []string
	for cursor, more := "", true; more; more = cursor != "" {
		page, next, err := c.List(cursor, 2, nil)
		if err != nil || len(next) > 2048 {
			t.Fatalf("a cursor of %d bytes, %v", len(next), err)
		}
		for _, transfer := range page {
			got = append(got, transfer.Name)
			if named := c.Named(transfer.Name); len(named) != 3 || named[0].Name != transfer.Name {
				t.Errorf("%d have the name of %v", len(named), transfer.InfoHash)
			}
		}
		cursor = next
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d are listed, want each of %d once", len(got), len(want))
	}
}

// BenchmarkOrder is what a catalogue of 100,000 torrents does when it is opened, at each edit,
// and for a list of all of them.
func BenchmarkOrder(b *testing.B) {
	const n = 100_000
	all := make([]*entry, n)
	for i := range all {
		t := Transfer{InfoHash: bittorrent.InfoHash{byte(i), byte(i >> 8), byte(i >> 16)}, Name: fmt.Sprintf("Dataset number %d of the archive", i*7919%n), File: fmt.Sprint(i)}
		all[i] = newEntry(Record{Transfer: t})
	}
	c := &Catalog{}
	b.Run("fill", func(b *testing.B) {
		for b.Loop() {
			c.order.fill(all)
		}
	})
	b.Run("put", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			c.order.remove(all[i%n])
			c.order.put(all[i%n])
		}
	})
	b.Run("ByName", func(b *testing.B) {
		for b.Loop() {
			if all, _ := c.ByName(); len(all) != n {
				b.Fatal(len(all))
			}
		}
	})
}
