package catalog

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"waggle/bittorrent"
	"waggle/document/documenttest"
	"waggle/torrent"
)

// history is any sequence of edits, of the directory's files and of the catalogue,
// with scans and restarts in between. The model is the directory itself, and what
// was held by hand.
type world struct {
	t       *rapid.T
	dir     string
	store   Store
	c       *Catalog
	held    map[bittorrent.InfoHash]bool
	uploads map[bittorrent.InfoHash]bool
	own     map[bittorrent.InfoHash]string // profiles
}

func TestAnyHistoryOfTheDirectoryEndsAsItsFilesAre(t *testing.T) {
	for name, open := range map[string]func(rapid.TB) Store{
		"Memory":    func(rapid.TB) Store { return NewMemory(0) },
		"Documents": func(t rapid.TB) Store { return inDocuments(t, documenttest.NewMemory()) },
	} {
		t.Run(name, func(t *testing.T) { anyHistoryOfTheDirectory(t, open) })
	}
}

func anyHistoryOfTheDirectory(t *testing.T, open func(rapid.TB) Store) {
	root := t.TempDir()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		w := &world{
			t: rt, dir: filepath.Join(root, fmt.Sprint(run)), store: open(rt),
			held: map[bittorrent.InfoHash]bool{}, uploads: map[bittorrent.InfoHash]bool{}, own: map[bittorrent.InfoHash]string{},
		}
		if err := os.Mkdir(w.dir, 0o700); err != nil {
			rt.Fatal(err)
		}
		w.open()
		defer func() { _ = w.c.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"write": w.write, "truncate": w.truncate, "remove": w.remove, "rename": w.rename,
			"scan": w.scan, "restart": w.restart,
			"upload": w.upload, "deactivate": w.deactivate, "activate": w.activate, "delete": w.delete, "profile": w.profile,
		})
		w.scan(rt)
		w.check()
		w.restart(rt)
		w.check()
	})
}

func (w *world) open() {
	o := byHand(w.dir)
	o.Store, o.Profiles, o.Refresh = w.store, profiles, -1
	c, err := Open(context.Background(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.c = c
}

func (w *world) file(t *rapid.T, label string) string {
	return filepath.Join(w.dir, rapid.SampledFrom([]string{"a.torrent", "b.torrent", "c.torrent", "d.torrent"}).Draw(t, label))
}

func (w *world) torrent(t *rapid.T) ([]byte, bittorrent.InfoHash) {
	n := rapid.IntRange(0, 3).Draw(t, "torrent")
	b := single(fmt.Sprint(n), n)
	if n == 3 {
		b = hybrid("3")
	}
	m, err := torrent.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return b, m.InfoHash()
}

func (w *world) write(t *rapid.T) {
	b, _ := w.torrent(t)
	if err := os.WriteFile(w.file(t, "file"), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) truncate(t *rapid.T) {
	// A broken file leaves what it was, which the files do not tell: so it is
	// removed or written again before anyone looks.
	path := w.file(t, "file")
	if os.Truncate(path, 10) == nil && rapid.Bool().Draw(t, "look") {
		_ = os.Remove(path)
	} else {
		w.overwrite(t, path)
	}
}

func (w *world) overwrite(t *rapid.T, path string) {
	b, _ := w.torrent(t)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) remove(t *rapid.T) { _ = os.Remove(w.file(t, "file")) }

func (w *world) rename(t *rapid.T) { _ = os.Rename(w.file(t, "from"), w.file(t, "to")) }

func (w *world) scan(t *rapid.T) {
	if err := w.c.scan(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) restart(t *rapid.T) {
	if err := w.c.Close(); err != nil {
		t.Fatal(err)
	}
	w.open()
}

func (w *world) upload(t *rapid.T) {
	b, h := w.torrent(t)
	profile := drawProfile(t)
	if _, err := w.c.AddWithProfile(context.Background(), "up.torrent", b, profile); err == nil {
		w.uploads[h] = true
		w.own[h] = cmp.Or(profile, w.own[h])
		delete(w.held, h)
	}
}

func (w *world) deactivate(t *rapid.T) {
	_, h := w.torrent(t)
	if _, err := w.c.Deactivate(context.Background(), h); err == nil {
		w.held[h] = true
	}
}

func (w *world) activate(t *rapid.T) {
	_, h := w.torrent(t)
	if _, err := w.c.Activate(context.Background(), h); err == nil {
		delete(w.held, h)
	}
}

func drawProfile(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "strict", "parity"}).Draw(t, "profile")
}

func (w *world) profile(t *rapid.T) {
	_, h := w.torrent(t)
	profile := drawProfile(t)
	if _, err := w.c.SetProfile(context.Background(), h, profile); err == nil {
		w.own[h] = profile
	}
}

func (w *world) delete(t *rapid.T) {
	_, h := w.torrent(t)
	if err := w.c.Delete(context.Background(), h); err == nil {
		delete(w.held, h)
		delete(w.uploads, h)
		delete(w.own, h)
	}
}

func (w *world) check() {
	files := map[bittorrent.InfoHash]map[string]bool{}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, entry := range entries {
		m, err := torrent.Read(filepath.Join(w.dir, entry.Name()))
		if err != nil {
			w.t.Fatal(err)
		}
		if files[m.InfoHash()] == nil {
			files[m.InfoHash()] = map[string]bool{}
		}
		files[m.InfoHash()][entry.Name()] = true
	}
	for h := range files {
		if _, err := w.c.Get(h); err != nil {
			w.t.Errorf("%v in %v is not known", h, files[h])
		}
	}
	stored := records(w.t, w.store)
	page, _, err := w.c.List("", 0, nil)
	if err != nil || len(stored) != len(page) {
		w.t.Errorf("%d in the store, %d in memory, %v", len(stored), len(page), err)
	}
	active := 0
	for _, transfer := range page {
		h := transfer.InfoHash
		if transfer.Active() {
			active++
		}
		want := (w.uploads[h] || len(files[h]) > 0) && !w.held[h]
		if transfer.Active() != want || w.c.Active(&h) != want {
			w.t.Errorf("active: want %v, have %+v", want, transfer)
		}
		if now := w.c.Profile(&h); transfer.Profile != w.own[h] || want && now != w.own[h] || !want && now != "" {
			w.t.Errorf("profile %q: want %q, have %+v", now, w.own[h], transfer)
		}
		if transfer.Source == Directory && len(files[h]) > 0 && !files[h][transfer.File] {
			w.t.Errorf("its files are %v: %+v", files[h], transfer)
		}
		if stored[h].Transfer != transfer {
			w.t.Errorf("\nin the store %+v\nin memory    %+v", stored[h].Transfer, transfer)
		}
	}
	if w.c.LenActive() != active {
		w.t.Errorf("%d are active, want %d", w.c.LenActive(), active)
	}
}
