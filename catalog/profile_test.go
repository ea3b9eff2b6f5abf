package catalog

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waggle/bittorrent"
)

// profiles are those of the tests.
var profiles = []string{"strict", "balanced", "parity"}

func wantProfile(t testing.TB, c *Catalog, h bittorrent.InfoHash, want string) {
	t.Helper()
	if got, kept := c.Profile(&h), mustGet(t, c, h).Profile; got != want || kept != want {
		t.Errorf("the profile is %q, and %q is kept, want %q", got, kept, want)
	}
}

func TestProfileIsSetAtUploadAndChangedLater(t *testing.T) {
	c := mustOpen(t, Options{Profiles: profiles})
	uploaded, err := c.AddWithProfile(context.Background(), "a.torrent", hybrid("a"), "strict")
	if err != nil || uploaded.Profile != "strict" {
		t.Errorf("%+v, %v", uploaded, err)
	}
	wantProfile(t, c, uploaded.InfoHash, "strict")
	for _, h := range uploaded.InfoHashes() {
		for _, profile := range []string{"parity", "parity", "", "strict"} {
			if got, err := c.SetProfile(context.Background(), h, profile); err != nil || got.Profile != profile || got.InfoHash != uploaded.InfoHash {
				t.Errorf("%+v, %v", got, err)
			}
			for _, h := range uploaded.InfoHashes() {
				wantProfile(t, c, h, profile)
			}
		}
	}
}

func TestProfileThatIsNotKnownChangesNothing(t *testing.T) {
	store := &broken{Store: NewMemory(0)}
	c := mustOpen(t, Options{Store: store, Profiles: profiles})
	h := mustAdd(t, c, "a.torrent", single("a", 1)).InfoHash
	_, err := c.AddWithProfile(context.Background(), "b.torrent", single("b", 2), "lax")
	wantError(t, err, ErrProfile)
	if !strings.Contains(err.Error(), "strict, balanced, parity") || c.Len() != 1 {
		t.Errorf("%d torrents, %v", c.Len(), err)
	}
	_, err = c.SetProfile(context.Background(), h, "Strict")
	wantError(t, err, ErrProfile)
	_, err = c.SetProfile(context.Background(), bittorrent.InfoHash{1}, "strict")
	wantError(t, err, ErrUnknown)
	store.fail(os.ErrPermission)
	_, err = c.SetProfile(context.Background(), h, "strict")
	wantError(t, err, os.ErrPermission)
	wantProfile(t, c, h, "")
	none := mustOpen(t, Options{})
	_, err = none.AddWithProfile(context.Background(), "a.torrent", single("a", 1), "strict")
	wantError(t, err, ErrProfile)
}

func TestProfileOutlastsPeriodsAndUploadsThatNameNone(t *testing.T) {
	dir := t.TempDir()
	o := byHand(dir)
	o.Profiles = profiles
	c := mustOpen(t, o)
	b := single("a", 1)
	h := hashOf(t, b)
	write(t, dir, "a.torrent", b)
	mustScan(t, c)
	if _, err := c.SetProfile(context.Background(), h, "parity"); err != nil {
		t.Fatal(err)
	}
	unlink(t, dir, "a.torrent")
	mustScan(t, c)
	if got, kept := c.Profile(&h), mustGet(t, c, h).Profile; got != "" || kept != "parity" {
		t.Errorf("inactive, it is %q, and %q is kept", got, kept)
	}
	if ended := history(t, c); len(ended) != 1 || ended[0].Profile != "parity" {
		t.Errorf("the history is %+v", ended)
	}
	mustAdd(t, c, "a.torrent", b)
	wantProfile(t, c, h, "parity")
	if _, err := c.Deactivate(context.Background(), h); err != nil {
		t.Fatal(err)
	}
	if got, err := c.SetProfile(context.Background(), h, "strict"); err != nil || got.Active() {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.Activate(context.Background(), h); err != nil {
		t.Fatal(err)
	}
	wantProfile(t, c, h, "strict")
}

func TestProfileSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	store := openSQLite(t, path)
	c := mustOpen(t, Options{Store: store, Profiles: profiles})
	if _, err := c.AddWithProfile(context.Background(), "a.torrent", single("a", 1), "balanced"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, c)
	mustClose(t, store)
	// Also where nobody knows the profile any more.
	wantProfile(t, mustOpen(t, Options{Store: openSQLite(t, path)}), hashOf(t, single("a", 1)), "balanced")
}

// version1 makes a catalogue as the first waggle wrote it.
func version1(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "version1.sql"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(string(text)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, db)
}

func TestCatalogueOfVersion1IsUpgradedAndKeepsAllThatItHas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	version1(t, path)
	full := record(1)
	full.Profile = ""
	for range 2 { // the second finds it upgraded
		store, err := OpenSQLite(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		if got := records(t, store); len(got) != 2 || got[full.InfoHash] != full || got[bittorrent.InfoHash{2}].Name != "n" {
			t.Errorf("records %+v", got)
		}
		if page, _, err := store.History(context.Background(), 0, 10); err != nil || len(page) != 1 || page[0].Transfer != full.Transfer {
			t.Errorf("history %+v, %v", page, err)
		}
		if b, err := store.Torrent(context.Background(), full.InfoHash); err != nil || string(b) != "metainfo" {
			t.Errorf("torrent %q, %v", b, err)
		}
		mustClose(t, store)
	}
	store := openSQLite(t, path)
	other := record(3)
	apply(t, store, Change{Record: other, Ended: &Period{other.Transfer}})
	if got := records(t, store)[other.InfoHash]; got != other {
		t.Errorf("after the upgrade a record is kept as %+v", got)
	}
}

func TestCatalogueThatIsUpgradedHasTheColumnsOfANewOne(t *testing.T) {
	dir := t.TempDir()
	version1(t, filepath.Join(dir, "old.db"))
	old, fresh := openSQLite(t, filepath.Join(dir, "old.db")), openSQLite(t, filepath.Join(dir, "new.db"))
	for _, table := range []string{"transfers", "torrents", "history"} {
		if a, b := columns(t, old, table), columns(t, fresh, table); !slices.Equal(a, b) || len(a) == 0 {
			t.Errorf("%s has %v, want %v", table, a, b)
		}
	}
}

// columns returns the columns of a table, with their types, by name.
func columns(t *testing.T, s *SQLite, table string) (all []string) {
	t.Helper()
	rows, err := s.db.Query(`SELECT format('%s %s %d %d', name, type, "notnull", pk) FROM pragma_table_info(?) ORDER BY name`, table)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var column string
		if err := rows.Scan(&column); err != nil {
			t.Fatal(err)
		}
		all = append(all, column)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
