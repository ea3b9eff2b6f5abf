package peer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/sqlitefile"
)

// Environment of the helper: this binary, as a process that can be killed.
const (
	helperTorrent = "WAGGLE_PEER_TORRENT"
	helperFolder  = "WAGGLE_PEER_FOLDER"
)

func TestMain(m *testing.M) {
	if os.Getenv(helperTorrent) != "" {
		help()
		return
	}
	os.Exit(m.Run())
}

// help fetches slowly, and prints how far it is.
func help() {
	err := func() error {
		b, err := os.ReadFile(os.Getenv(helperTorrent))
		if err != nil {
			return err
		}
		if err := confine(); err != nil {
			return err
		}
		d, err := OpenPart(context.Background(), b, os.Getenv(helperFolder))
		if err != nil {
			return err
		}
		c, err := New(loopbackOnly(Options{Down: 4 << 20, Prefer: d.Port()}))
		if err != nil {
			return err
		}
		t, err := c.Add(context.Background(), d)
		if err != nil {
			return err
		}
		go func() {
			for range time.Tick(20 * time.Millisecond) {
				fmt.Println(t.Stats().Have, c.Port())
			}
		}()
		return errors.Join(t.Wait(context.Background()), c.Close())
	}()
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// helper starts the helper.
func helper(t *testing.T, b []byte, folder string) (*exec.Cmd, io.Reader) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.torrent")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), helperTorrent+"="+path, helperFolder+"="+folder)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// killAt runs the helper, kills it once it has some bytes, and returns its port.
func killAt(t *testing.T, b []byte, folder string, bytes int64) (port uint16) {
	t.Helper()
	cmd, out := helper(t, b, folder)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var have int64
	for lines := bufio.NewScanner(out); have < bytes && lines.Scan(); {
		if _, err := fmt.Sscan(lines.Text(), &have, &port); err != nil {
			t.Fatalf("the helper says %q", lines.Text())
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if have < bytes {
		t.Fatalf("the helper ended with %d bytes", have)
	}
	return port
}

func TestKilledDownloadGoesOnWhereItWas(t *testing.T) {
	tr := startTracker(t)
	const size = 12 << 20
	source := aFile(t, size)
	b := create(t, source, tr.udp)
	seed(t, b, source, Options{})
	to := t.TempDir()
	// Far enough for the rows of a second or more to be written.
	port := killAt(t, b, to, 8<<20)
	if _, err := os.Lstat(filepath.Join(to, "image.bin")); err == nil {
		t.Error("half of the data have the final name")
	}

	d, err := OpenPart(t.Context(), b, to)
	if err != nil {
		t.Fatal(err)
	}
	if d.Port() != port {
		t.Errorf("port %d is remembered, want %d", d.Port(), port)
	}
	unsure := 0
	for _, s := range d.files.pieces {
		if s == unknown {
			unsure++
		}
	}
	if d.start == 0 && len(d.notes) == 0 {
		t.Error("the table vouches for nothing, and nobody says why")
	}
	if n := len(d.files.pieces); d.start > 0 && unsure > n*2/3 {
		t.Errorf("%d of %d pieces are to be hashed", unsure, n)
	}
	got := add(t, client(t, Options{Prefer: port}), d, nil)
	wait(t, got)
	wantSame(t, filepath.Join(to, "image.bin"), source)
	s := got.Stats()
	if s.Resumed < 8<<20 || s.Resumed+s.Downloaded > size+1<<20 {
		t.Errorf("%d bytes of %d were resumed, and %d fetched", s.Resumed, size, s.Downloaded)
	}
	eventually(t, "the tracker takes both for one peer", func() bool {
		peers, downloaded := tr.peers(got.Metainfo())
		return len(peers) == 2 && downloaded == 1
	})
}

// half fetches some of a torrent of a file, and ends well.
func half(t *testing.T, b []byte, folder string) {
	t.Helper()
	d, err := OpenPart(t.Context(), b, folder)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(loopbackOnly(Options{Down: 1 << 20}))
	if err != nil {
		t.Fatal(err)
	}
	got := add(t, c, d, nil)
	eventually(t, "half is there", func() bool { return got.Stats().Have > got.Stats().Size/3 })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0xff
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFileChangedUnderneathIsHashedAgainAndMended(t *testing.T) {
	tr := startTracker(t)
	source := aFile(t, 1<<20)
	b := create(t, source, tr.udp)
	seed(t, b, source, Options{})
	to := t.TempDir()
	half(t, b, to)
	d, err := OpenPart(t.Context(), b, to)
	if err != nil {
		t.Fatal(err)
	}
	first := -1
	for i, s := range d.files.pieces {
		if s == whole && first < 0 {
			first = i
		}
		if s == unknown && d.files.layout.bytes(i) > 0 && len(d.notes) > 0 {
			t.Fatalf("after a stop piece %d is not sure: %q", i, d.notes)
		}
	}
	if err := d.Close(); err != nil || first < 0 {
		t.Fatal(err, first)
	}
	flip(t, filepath.Join(to, "image.bin.part"), int64(first)*pieceLength)

	heard := &said{}
	got := fetch(t, b, to, Options{Say: heard.say})
	wantSame(t, filepath.Join(to, "image.bin"), source)
	if !heard.about(t, "has changed since it was left") {
		t.Errorf("the user was told only %q", heard.lines)
	}
	if s := got.Stats(); s.Vouched != 0 || s.Resumed == 0 {
		t.Errorf("%+v: want nothing vouched for, and what is good resumed", s)
	}
}

func TestFileChangedDuringTheDownloadIsNeverPutInPlace(t *testing.T) {
	tr := startTracker(t)
	source := aFile(t, 1<<20)
	b := create(t, source, tr.udp)
	seed(t, b, source, Options{})
	to := t.TempDir()
	heard := &said{}
	d, err := OpenPart(t.Context(), b, to)
	got := add(t, client(t, Options{Down: 512 << 10, Say: heard.say}), d, err)
	for done := false; !done; {
		eventually(t, "a piece is there", func() bool { return got.Stats().Have > 0 })
		for i := range got.files.pieces {
			if got.files.pieceState(i) == whole {
				flip(t, filepath.Join(to, "image.bin.part"), int64(i)*pieceLength)
				done = true
				break
			}
		}
	}
	wait(t, got)
	wantSame(t, filepath.Join(to, "image.bin"), source)
}

func TestDamagedTableIsBegunAnew(t *testing.T) {
	tr := startTracker(t)
	source := aFile(t, 1<<20)
	b := create(t, source, tr.udp)
	seed(t, b, source, Options{})
	to := t.TempDir()
	half(t, b, to)
	path := filepath.Join(to, ".image.bin.waggle")
	stat, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(100); at < stat.Size(); at += 7 {
		flip(t, path, at)
	}
	heard := &said{}
	got := fetch(t, b, to, Options{Say: heard.say})
	wantSame(t, filepath.Join(to, "image.bin"), source)
	if s := got.Stats(); !heard.about(t, "was damaged") || s.Resumed == 0 {
		t.Errorf("%+v; the user was told %q", s, heard.lines)
	}
}

func TestTableWithAFaultThatSQLiteOnlyTellsOfIsBegunAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".image.bin.waggle")
	reopen := func() (damaged bool) {
		t.Helper()
		table, damaged, err := openTable(t.Context(), path, bittorrent.InfoHash{1})
		if err != nil {
			t.Fatal(err)
		}
		if err := table.close(); err != nil {
			t.Fatal(err)
		}
		return damaged
	}
	if reopen() {
		t.Error("a new table is damaged")
	}
	flip(t, path, 39) // of the number of free pages
	if !reopen() {
		t.Error("the fault was not seen")
	}
	if reopen() {
		t.Error("the table was not begun anew")
	}
}

func TestForeignFileInTheTablesPlaceIsLeftAlone(t *testing.T) {
	b := create(t, aFile(t, pieceLength))
	to := t.TempDir()
	path := filepath.Join(to, ".image.bin.waggle")
	if err := os.WriteFile(path, []byte(strings.Repeat("mine ", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPart(t.Context(), b, to); !errors.Is(err, sqlitefile.ErrForeign) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want %v and the path", err, sqlitefile.ErrForeign)
	}
	if have, _ := os.ReadFile(path); len(have) != 500 {
		t.Error("the file was changed")
	}
}
