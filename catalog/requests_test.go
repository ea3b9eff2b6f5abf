package catalog

import (
	"context"
	"fmt"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/document/documenttest"
)

// TestRequestsOfEachEditAreThoseOfTheDecision counts what docs/decisions/0023-documents.md
// says.
func TestRequestsOfEachEditAreThoseOfTheDecision(t *testing.T) {
	counts := map[string]int{}
	store := &documenttest.Faulty{Store: documenttest.NewMemory(), Fault: func(verb, _ string) documenttest.Fault {
		counts[verb]++
		return documenttest.None
	}}
	c := trackers(t, 1, store, Options{})[0]
	metainfo := single("a", 1)
	h := hashOf(t, metainfo)
	of := func(edit func(context.Context, bittorrent.InfoHash) (Transfer, error)) func() error {
		return func() error { _, err := edit(background, h); return err }
	}
	for _, step := range []struct {
		what string
		do   func() error
		want string
	}{
		{"nothing new", func() error { return c.Fresh(background, -1) }, "get 1, put 0, delete 0, list 0"},
		{"upload", func() error { _, err := c.Add(background, "a.torrent", metainfo); return err }, "get 2, put 5, delete 0, list 0"},
		{"start", func() error { c.Started(&h, start); return c.Flush(background) }, "get 1, put 3, delete 0, list 0"},
		{"again", func() error { c.Started(&h, start.Add(time.Second)); return c.Flush(background) }, "get 1, put 3, delete 0, list 0"},
		{"deactivate", of(c.Deactivate), "get 2, put 4, delete 0, list 0"},
		{"activate", of(c.Activate), "get 2, put 3, delete 0, list 0"},
		{"fetch", func() error { _, err := c.Torrent(background, h); return err }, "get 2, put 0, delete 0, list 0"},
		{"delete", func() error { return c.Delete(background, h) }, "get 2, put 3, delete 2, list 1"},
	} {
		clear(counts)
		if err := step.do(); err != nil {
			t.Fatal(step.what, err)
		}
		got := fmt.Sprintf("get %d, put %d, delete %d, list %d", counts["get"], counts["put"], counts["delete"], counts["list"])
		t.Log(step.what, got)
		if got != step.want {
			t.Errorf("%s takes %s, want %s", step.what, got, step.want)
		}
	}
}

// BenchmarkOpenDocuments opens a catalogue of 100,000 torrents.
func BenchmarkOpenDocuments(b *testing.B) {
	m := documenttest.NewMemory()
	s := inDocuments(b, m)
	for n := range 1000 {
		var changes []Change
		for i := range 100 {
			r := record(byte(i))
			r.Name, r.InfoHash, r.InfoHashV2 = fmt.Sprint("name-", n, "-", i), bittorrent.InfoHash{byte(i), byte(n), byte(n >> 8)}, bittorrent.InfoHashV2{byte(i), byte(n), byte(n >> 8), 1}
			changes = append(changes, Change{Record: r})
		}
		apply(b, s, changes...)
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			c := tracker(b, m, Options{})
			if c.Len() != 100_000 {
				b.Fatal(c.Len())
			}
			mustClose(b, c)
		}
	})
	a, other := tracker(b, m, Options{}), tracker(b, m, Options{})
	b.Run("learn-one", func(b *testing.B) {
		n := 0
		for b.Loop() {
			if _, err := a.SetProfile(background, bittorrent.InfoHash{1, 1}, profiles[n%2]); err != nil {
				b.Fatal(err)
			}
			fresh(b, other)
			n++
		}
	})
	b.Run("learn-nothing", func(b *testing.B) {
		for b.Loop() {
			fresh(b, other)
		}
	})
	mustClose(b, a)
	mustClose(b, other)
}
