package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"waggle/torrent"
)

// followed is a catalogue that watches a directory.
type followed struct {
	*Catalog
	dir    string
	looked chan struct{}
}

func follow(t *testing.T, o Options) *followed {
	t.Helper()
	f := &followed{dir: o.Directory, looked: make(chan struct{}, 1)}
	o.looked = func() {
		select {
		case f.looked <- struct{}{}:
		default: // one is enough
		}
	}
	f.Catalog = mustOpen(t, o)
	return f
}

// until waits for looks at the directory until one makes the condition true.
func (f *followed) until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for !condition() {
		select {
		case <-f.looked:
		case <-timeout:
			t.Fatalf("never seen: %s", what)
		}
	}
}

func (f *followed) untilActive(t *testing.T, metainfo []byte, active bool) {
	t.Helper()
	h := hashOf(t, metainfo)
	f.until(t, "torrent comes or goes", func() bool { return f.Active(&h) == active })
}

func TestDirectoryIsFollowed(t *testing.T) {
	for name, o := range map[string]Options{
		"Notified": {Poll: 1000 * time.Hour},
		"Polled":   {Poll: 5 * time.Millisecond, notify: blind},
	} {
		t.Run(name, func(t *testing.T) {
			o.Directory = t.TempDir()
			first, second, other := single("a", 1), single("a", 1+16384), single("b", 2)
			write(t, o.Directory, "a.torrent", first)
			f := follow(t, o)
			wantActive(t, f.Catalog, first, true)

			write(t, f.dir, "b.torrent", other)
			f.untilActive(t, other, true)

			write(t, f.dir, "a.torrent", second) // of the same size
			f.untilActive(t, second, true)
			wantActive(t, f.Catalog, first, false)

			rename(t, f.dir, "b.torrent", "c.torrent")
			f.until(t, "new name", func() bool { return mustGet(t, f.Catalog, hashOf(t, other)).File == "c.torrent" })
			wantActive(t, f.Catalog, other, true)

			unlink(t, f.dir, "c.torrent")
			f.untilActive(t, other, false)

			write(t, f.dir, ".hidden", other)
			rename(t, f.dir, ".hidden", "B.TORRENT")
			f.untilActive(t, other, true)

			h := hashOf(t, other)
			if err := f.Delete(context.Background(), h); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(f.dir, "B.TORRENT")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file is still there: %v", err)
			}
			write(t, f.dir, "end.torrent", single("end", 3))
			f.untilActive(t, single("end", 3), true)
			_, err := f.Get(h)
			wantError(t, err, ErrUnknown)
		})
	}
}

func TestFileThatIsBeingWrittenIsTakenOnceItIsWhole(t *testing.T) {
	var log bytes.Buffer
	f := follow(t, Options{Directory: t.TempDir(), Poll: 1000 * time.Hour, Log: slog.New(slog.NewTextHandler(&log, nil))})
	whole := single("slow", 1)
	for _, n := range []int{0, 1, 50, len(whole) - 1} {
		write(t, f.dir, "slow.torrent", whole[:n])
		<-f.looked
		wantActive(t, f.Catalog, whole, false)
	}
	write(t, f.dir, "slow.torrent", whole)
	f.untilActive(t, whole, true)
	mustClose(t, f.Catalog)
	if n := strings.Count(log.String(), "is no torrent"); n != 1 {
		t.Errorf("logged %d times, want once:\n%s", n, log.String())
	}
}

func TestDirectoryThatIsReplacedIsWatchedAgain(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "torrents")
	mkdir(t, dir)
	write(t, dir, "a.torrent", single("a", 1))
	watched := make(chan struct{}, 10)
	f := follow(t, Options{Directory: dir, Poll: 5 * time.Millisecond, notify: func(dir string) (*fsnotify.Watcher, error) {
		watched <- struct{}{}
		return newWatcher(dir)
	}})
	<-watched
	rename(t, parent, "torrents", "away")
	<-f.looked
	<-f.looked // the second began when there was no directory
	wantActive(t, f.Catalog, single("a", 1), true)
	mkdir(t, dir)
	<-watched
	write(t, dir, "b.torrent", single("b", 2))
	f.untilActive(t, single("b", 2), true)
	f.untilActive(t, single("a", 1), false)
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryThatCannotBeReadFailsTheStart(t *testing.T) {
	_, err := Open(context.Background(), Options{Store: NewMemory(0), Directory: filepath.Join(t.TempDir(), "none")})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "make it") {
		t.Errorf("error %v", err)
	}
}

func TestWhatIsNoTorrentIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "folder.torrent"))
	for _, name := range []string{".hidden.torrent", "a.txt", ".torrent", "torrent", "not utf-8 \xff.torrent"} {
		write(t, dir, name, single(name, 1))
	}
	write(t, dir, "broken.torrent", []byte("d4:infodee"))
	write(t, dir, "large.torrent", single(strings.Repeat("x", 1000), 2))
	o := byHand(dir)
	o.MaxBytes = 1000
	c := mustOpen(t, o)
	mustScan(t, c)
	if page, _, _ := c.List("", 0, nil); len(page) > 0 {
		t.Errorf("taken: %+v", page)
	}
}

func TestLinkToATorrentIsFollowed(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	write(t, elsewhere, "x", single("a", 1))
	if err := os.Symlink(filepath.Join(elsewhere, "x"), filepath.Join(dir, "a.torrent")); err != nil {
		t.Fatal(err)
	}
	c := mustOpen(t, byHand(dir))
	wantActive(t, c, single("a", 1), true)
	if err := c.Delete(context.Background(), hashOf(t, single("a", 1))); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(elsewhere, "x")); err != nil {
		t.Errorf("what the link led to was removed: %v", err)
	}
}

func TestDeactivatedByHandStaysSoOverScansAndRestarts(t *testing.T) {
	dir, store := t.TempDir(), NewMemory(0)
	b := single("a", 1)
	h := hashOf(t, b)
	write(t, dir, "a.torrent", b)
	o := byHand(dir)
	o.Store = store
	c := mustOpen(t, o)
	if _, err := c.Deactivate(context.Background(), h); err != nil {
		t.Fatal(err)
	}
	stays := func() {
		t.Helper()
		mustScan(t, c)
		wantActive(t, c, b, false)
		mustClose(t, c)
		c = mustOpen(t, o)
		wantActive(t, c, b, false)
	}
	stays()
	unlink(t, dir, "a.torrent")
	stays()
	_, err := c.Activate(context.Background(), h)
	wantError(t, err, ErrGone)
	_, err = c.Torrent(context.Background(), h)
	wantError(t, err, ErrGone)
	write(t, dir, "b.torrent", b)
	stays()
	if _, err := c.Activate(context.Background(), h); err != nil {
		t.Fatal(err)
	}
	if got := mustGet(t, c, h); got.File != "b.torrent" {
		t.Errorf("in %s", got.File)
	}
	mustClose(t, c)
	c = mustOpen(t, o)
	wantActive(t, c, b, true)
}

func TestDeactivatedByHandWhileTheFileIsGoneDoesNotComeBack(t *testing.T) {
	dir := t.TempDir()
	b := single("a", 1)
	write(t, dir, "a.torrent", b)
	c := mustOpen(t, byHand(dir))
	unlink(t, dir, "a.torrent")
	mustScan(t, c)
	if _, err := c.Deactivate(context.Background(), hashOf(t, b)); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "a.torrent", b)
	mustScan(t, c)
	wantActive(t, c, b, false)
}

func TestUploadTakesThePlaceOfAFileThatIsGone(t *testing.T) {
	dir := t.TempDir()
	b := single("a", 1)
	write(t, dir, "a.torrent", b)
	c := mustOpen(t, byHand(dir))
	_, err := c.Add(context.Background(), "up.torrent", b)
	wantError(t, err, ErrDuplicate)
	registered := mustGet(t, c, hashOf(t, b)).Registered
	unlink(t, dir, "a.torrent")
	mustScan(t, c)
	got := mustAdd(t, c, "up.torrent", b)
	if !got.Active() || got.Source != Upload || got.File != "up.torrent" || !got.Registered.Equal(registered) {
		t.Errorf("%+v", got)
	}
	mustScan(t, c)
	wantActive(t, c, b, true)
	if n := len(c.Named("a.torrent")); n > 0 {
		t.Error("it still has its old file name")
	}
}

func TestCopiesStepInWhenTheFileGoesAndAreDeletedWithIt(t *testing.T) {
	dir := t.TempDir()
	b := single("a", 1)
	for _, name := range []string{"1.torrent", "2.torrent", "3.torrent", "4.torrent"} {
		write(t, dir, name, b)
	}
	c := mustOpen(t, byHand(dir))
	for _, name := range []string{"1.torrent", "2.torrent"} {
		if got := mustGet(t, c, hashOf(t, b)); got.File != name || !got.Active() || c.Len() != 1 {
			t.Errorf("want it in %s: %+v", name, got)
		}
		unlink(t, dir, name)
		mustScan(t, c)
	}
	if len(history(t, c)) > 0 {
		t.Error("it was deactivated in between")
	}
	if err := c.Delete(context.Background(), hashOf(t, b)); err != nil {
		t.Fatal(err)
	}
	mustScan(t, c)
	if left, _ := os.ReadDir(dir); len(left) > 0 || c.Len() > 0 {
		t.Errorf("left: %v, %d torrents", left, c.Len())
	}
}

func TestBrokenFileLeavesTheTorrentThatItWas(t *testing.T) {
	dir := t.TempDir()
	b := single("a", 1)
	write(t, dir, "a.torrent", b)
	c := mustOpen(t, byHand(dir))
	write(t, dir, "a.torrent", b[:20])
	mustScan(t, c)
	wantActive(t, c, b, true)
	_, err := c.Torrent(context.Background(), hashOf(t, b))
	wantError(t, err, torrent.ErrMalformed)
	write(t, dir, "a.torrent", single("other", 2))
	_, err = c.Torrent(context.Background(), hashOf(t, b))
	wantError(t, err, ErrGone)
	mustScan(t, c)
	wantActive(t, c, b, false)
	wantActive(t, c, single("other", 2), true)
}

func TestFullCatalogueTakesFilesWhenThereIsRoom(t *testing.T) {
	dir := t.TempDir()
	for n, name := range []string{"1.torrent", "2.torrent", "3.torrent"} {
		write(t, dir, name, single(name, n))
	}
	o := byHand(dir)
	o.MaxTorrents = 2
	o.Now = func() time.Time { return time.Now().Add(time.Hour) } // no file is so new that it is read again for that
	c := mustOpen(t, o)
	third := single("3.torrent", 2)
	wantActive(t, c, third, false)
	if err := c.Delete(context.Background(), hashOf(t, single("1.torrent", 0))); err != nil {
		t.Fatal(err)
	}
	mustScan(t, c)
	wantActive(t, c, third, true)

	write(t, dir, "4.torrent", single("4.torrent", 3))
	mustScan(t, c)
	wantActive(t, c, single("4.torrent", 3), false)
	unlink(t, dir, "2.torrent")
	mustScan(t, c) // sees that there is room now
	mustScan(t, c)
	wantActive(t, c, single("4.torrent", 3), true)
	if c.Len() != 2 {
		t.Errorf("%d torrents", c.Len())
	}
}

func TestWithoutItsDirectoryTheTorrentsAreDeactivated(t *testing.T) {
	dir, store := t.TempDir(), NewMemory(0)
	b := single("a", 1)
	write(t, dir, "a.torrent", b)
	o := byHand(dir)
	o.Store = store
	mustClose(t, mustOpen(t, o))
	c := mustOpen(t, Options{Store: store})
	wantActive(t, c, b, false)
	_, err := c.Torrent(context.Background(), hashOf(t, b))
	wantError(t, err, ErrGone)
	mustClose(t, c)
	wantActive(t, mustOpen(t, o), b, true)
}

func TestStoreThatFailsLosesNothingOfTheDirectory(t *testing.T) {
	dir := t.TempDir()
	store := &broken{Store: NewMemory(0)}
	o := byHand(dir)
	o.Store = store
	o.Now = func() time.Time { return start.Add(time.Hour) }
	added, changed, copied, gone := single("a", 1), single("c", 3), single("b", 2), single("d", 4)
	stamped(t, dir, "c.torrent", single("c", 2), start)
	stamped(t, dir, "d.torrent", gone, start)
	c := mustOpen(t, o)
	full := errors.New("disk full")
	for _, tt := range []struct {
		change func()
		after  map[string]bool // active
	}{
		{func() { stamped(t, dir, "a.torrent", added, start) }, map[string]bool{string(added): true}},
		{func() { stamped(t, dir, "c.torrent", changed, start.Add(1)) }, map[string]bool{string(changed): true, string(single("c", 2)): false}},
		{func() { unlink(t, dir, "d.torrent") }, map[string]bool{string(gone): false}},
		{func() {
			stamped(t, dir, "b.torrent", copied, start)
			stamped(t, dir, "b2.torrent", copied, start)
		}, map[string]bool{string(copied): true}},
		{func() { unlink(t, dir, "b.torrent") }, map[string]bool{string(copied): true}},
	} {
		before, _, _ := c.List("", 0, nil)
		tt.change()
		store.fail(full)
		for range 2 {
			wantError(t, c.scan(context.Background()), full)
			if now, _, _ := c.List("", 0, nil); !slices.Equal(now, before) {
				t.Errorf("\nbefore %+v\nnow    %+v", before, now)
			}
		}
		store.fail(nil)
		mustScan(t, c)
		for b, active := range tt.after {
			wantActive(t, c, []byte(b), active)
		}
	}
	if got := mustGet(t, c, hashOf(t, copied)); got.File != "b2.torrent" {
		t.Errorf("%+v", got)
	}
}

func TestTorrentThatIsDeletedWhileItsFileIsReadStaysDeleted(t *testing.T) {
	dir := t.TempDir()
	b := single("a", 1)
	write(t, dir, "a.torrent", b)
	c := mustOpen(t, byHand(dir))
	c.files.suspect([]string{"a.torrent"})
	seen := c.see([]string{"a.torrent"})
	if err := c.Delete(context.Background(), hashOf(t, b)); err != nil {
		t.Fatal(err)
	}
	if err := c.settle(context.Background(), seen); err != nil || len(seen) != 1 {
		t.Fatal(err, seen)
	}
	if c.Len() > 0 {
		t.Error("it came back")
	}
}

func TestVeryManyFilesAtOnceAreAllTaken(t *testing.T) {
	const n = maxChanged + 500
	f := follow(t, Options{Directory: t.TempDir(), Poll: 1000 * time.Hour})
	for i := range n {
		write(t, f.dir, fmt.Sprintf("%d.torrent", i), single(fmt.Sprint(i), i))
	}
	f.until(t, "all of them", func() bool { return f.Len() == n })
}

// stamped writes a file as if it had been written at a given time.
func stamped(t *testing.T, dir, name string, b []byte, at time.Time) {
	t.Helper()
	write(t, dir, ".new", b)
	if err := os.Chtimes(filepath.Join(dir, ".new"), at, at); err != nil {
		t.Fatal(err)
	}
	rename(t, dir, ".new", name)
}

func TestUnchangedFilesAreNotReadAgainButFreshOnesAre(t *testing.T) {
	b, other := single("a", 1), single("a", 1+16384)
	// Nobody could tell the second file from the first by size and time.
	for age, again := range map[time.Duration]bool{time.Hour: false, time.Second: true} {
		o := byHand(t.TempDir())
		o.Store = NewMemory(0)
		o.Now = func() time.Time { return start }
		stamped(t, o.Directory, "a.torrent", b, start.Add(-age))
		mustClose(t, mustOpen(t, o))
		c := mustOpen(t, o)
		stamped(t, o.Directory, "a.torrent", other, start.Add(-age))
		mustScan(t, c)
		wantActive(t, c, other, again)
		wantActive(t, c, b, !again)
	}
}

func TestChangeThatTheSystemTellsOfIsSeenThoughSizeAndTimeAreTheSame(t *testing.T) {
	dir := t.TempDir()
	stamped(t, dir, "a.torrent", single("a", 1), start)
	f := follow(t, Options{Directory: dir, Poll: 1000 * time.Hour})
	stamped(t, dir, "a.torrent", single("a", 1+16384), start)
	f.untilActive(t, single("a", 1+16384), true)
	wantActive(t, f.Catalog, single("a", 1), false)
}
