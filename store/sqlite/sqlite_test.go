package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/sqlitefile"
	"waggle/store/memory"
	"waggle/store/sqlite"
	"waggle/store/storetest"
	"waggle/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, path string, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t *testing.T, s *sqlite.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestChangesAreToldBesideTheJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	var heard []swarm.ChangeKind
	o := sqlite.Options{Memory: memory.Options{Changed: func(c *swarm.Change) { heard = append(heard, c.Kind) }}}
	s := open(t, path, o)
	a := announce(1, 1)
	do(t, s, a)
	a.Event = bittorrent.EventStopped
	do(t, s, a)
	do(t, s, announce(1, 2))
	closeStore(t, s)
	if want := []swarm.ChangeKind{swarm.PeerPut, swarm.PeerGone, swarm.TorrentGone, swarm.PeerPut}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	s = open(t, path, o)
	defer closeStore(t, s)
	if n, err := s.Totals(t.Context()); err != nil || n.Peers != 1 || len(heard) != 4 {
		t.Errorf("%+v, %v: the journal has not heard of it, or what was read back was told", n, err)
	}
}

// detailed are options of a store that keeps everything.
var detailed = sqlite.Options{Memory: memory.Options{Details: true}}

func TestStoreConforms(t *testing.T) {
	n := 0
	dir := t.TempDir()
	fresh := func(t *testing.T) swarm.Store {
		n++
		return open(t, filepath.Join(dir, fmt.Sprintf("%d.db", n)), detailed)
	}
	storetest.Run(t, fresh)
	storetest.RunLocated(t, fresh)
	storetest.RunRestore(t, fresh)
}

func TestStoreIsReadWhileAnotherProcessKeepsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path, detailed)
	want := swarm.Snapshot{InfoHash: bittorrent.InfoHash{1}, Downloaded: 3, Peers: []swarm.Peer{
		{Addr: netip.MustParseAddrPort("10.0.0.1:1"), Kind: swarm.Seeder, First: time.Unix(1, 0), Last: time.Unix(2, 0)},
	}}
	if err := s.Restore(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s) // what is restored is in the file
	s = open(t, path, detailed)
	defer closeStore(t, s)
	read, err := sqlite.Read(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := read.Close(); err != nil {
			t.Error(err)
		}
	}()
	c, ok := read.Counts(want.InfoHash)
	if !ok || c != (bittorrent.ScrapeCounts{Complete: 1, Downloaded: 3}) {
		t.Errorf("%+v, %v", c, ok)
	}
	if _, err := sqlite.Read(t.Context(), filepath.Join(t.TempDir(), "none.db"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func announce(torrent byte, peer int) *swarm.Announce {
	return &swarm.Announce{
		AnnounceRequest: bittorrent.AnnounceRequest{
			InfoHash: bittorrent.InfoHash{torrent, byte(peer)},
			PeerID:   bittorrent.PeerID{byte(peer)},
			Port:     6881,
			Left:     int64(peer % 3),
			Uploaded: int64(peer),
			Key:      1<<32 - 1,
			NumWant:  50,
		},
		From: netip.AddrFrom4([4]byte{10, 0, 0, byte(peer)}),
		Now:  time.Unix(1_700_000_000, 0),
	}
}

func do(t *testing.T, s swarm.Store, a *swarm.Announce) {
	t.Helper()
	if err := s.Announce(context.Background(), a, new(swarm.Reply)); err != nil {
		t.Fatal(err)
	}
}

// contents returns all that a store holds, by peer and torrent.
func contents(t *testing.T, s swarm.Store) map[string]swarm.Peer {
	t.Helper()
	all := map[string]swarm.Peer{}
	for snapshot, err := range s.Swarms(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		all[fmt.Sprintf("%v downloaded %d", snapshot.InfoHash, snapshot.Downloaded)] = swarm.Peer{}
		for _, p := range snapshot.Peers {
			all[fmt.Sprintf("%v %v", snapshot.InfoHash, p.Addr)] = p
		}
	}
	return all
}

func wantSame(t *testing.T, got, want map[string]swarm.Peer) {
	t.Helper()
	for key, w := range want {
		g, ok := got[key]
		if !ok {
			t.Errorf("%s is missing", key)
			continue
		}
		if !g.First.Equal(w.First) || !g.Last.Equal(w.Last) {
			t.Errorf("%s: seen %v to %v, want %v to %v", key, g.First, g.Last, w.First, w.Last)
		}
		g.First, g.Last = w.First, w.Last
		if g != w {
			t.Errorf("%s: %+v, want %+v", key, g, w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
}

// history leaves peers of all kinds and both families, some gone, some expired,
// and completed counts with and without peers.
func history(t *testing.T, s swarm.Store) {
	t.Helper()
	for torrent := range 256 {
		for peer := range 3 {
			a := announce(byte(torrent), peer)
			a.InfoHash[1] = 0
			if torrent%2 == 0 {
				a.From = netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", peer+1))
			}
			if peer == 1 && torrent%5 == 0 {
				a.Event = bittorrent.EventPaused
			}
			if torrent%7 == 0 {
				a.Now = a.Now.Add(time.Hour)
			}
			do(t, s, a)
			if peer == 0 || torrent%11 == 0 {
				a.Left, a.Event = 0, bittorrent.EventCompleted
				do(t, s, a)
			}
			if torrent%3 == 0 {
				a.Event = bittorrent.EventStopped
				do(t, s, a)
			}
		}
	}
	if _, err := s.Expire(context.Background(), time.Unix(1_700_000_100, 0)); err != nil {
		t.Fatal(err)
	}
}

func TestRestartKeepsPeersAndCompletedCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "waggle.db")
	s := open(t, path, sqlite.Options{FlushEvery: time.Millisecond, Memory: detailed.Memory})
	history(t, s)
	want := contents(t, s)
	closeStore(t, s)
	if len(want) < 100 {
		t.Fatalf("the history left only %d entries", len(want))
	}

	again := open(t, path, detailed)
	wantSame(t, contents(t, again), want)
	closeStore(t, again)
}

func TestLaneThatOverflowsIsWrittenWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	s := open(t, path, sqlite.Options{FlushEvery: time.Hour, MaxLane: 8, Memory: detailed.Memory})
	history(t, s)
	want := contents(t, s)
	closeStore(t, s)

	again := open(t, path, sqlite.Options{MaxLane: 8, Memory: detailed.Memory})
	wantSame(t, contents(t, again), want)
	history(t, again)
	want = contents(t, again)
	closeStore(t, again)

	third := open(t, path, detailed)
	wantSame(t, contents(t, third), want)
	closeStore(t, third)
}

func TestFileAheadOfTheLimitsIsCutToThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	s := open(t, path, detailed)
	for n := range 10 {
		do(t, s, announce(1, n))
	}
	closeStore(t, s)
	small := open(t, path, sqlite.Options{Memory: memory.Options{MaxPeers: 4}})
	closeStore(t, small)
	large := open(t, path, detailed)
	defer closeStore(t, large)
	if got, _ := large.Totals(context.Background()); got.Peers != 4 {
		t.Errorf("%d peers, want the 4 that the limit left", got.Peers)
	}
}

func TestFailedTransactionIsMadeUpFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	s := open(t, path, sqlite.Options{FlushEvery: time.Millisecond, Memory: detailed.Memory})
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec("ALTER TABLE swarms RENAME TO hidden"); err != nil {
		t.Fatal(err)
	}
	do(t, s, announce(1, 1))
	waitFor(t, func() bool { return !s.Healthy() })
	if _, err := other.Exec("ALTER TABLE hidden RENAME TO swarms"); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, s.Healthy)
	want := contents(t, s)
	closeStore(t, s)
	again := open(t, path, detailed)
	defer closeStore(t, again)
	wantSame(t, contents(t, again), want)
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatal("waited two minutes in vain")
		case <-tick.C:
		}
	}
}

func TestSecondProcessIsKeptOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	s := open(t, path, detailed)
	defer closeStore(t, s)
	if _, err := sqlite.Open(context.Background(), path, detailed); !errors.Is(err, sqlitefile.ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
}

func TestFileThatIsNotOursIsRefusedAndLeftAlone(t *testing.T) {
	valid := filepath.Join(t.TempDir(), "waggle.db")
	s := open(t, valid, sqlite.Options{})
	for n := range 200 {
		do(t, s, announce(byte(n), n))
	}
	closeStore(t, s)
	whole, err := os.ReadFile(valid)
	if err != nil {
		t.Fatal(err)
	}
	edited := func(edit func([]byte) []byte) []byte { return edit(bytes.Clone(whole)) }
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	db, err := sql.Open("sqlite", foreign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE contents (sha1)"); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	foreignBytes, err := os.ReadFile(foreign)
	if err != nil {
		t.Fatal(err)
	}

	for name, test := range map[string]struct {
		file []byte
		want error
	}{
		"another program's":     {foreignBytes, sqlitefile.ErrForeign},
		"cut short":             {whole[:len(whole)/2], sqlitefile.ErrDamaged},
		"a page overwritten":    {edited(func(b []byte) []byte { fill(b[4096:8192]); return b }), sqlitefile.ErrDamaged},
		"all pages overwritten": {edited(func(b []byte) []byte { fill(b[100:]); return b }), sqlitefile.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "waggle.db")
			if err := os.WriteFile(path, test.file, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := sqlite.Open(context.Background(), path, detailed)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if !bytes.Contains([]byte(err.Error()), []byte(path)) {
				t.Errorf("the error does not name the file: %v", err)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(after, test.file) {
				t.Error("the file was changed")
			}
		})
	}
}

func fill(b []byte) {
	for i := range b {
		b[i] = 0xa5
	}
}

func TestRowOutOfRangeIsDamage(t *testing.T) {
	for name, statement := range map[string]string{
		"place of 3 bytes":      "UPDATE swarms SET place = x'010203'",
		"place of 25 bytes":     "UPDATE swarms SET place = substr(place, 1, 25)",
		"IPv4 address in 16":    "UPDATE swarms SET place = CAST(substr(place, 1, 20) || x'00000000000000000000ffff0a0000010001' AS BLOB)",
		"kind beyond the kinds": "UPDATE swarms SET state = CAST(x'09' || substr(state, 2) AS BLOB)",
		"state of 2 bytes":      "UPDATE swarms SET state = x'0102'",
		"torrent of 1 byte":     "INSERT INTO swarms VALUES (x'01', x'00000001')",
		"count of 1 byte":       "INSERT INTO swarms VALUES (zeroblob(20), x'01')",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "waggle.db")
			s := open(t, path, detailed)
			do(t, s, announce(1, 1))
			closeStore(t, s)
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := sqlite.Open(context.Background(), path, detailed); !errors.Is(err, sqlitefile.ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
		})
	}
}

func TestDamageIsFoundWithoutTouchingTheFileOrItsLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	s := open(t, path, detailed)
	for n := range 2000 {
		do(t, s, announce(byte(n), n%256))
	}
	closeStore(t, s)
	s = open(t, path, sqlite.Options{FlushEvery: time.Millisecond})
	defer closeStore(t, s)
	do(t, s, announce(1, 1))
	waitFor(t, func() bool {
		info, err := os.Stat(path + "-wal")
		return err == nil && info.Size() > 0
	})

	killed := filepath.Join(t.TempDir(), "killed.db")
	before := map[string][]byte{}
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if suffix == "" {
			fill(content[8192:])
		}
		before[suffix] = content
		if err := os.WriteFile(killed+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sqlite.Open(context.Background(), killed, detailed); !errors.Is(err, sqlitefile.ErrDamaged) {
		t.Fatalf("got %v, want ErrDamaged", err)
	}
	for suffix, want := range before {
		if after, err := os.ReadFile(killed + suffix); err != nil || !bytes.Equal(after, want) {
			t.Errorf("the file%s was changed (%v)", suffix, err)
		}
	}
}

func TestCloseLeavesNoLogBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	for range 2 {
		s := open(t, path, detailed)
		history(t, s)
		closeStore(t, s)
		if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after closing, the log is there still (%v)", err)
		}
	}
}

func TestInterruptedOpeningLeavesTheFileForTheNext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	s := open(t, path, detailed)
	history(t, s)
	want := contents(t, s)
	closeStore(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	interrupted := detailed
	interrupted.Now = func() time.Time { // asked for when reading begins
		cancel()
		return time.Now()
	}
	if _, err := sqlite.Open(ctx, path, interrupted); !errors.Is(err, context.Canceled) || errors.Is(err, sqlitefile.ErrDamaged) {
		t.Fatalf("got %v, want the context's end", err)
	}
	again := open(t, path, detailed)
	defer closeStore(t, again)
	wantSame(t, contents(t, again), want)
}

func TestFileShowsPeersAndContentsToPeople(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	s := open(t, path, detailed)
	for _, from := range []string{"192.0.2.255", "2001:db8::c0:ffee"} {
		a := announce(1, 0)
		a.From, a.Uploaded, a.Event = netip.MustParseAddr(from), 1<<63-1, bittorrent.EventCompleted
		do(t, s, a)
	}
	closeStore(t, s)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	id := "0000000000000000000000000000000000000000"
	for query, want := range map[string]string{
		"SELECT hex(sha1) || ' ' || downloaded FROM torrents":                               "01" + id[2:] + " 2",
		"SELECT hex(id) || ' ' || host || ' ' || port FROM peer_info WHERE host LIKE '%.%'": id + " 192.0.2.255 6881",
		"SELECT hex(sha1) || ' ' || hex(peer_id) || ' ' || host || ' ' || port || ' ' || kind FROM contents WHERE host LIKE '%:%'": "01" +
			id[2:] + " " + id + " 2001:0db8:0000:0000:0000:0000:00c0:ffee 6881 seeder",
		"SELECT key || ' ' || last_seen || ' ' || first_seen || ' ' || uploaded || ' ' || downloaded || ' ' || remaining FROM contents LIMIT 1": "4294967295 1700000000 1700000000 9223372036854775807 0 0",
	} {
		var got string
		if err := db.QueryRow(query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q (%v), want %q", query, got, err, want)
		}
	}
}
