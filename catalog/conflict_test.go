package catalog

import (
	"testing"

	"pgregory.net/rapid"

	"waggle/document"
	"waggle/document/documenttest"
)

// TestTwoChangeOneTransferAtOnce lets one tracker come in at each step of another's edit.
func TestTwoChangeOneTransferAtOnce(t *testing.T) {
	for step, finished := 1, false; !finished; step++ {
		m := documenttest.NewMemory()
		b := tracker(t, m, Options{})
		up := mustAdd(t, b, "a.torrent", single("a", 1))
		requests := -1000
		a := tracker(t, &documenttest.Faulty{Store: m, Fault: func(string, string) documenttest.Fault {
			if requests++; requests == step {
				if _, err := b.Deactivate(background, up.InfoHash); err != nil {
					t.Fatal(err)
				}
			}
			return documenttest.None
		}}, Options{})
		requests = 0
		if _, err := a.SetProfile(background, up.InfoHash, "parity"); err != nil {
			t.Fatal(err)
		}
		finished, requests = requests < step, 1000
		fresh(t, a, b)
		wantAlike(t, a, b)
		if got := mustGet(t, b, up.InfoHash); got.Profile != "parity" || got.Active() != finished {
			t.Fatalf("at %d: %+v", step, got)
		}
		mustClose(t, a)
		mustClose(t, b)
	}
}

// TestTrackerThatDiesAtAnyStepHasEditedAllOrNothing kills one at each request of an edit.
func TestTrackerThatDiesAtAnyStepHasEditedAllOrNothing(t *testing.T) {
	old, added := single("old", 1), chunky(document.MaxValue+1) // in two chunks
	oldHash, addedHash := hashOf(t, old), hashOf(t, added)
	for what, edit := range map[string]func(*Catalog) error{
		"add":        func(c *Catalog) error { _, err := c.Add(background, "large.torrent", added); return err },
		"deactivate": func(c *Catalog) error { _, err := c.Deactivate(background, oldHash); return err },
		"delete":     func(c *Catalog) error { return c.Delete(background, oldHash) },
	} {
		for _, fault := range []documenttest.Fault{documenttest.Refused, documenttest.Lost} {
			for dies, finished := 1, false; !finished; dies++ {
				m := documenttest.NewMemory()
				other := tracker(t, m, Options{})
				mustAdd(t, other, "old.torrent", old)
				requests := -1000
				c := tracker(t, &documenttest.Faulty{Store: m, Fault: func(string, string) documenttest.Fault {
					switch requests++; {
					case requests < dies:
						return documenttest.None
					case requests == dies:
						return fault
					}
					return documenttest.Refused
				}}, Options{})
				requests = 0
				err := edit(c)
				finished = requests < dies
				_ = c.Close()
				fresh(t, other)
				later := tracker(t, m, Options{})
				wantAlike(t, other, later)
				wantWhole(t, other, later)
				got := transfers(t, later)
				_, isThere := got[addedHash]
				left, known := got[oldHash]
				done := map[string]bool{"add": isThere, "deactivate": known && !left.Active(), "delete": !known}[what]
				ended := len(history(t, later)) == 1
				if err == nil && !done || ended != (done && what != "add") || known == (done && what == "delete") {
					t.Fatalf("%s dies at %d, %v: done %v, ended %v, %+v", what, dies, err, done, ended, got)
				}
				mustClose(t, other)
				mustClose(t, later)
			}
		}
	}
}

// wantWhole checks that the bytes of all uploaded torrents are there.
func wantWhole(t rapid.TB, all ...*Catalog) {
	t.Helper()
	for _, c := range all {
		for h := range transfers(t, c) {
			if _, err := c.Torrent(background, h); err != nil {
				t.Fatal(err)
			}
		}
	}
}
