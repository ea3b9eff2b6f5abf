package catalog

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/torrent"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		child(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// start is when the tests begin.
var start = time.Unix(1_700_000_000, 0).UTC()

// clock is a clock that is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

func (c *clock) step() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Minute)
	return c.now
}

// text returns s in bencoding.
func text[S ~string | ~[]byte](s S) string { return strconv.Itoa(len(s)) + ":" + string(s) }

// single returns a .torrent of one file, which differs with n.
func single(name string, n int) []byte {
	pieces := sha1.Sum([]byte(strconv.Itoa(n)))
	return []byte("d4:infod6:lengthi" + strconv.Itoa(n%16384+1) + "e4:name" + text(name) +
		"12:piece lengthi16384e6:pieces" + text(pieces[:]) + "ee")
}

// hybrid returns a .torrent of one file, of both versions.
func hybrid(name string) []byte {
	root, pieces := bytes.Repeat([]byte("r"), 32), bytes.Repeat([]byte("p"), 20)
	return []byte("d4:infod9:file treed" + text(name) + "d0:d6:lengthi100e11:pieces root" + text(root) +
		"eee6:lengthi100e12:meta versioni2e4:name" + text(name) + "12:piece lengthi16384e6:pieces" + text(pieces) + "ee")
}

func hashOf(t testing.TB, metainfo []byte) bittorrent.InfoHash {
	t.Helper()
	m, err := torrent.Parse(metainfo)
	if err != nil {
		t.Fatal(err)
	}
	return m.InfoHash()
}

func mustOpen(t testing.TB, o Options) *Catalog {
	t.Helper()
	if o.Store == nil {
		o.Store = NewMemory(0)
	}
	c, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, c) })
	return c
}

func mustClose(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func mustAdd(t testing.TB, c *Catalog, file string, metainfo []byte) Transfer {
	t.Helper()
	transfer, err := c.Add(context.Background(), file, metainfo)
	if err != nil {
		t.Fatal(err)
	}
	return transfer
}

func mustGet(t testing.TB, c *Catalog, h bittorrent.InfoHash) Transfer {
	t.Helper()
	transfer, err := c.Get(h)
	if err != nil {
		t.Fatal(err)
	}
	return transfer
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func wantActive(t testing.TB, c *Catalog, metainfo []byte, want bool) {
	t.Helper()
	h := hashOf(t, metainfo)
	if got := c.Active(&h); got != want {
		t.Errorf("%v active: %v, want %v", h, got, want)
	}
}

func history(t testing.TB, c *Catalog) []Period {
	t.Helper()
	page, next, err := c.History(background, "", 1000)
	if err != nil || next != "" {
		t.Fatal(err, next)
	}
	return page
}

func write(t testing.TB, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// age has a file be as it is for an hour.
func age(t testing.TB, dir, name string) {
	t.Helper()
	at := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
		t.Fatal(err)
	}
}

func unlink(t testing.TB, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func rename(t testing.TB, dir, from, to string) {
	t.Helper()
	if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
		t.Fatal(err)
	}
}

// blind is a system that does not tell of changes.
func blind(string) (*fsnotify.Watcher, error) { return nil, errors.New("not here") }

// byHand returns options for a directory that is only looked at by scan.
func byHand(dir string) Options {
	return Options{Directory: dir, notify: blind, Poll: 1000 * time.Hour}
}

func mustScan(t testing.TB, c *Catalog) {
	t.Helper()
	if err := c.scan(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// broken is a store that fails when it is told to.
type broken struct {
	Store
	mu  sync.Mutex
	err error
}

func (b *broken) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *broken) Apply(ctx context.Context, changes []Change) error {
	b.mu.Lock()
	err := b.err
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.Store.Apply(ctx, changes)
}

func openSQLite(t testing.TB, path string) *SQLite {
	t.Helper()
	s, err := OpenSQLite(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, s) })
	return s
}

// childPath names the file that a child process works on.
const childPath = "WAGGLE_CATALOG_CHILD"

// child adds a torrent, says so, and waits to be killed.
func child(path string) {
	store, err := OpenSQLite(context.Background(), path)
	if err != nil {
		panic(err)
	}
	c, err := Open(context.Background(), Options{Store: store})
	if err != nil {
		panic(err)
	}
	if _, err := c.Add(context.Background(), "first.torrent", single("first", 1)); err != nil {
		panic(err)
	}
	second, err := c.Add(context.Background(), "second.torrent", single("second", 2))
	if err != nil {
		panic(err)
	}
	if _, err := c.Deactivate(context.Background(), second.InfoHash); err != nil {
		panic(err)
	}
	fmt.Println("ready")
	select {}
}
