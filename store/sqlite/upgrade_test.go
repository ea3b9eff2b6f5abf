package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/sqlitefile"
	"waggle/store/memory"
)

// first is the kind of file that waggle wrote before it kept roles.
var first = func() sqlitefile.Kind {
	k := fileKind
	k.Version, k.Schema = 1, schema+views
	return k
}()

// firstVersion makes of a store's file one of version 1.
func firstVersion(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("DROP VIEW roles; DROP TABLE members; PRAGMA user_version = 1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Check(path); err != nil {
		t.Fatal(err)
	}
}

func TestFileOfTheFirstVersionIsUpgradedAndKeepsItsPeers(t *testing.T) {
	r := rackRollout(t)
	r.close()
	firstVersion(t, r.path)
	want := len(r.hosts)

	r.open()
	if totals, _ := r.store.Totals(context.Background()); totals.Peers != want {
		t.Errorf("%d peers were kept, want %d", totals.Peers, want)
	}
	if got := r.roles(); len(got) != 0 {
		t.Errorf("roles out of nothing: %+v", got)
	}
	if _, err := first.Check(r.path); !errors.Is(err, sqlitefile.ErrNewer) {
		t.Errorf("an older waggle would take the file (%v)", err)
	}
	r.everybody()
	roles := r.roles()
	r.close()
	r.open()
	defer func() { r.close() }()
	wantRoles(t, r.roles(), roles)
}

func TestUpgradedFileIsThatOfANewOne(t *testing.T) {
	ctx := context.Background()
	schemas := map[string]string{}
	for _, old := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "waggle.db")
		if old {
			db, err := first.Open(ctx, path)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s := openQuiet(t, path, Options{})
		var text string
		const all = "SELECT group_concat(sql, ';' ORDER BY name) || (SELECT user_version FROM pragma_user_version) FROM sqlite_schema"
		if err := s.writer.conn.QueryRowContext(ctx, all).Scan(&text); err != nil {
			t.Fatal(err)
		}
		schemas[text] = path
		closeStore(t, s)
	}
	if len(schemas) != 1 {
		t.Errorf("two schemas: %v", schemas)
	}
}

// logged returns options with a log, and what is in it.
func (r *rollout) logged() (Options, *strings.Builder) {
	var log strings.Builder
	o := r.options()
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	return o, &log
}

func TestRolesOfLocationsThatAreNotKnownAnyMoreAreDropped(t *testing.T) {
	r := rackRollout(t)
	r.close()
	before := len(r.hosts)
	o, log := r.logged()
	o.Group = func(path string) (*locality.Group, error) {
		if path == "r2" {
			return nil, errors.New("the rack burnt down")
		}
		return r.tree.Group(path)
	}
	r.store = openQuiet(t, r.path, o)
	if got := strings.Count(log.String(), "burnt down"); got != 1 || !strings.Contains(log.String(), "peers=3") {
		t.Errorf("the log should have one line of 3 peers: %s", log)
	}
	if got := r.roles(); len(got) != before-3 {
		t.Errorf("%d members, want %d", len(got), before-3)
	}
	r.checkHolders(t)
	flush(t, r.store)
	if got := rowsOf(t, r.store, "members"); got != before-3 {
		t.Errorf("%d members in the file, want %d", got, before-3)
	}
	r.close()

	o, log = r.logged()
	r.store = openQuiet(t, r.path, o)
	defer func() { r.close() }()
	if log.Len() > 0 {
		t.Errorf("the second time nothing is lost: %s", log)
	}
}

func TestOtherLevelsDropAllRoles(t *testing.T) {
	r := rackRollout(t)
	r.close()
	tree, err := locality.NewTree(100, "row", "rack")
	if err != nil {
		t.Fatal(err)
	}
	o, log := r.logged()
	o.Group = tree.Group
	r.store = openQuiet(t, r.path, o)
	defer func() { r.close() }()
	if got := r.roles(); len(got) != 0 || !strings.Contains(log.String(), "peers=10") {
		t.Errorf("%d members, want none; log: %s", len(got), log)
	}
	flush(t, r.store)
	if got := rowsOf(t, r.store, "members"); got != 0 {
		t.Errorf("%d members in the file, want none", got)
	}
}

func TestWithoutLocalityRolesAreDroppedAndPeersStay(t *testing.T) {
	r := rackRollout(t)
	r.close()
	o, log := r.logged()
	o.Group = nil
	r.store = openQuiet(t, r.path, o)
	defer func() { r.close() }()
	totals, _ := r.store.Totals(context.Background())
	if got := rowsOf(t, r.store, "members"); got != 0 || totals.Peers != len(r.hosts) || !strings.Contains(log.String(), "peers=10") {
		t.Errorf("%d members in the file and %d peers, want none and %d; log: %s", got, totals.Peers, len(r.hosts), log)
	}
}

func TestRowOfAPeerThatIsNotThereIsDeleted(t *testing.T) {
	r := rackRollout(t)
	flush(t, r.store)
	place := appendPlace(nil, &r.hosts[2].hash, r.hosts[2].addr)
	if _, err := r.store.writer.conn.ExecContext(context.Background(), "DELETE FROM swarms WHERE place = ?", place); err != nil {
		t.Fatal(err)
	}
	before := len(r.hosts)
	r.kill()
	defer func() { r.close() }()
	flush(t, r.store)
	if got := rowsOf(t, r.store, "members"); got != before-1 {
		t.Errorf("%d members in the file, want %d", got, before-1)
	}
	r.checkHolders(t)
}

func TestMemberOutOfRangeIsDamage(t *testing.T) {
	for name, statement := range map[string]string{
		"place of a torrent":     "UPDATE members SET place = substr(place, 1, 20)",
		"place of 25 bytes":      "UPDATE members SET place = substr(place, 1, 25)",
		"role of no byte":        "UPDATE members SET role = x''",
		"half an address":        "UPDATE members SET role = CAST(role || x'00' AS BLOB)",
		"reach beyond all":       "UPDATE members SET role = CAST(x'09' || substr(role, 2) AS BLOB)",
		"flag that is none":      "UPDATE members SET role = CAST(substr(role, 1, 1) || x'04' || substr(role, 3) AS BLOB)",
		"more parents than are":  "UPDATE members SET role = CAST(substr(role, 1, 11) || x'0100' || substr(role, 14) AS BLOB)",
		"importer from nowhere":  "UPDATE members SET location = NULL, role = CAST(x'01' || substr(role, 2) AS BLOB)",
		"source without parents": "UPDATE members SET role = CAST(x'000001' || zeroblob(10) AS BLOB)",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRollout(t, "strict", "rack")
			r.open()
			r.announce(r.add(1, "r1", 0), bittorrent.EventStarted)
			r.close()
			db, err := sql.Open("sqlite", r.path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(context.Background(), r.path, r.options()); !errors.Is(err, sqlitefile.ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
		})
	}
}

func TestFileShowsRolesToPeople(t *testing.T) {
	r := rackRollout(t)
	r.announce(r.add(1, "", fileSize), bittorrent.EventStarted)
	r.close()
	db, err := sql.Open("sqlite", r.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for query, want := range map[string]string{
		"SELECT group_concat(role || ' ' || n, ', ' ORDER BY role) FROM (SELECT role, count(*) AS n FROM roles WHERE location IS NOT NULL GROUP BY role)": "exporter 1, importer 3, none 3, standby 3",
		"SELECT hex(sha1) || ' ' || host || ' ' || port || ' ' || location || ' ' || reach || ' ' || (parents > 0) FROM roles WHERE host = '10.0.0.2'":    "0107000000000000000000000000000000000000 10.0.0.2 6881 r1 1 1",
		"SELECT host || ' ' || role || ' ' || location FROM roles WHERE host LIKE '%:%' ORDER BY host LIMIT 1":                                            "2001:0db8:0000:0000:0000:0000:0000:0005 standby r1",
	} {
		var got string
		if err := db.QueryRow(query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q (%v), want %q", query, got, err, want)
		}
	}
}

func TestStoreWithoutLocalityKeepsNoRoles(t *testing.T) {
	r := newRollout(t, "strict", "rack")
	o := r.options()
	o.Group = nil
	r.store = openQuiet(t, r.path, o)
	defer func() { r.close() }()
	r.announce(r.add(1, "r1", 0), bittorrent.EventStarted)
	flush(t, r.store)
	if got := rowsOf(t, r.store, "members"); got != 0 {
		t.Errorf("%d members in the file, want none", got)
	}
	if _, more := r.store.RoleChanges(memory.ShardOf(r.hosts[0].hash), nil, nil); more {
		t.Error("changes are remembered that nobody takes")
	}
}
