package catalog

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waggle/bittorrent"
	"waggle/document"
	"waggle/document/documenttest"
	"waggle/sqlitefile"
	"waggle/torrent"
)

// stores are all stores, which conform alike.
func stores(t *testing.T) map[string]Store {
	return map[string]Store{
		"Memory":    NewMemory(0),
		"SQLite":    openSQLite(t, filepath.Join(t.TempDir(), "catalog.db")),
		"Documents": inDocuments(t, documenttest.NewMemory()),
	}
}

func inDocuments(t rapid.TB, store document.Store) *Documents {
	t.Helper()
	s, err := OpenDocuments(context.Background(), store)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func records(t rapid.TB, s Store) map[bittorrent.InfoHash]Record {
	t.Helper()
	all := map[bittorrent.InfoHash]Record{}
	for r, err := range s.Records(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := all[r.InfoHash]; twice {
			t.Errorf("%v is there twice", r.InfoHash)
		}
		all[r.InfoHash] = r
	}
	return all
}

func apply(t testing.TB, s Store, changes ...Change) {
	t.Helper()
	if err := s.Apply(context.Background(), changes); err != nil {
		t.Fatal(err)
	}
}

// record returns a record with something in every field.
func record(n byte) Record {
	at := func(hours int) time.Time { return start.Add(time.Duration(hours)*time.Hour + time.Duration(n)) }
	return Record{
		Transfer: Transfer{
			InfoHash: bittorrent.InfoHash{n, 1}, InfoHashV2: bittorrent.InfoHashV2{n, 2}, Name: fmt.Sprintf("name \xff %d", n),
			Size: 1 << 50, Private: true, Version: torrent.Hybrid, File: fmt.Sprintf("%d.torrent", n), Source: Directory, Profile: "strict",
			Registered: at(1), FirstStarted: at(2), LastStarted: at(3), FirstCompleted: at(4), LastCompleted: at(5), Deactivated: at(6),
		},
		Held: true, FileSize: 1 << 40, FileTime: 1<<62 + int64(n),
	}
}

func TestStoresConform(t *testing.T) {
	for _, behaviour := range []struct {
		name string
		run  func(*testing.T, Store)
	}{
		{"RecordIsKeptInFull", recordIsKept},
		{"MetainfoStaysUntilItIsReplacedOrDeleted", metainfoStays},
		{"ChangesAreMadeInTheirOrder", changesInOrder},
		{"HistoryComesInPagesTheLatestFirst", historyInPages},
		{"EndedContextChangesNothing", endedContext},
		{"HistoryIsBounded", historyIsBounded},
	} {
		for name, s := range stores(t) {
			t.Run(behaviour.name+"/"+name, func(t *testing.T) { behaviour.run(t, s) })
		}
	}
}

func recordIsKept(t *testing.T, s Store) {
	full, plain := record(1), Record{Transfer: Transfer{
		InfoHash: bittorrent.InfoHash{2}, Name: "n", Size: 1, Version: torrent.V1, File: "f.torrent", Source: Upload, Registered: start,
	}}
	apply(t, s, Change{Record: full, Ended: &Period{full.Transfer}}, Change{Record: plain})
	got := records(t, s)
	if len(got) != 2 || got[full.InfoHash] != full || got[plain.InfoHash] != plain {
		t.Errorf("have %+v", got)
	}
	page, last, err := s.History(context.Background(), 0, 10)
	if err != nil || last != 0 || len(page) != 1 || page[0].Transfer != full.Transfer {
		t.Errorf("%v %v %+v", err, last, page)
	}
}

func metainfoStays(t *testing.T, s Store) {
	r := record(1)
	want := func(want []byte) {
		t.Helper()
		got, err := s.Torrent(context.Background(), r.InfoHash)
		if !bytes.Equal(got, want) || want == nil != errors.Is(err, ErrUnknown) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		clear(got) // is a copy
	}
	want(nil)
	first := []byte("first")
	apply(t, s, Change{Record: r, Metainfo: first})
	clear(first) // is kept as a copy
	want([]byte("first"))
	apply(t, s, Change{Record: r})
	want([]byte("first"))
	apply(t, s, Change{Record: r, Metainfo: []byte("other")})
	want([]byte("other"))
	apply(t, s, Change{Record: r, Delete: true})
	want(nil)
	if got := records(t, s); len(got) != 0 {
		t.Errorf("left: %+v", got)
	}
}

func changesInOrder(t *testing.T, s Store) {
	r, other := record(1), record(1)
	other.File = "other.torrent"
	apply(t, s,
		Change{Record: r, Metainfo: []byte("1")}, Change{Record: r, Delete: true},
		Change{Record: r}, Change{Record: other, Ended: &Period{r.Transfer}})
	if got := records(t, s); len(got) != 1 || got[r.InfoHash] != other {
		t.Errorf("have %+v", got)
	}
	_, err := s.Torrent(context.Background(), r.InfoHash)
	wantError(t, err, ErrUnknown)
}

func historyInPages(t *testing.T, s Store) {
	for n := range byte(7) {
		r := record(n)
		apply(t, s, Change{Record: r, Ended: &Period{r.Transfer}})
	}
	var all []Period
	for before, pages := int64(0), 0; ; pages++ {
		page, last, err := s.History(context.Background(), before, 3)
		if err != nil || pages > 3 {
			t.Fatal(err, pages)
		}
		all = append(all, page...)
		if last == 0 {
			break
		}
		before = last
		r := record(100) // what ends meanwhile is in no later page
		apply(t, s, Change{Record: r, Ended: &Period{r.Transfer}})
	}
	if len(all) != 7 {
		t.Fatalf("%d periods", len(all))
	}
	for i, p := range all {
		if p.Transfer != record(byte(6-i)).Transfer {
			t.Errorf("period %d is %+v", i, p)
		}
	}
}

func endedContext(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := record(1)
	wantError(t, s.Apply(ctx, []Change{{Record: r, Metainfo: []byte("1"), Ended: &Period{r.Transfer}}}), context.Canceled)
	if len(records(t, s)) > 0 {
		t.Error("a record was written")
	}
	_, err := s.Torrent(ctx, r.InfoHash)
	if err == nil {
		t.Error("the torrent was written")
	}
	if page, _, err := s.History(context.Background(), 0, 1); err != nil || len(page) > 0 {
		t.Errorf("%v %+v", err, page)
	}
}

func historyIsBounded(t *testing.T, s Store) {
	const most = 5 // MaxHistory would take long
	switch s := s.(type) {
	case *Memory:
		s.maxEnded = most
	case *SQLite:
		s.maxEnded = most
	case *Documents:
		few, err := openDocuments(context.Background(), s.store, most)
		if err != nil {
			t.Fatal(err)
		}
		*s = *few
	}
	for n := range byte(3 * most) {
		r := record(n)
		apply(t, s, Change{Record: r, Ended: &Period{r.Transfer}}, Change{Record: r, Ended: &Period{r.Transfer}})
	}
	page, last, err := s.History(context.Background(), 0, 2*most)
	if err != nil || len(page) != most || last != 0 || page[0].Transfer != record(3*most-1).Transfer || page[most-1].Transfer != record(3*most-3).Transfer {
		t.Errorf("%d periods, last %d, %v", len(page), last, err)
	}
}

func TestMemoryRefusesMoreBytesThanItMayKeep(t *testing.T) {
	s := NewMemory(10)
	a, b := record(1), record(2)
	apply(t, s, Change{Record: a, Metainfo: make([]byte, 8)})
	wantError(t, s.Apply(context.Background(), []Change{{Record: b, Metainfo: make([]byte, 3)}}), ErrFull)
	if _, ok := records(t, s)[b.InfoHash]; ok {
		t.Error("half of the change was made")
	}
	apply(t, s, Change{Record: a, Metainfo: make([]byte, 7)})
	apply(t, s, Change{Record: b, Metainfo: make([]byte, 3)})
	apply(t, s, Change{Record: a, Delete: true}, Change{Record: b, Metainfo: make([]byte, 10)})
}

func TestFileThatIsNoCatalogueIsRefusedAndLeftAsItIs(t *testing.T) {
	dir := t.TempDir()
	journal, err := sql.Open("sqlite", filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Exec("PRAGMA application_id = 0x57616767; PRAGMA user_version = 1; CREATE TABLE a (b)"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, journal)
	damage(t, filepath.Join(dir, "damaged"))
	for name, want := range map[string]error{"journal": sqlitefile.ErrForeign, "damaged": sqlitefile.ErrDamaged} {
		path := filepath.Join(dir, name)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = OpenSQLite(context.Background(), path)
		if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s: error %v, want %v", name, err, want)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s was changed, %v", name, err)
		}
	}
}

// damage makes a catalogue and overwrites pages of it.
func damage(t *testing.T, path string) {
	t.Helper()
	s, err := OpenSQLite(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range byte(200) {
		apply(t, s, Change{Record: record(n)})
	}
	mustClose(t, s)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4 * 4096; i < len(b)-100; i += 100 {
		copy(b[i:], "damage")
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFileInUseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	openSQLite(t, path)
	_, err := OpenSQLite(context.Background(), path)
	wantError(t, err, sqlitefile.ErrInUse)
}
