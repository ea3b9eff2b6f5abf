package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"waggle/bittorrent"
)

func TestListIsInOrderOfNamesAndComesInPages(t *testing.T) {
	c := mustOpen(t, Options{})
	for n := range 10 {
		mustAdd(t, c, fmt.Sprintf("%d.torrent", n), single(string("cab"[n%3]), n))
	}
	for _, tt := range []struct{ limit, pages int }{{3, 4}, {5, 2}, {10, 1}, {0, 1}, {-1, 1}, {1 << 40, 1}} {
		var all []Transfer
		pages := 0
		for cursor, more := "", true; more; pages++ {
			page, next, err := c.List(cursor, tt.limit, nil)
			if err != nil || pages > 10 {
				t.Fatal(err, pages)
			}
			all = append(all, page...)
			cursor, more = next, next != ""
		}
		if pages != tt.pages || len(all) != 10 {
			t.Errorf("limit %d: %d in %d pages, want 10 in %d", tt.limit, len(all), pages, tt.pages)
		}
		inOrder := slices.IsSortedFunc(all, func(a, b Transfer) int {
			return place{a.Name, a.InfoHash}.compare(place{b.Name, b.InfoHash})
		})
		if !inOrder {
			t.Errorf("limit %d: not in order: %+v", tt.limit, all)
		}
	}
}

func TestListOfActiveAndOfInactiveTransfers(t *testing.T) {
	c := mustOpen(t, Options{})
	for n := range 9 {
		transfer := mustAdd(t, c, "x.torrent", single("x", n))
		if n%3 == 0 {
			if _, err := c.Deactivate(context.Background(), transfer.InfoHash); err != nil {
				t.Fatal(err)
			}
		}
	}
	for active, want := range map[bool]int{true: 6, false: 3} {
		page, next, err := c.List("", want, &active)
		if err != nil || next != "" || len(page) != want {
			t.Errorf("active %v: %d, %q, %v", active, len(page), next, err)
		}
		for _, transfer := range page {
			if transfer.Active() != active {
				t.Errorf("active %v: %+v", active, transfer)
			}
		}
	}
	if named := c.Named("x.torrent"); len(named) != 9 {
		t.Errorf("%d named", len(named))
	}
}

func TestCursorOfAnotherListIsRefused(t *testing.T) {
	c := mustOpen(t, Options{})
	for n := range 3 {
		mustAdd(t, c, "x.torrent", single("x", n))
		if _, err := c.Deactivate(context.Background(), hashOf(t, single("x", n))); err != nil {
			t.Fatal(err)
		}
	}
	_, list, err := c.List("", 1, nil)
	if err != nil || list == "" {
		t.Fatal(err)
	}
	_, history, err := c.History(context.Background(), "", 1)
	if err != nil || history == "" {
		t.Fatal(err)
	}
	for _, cursor := range []string{"x", "0", "-1", "%", history, "99999999999999999999", "\x00"} {
		_, _, err := c.List(cursor, 1, nil)
		wantError(t, err, ErrCursor)
	}
	for _, cursor := range []string{"x", "0", "-1", "%", list, "99999999999999999999", "\x00"} {
		_, _, err := c.History(context.Background(), cursor, 1)
		wantError(t, err, ErrCursor)
	}
}

func TestTransferThatStaysIsListedOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c, err := Open(context.Background(), Options{Store: NewMemory(0)})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		torrents := rapid.SliceOfNDistinct(rapid.IntRange(0, 50), 1, 30, rapid.ID[int]).Draw(rt, "torrents")
		stays := map[bittorrent.InfoHash]int{}
		for i, n := range torrents {
			transfer := mustAdd(t, c, "x.torrent", single(fmt.Sprint(n%7), n))
			if i%2 == 0 {
				stays[transfer.InfoHash] = 0
			}
		}
		limit := rapid.IntRange(1, 5).Draw(rt, "limit")
		for cursor, more := "", true; more; {
			page, next, err := c.List(cursor, limit, nil)
			if err != nil || len(page) > limit {
				rt.Fatal(err, len(page))
			}
			for _, transfer := range page {
				if _, ok := stays[transfer.InfoHash]; ok {
					stays[transfer.InfoHash]++
				}
			}
			cursor, more = next, next != ""
			// Others come and go, also the one that the cursor names.
			for _, n := range rapid.SliceOfN(rapid.IntRange(0, 50), 0, 4).Draw(rt, "edits") {
				b := single(fmt.Sprint(n%7), n)
				h := hashOf(t, b)
				if _, ok := stays[h]; ok {
					continue
				}
				if err := c.Delete(context.Background(), h); errors.Is(err, ErrUnknown) {
					mustAdd(t, c, "x.torrent", b)
				}
			}
		}
		for h, n := range stays {
			if n != 1 {
				rt.Errorf("%v was listed %d times", h, n)
			}
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add("x")
	f.Add(place{"name", bittorrent.InfoHash{1}}.String())
	f.Fuzz(func(t *testing.T, cursor string) {
		p, err := parsePlace(cursor)
		if err != nil {
			wantError(t, err, ErrCursor)
			return
		}
		if again, err := parsePlace(p.String()); err != nil || again != p {
			t.Errorf("%q is %+v, and again %+v, %v", cursor, p, again, err)
		}
	})
}
