package catalog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"waggle/document/documenttest"
)

func TestTrackerWithoutADirectoryLeavesThatOfOthersAlone(t *testing.T) {
	m, dir := documenttest.NewMemory(), t.TempDir()
	write(t, dir, "a.torrent", single("a", 1))
	o := byHand(dir)
	a := trackers(t, 1, m, o)[0]
	wantActive(t, a, single("a", 1), true)
	b := trackers(t, 1, m, Options{})[0]
	wantActive(t, b, single("a", 1), true)
	_, err := b.Add(background, "b.torrent", single("a", 1))
	wantError(t, err, ErrDuplicate)
	fresh(t, a)
	wantActive(t, a, single("a", 1), true)
}

func TestTrackersThatWatchOneDirectoryAgree(t *testing.T) {
	m, dir := documenttest.NewMemory(), t.TempDir()
	both := trackers(t, 2, m, byHand(dir))
	a, b := both[0], both[1]
	for n := range 10 {
		write(t, dir, fmt.Sprintf("%d.torrent", n), single(fmt.Sprint(n), n))
	}
	var scans sync.WaitGroup
	for _, c := range both {
		scans.Go(func() { mustScan(t, c) })
	}
	scans.Wait()
	unlink(t, dir, "3.torrent")
	mustScan(t, b)
	mustScan(t, a)
	mustScan(t, b)
	fresh(t, a, b)
	wantAlike(t, a, b)
	wantActive(t, a, single("3", 3), false)
	if a.Len() != 10 || a.LenActive() != 9 || len(history(t, a)) != 1 {
		t.Errorf("%d known, %d active, %d ended", a.Len(), a.LenActive(), len(history(t, a)))
	}
	if err := a.Delete(background, hashOf(t, single("5", 5))); err != nil {
		t.Fatal(err)
	}
	mustScan(t, b)
	fresh(t, a)
	wantAlike(t, a, b)
	if a.Len() != 9 {
		t.Errorf("%d are known", a.Len())
	}
}

func TestDirectoryThatIsTooMuchForOneChangeIsTakenInParts(t *testing.T) {
	m, dir := documenttest.NewMemory(), t.TempDir()
	for n := range 150 {
		write(t, dir, fmt.Sprintf("%d.torrent", n), single(strings.Repeat("\xff", 4_000)+fmt.Sprint(n), n))
	}
	c := trackers(t, 1, m, byHand(dir))[0]
	if c.LenActive() != 150 {
		t.Errorf("%d are active", c.LenActive())
	}
	wantAlike(t, c, trackers(t, 1, m, Options{})[0])
}

func TestFileThatAnotherTrackerHasIsActivatedAndDeletedAtThatOneAlone(t *testing.T) {
	m, dir, own := documenttest.NewMemory(), t.TempDir(), t.TempDir()
	write(t, dir, "a.torrent", single("a", 1))
	age(t, dir, "a.torrent")
	t.Chdir(own) // what lies in the folder where waggle runs is nobody's
	write(t, own, "a.torrent", single("a", 1))
	a, b := trackers(t, 1, m, byHand(dir))[0], trackers(t, 1, m, Options{})[0]
	h := hashOf(t, single("a", 1))
	wantError(t, b.Delete(background, h), ErrElsewhere)
	_, err := b.Torrent(background, h)
	wantError(t, err, ErrElsewhere)
	if _, err := b.Deactivate(background, h); err != nil {
		t.Fatal(err)
	}
	wantError(t, b.Delete(background, h), ErrElsewhere)
	_, err = b.Add(background, "b.torrent", single("a", 1))
	wantError(t, err, ErrDuplicate)
	if _, err := b.Activate(background, h); err != nil {
		t.Errorf("it is there: %v", err)
	}
	unlink(t, dir, "a.torrent")
	mustScan(t, a)
	fresh(t, b)
	wantActive(t, b, single("a", 1), false)
	_, err = b.Activate(background, h)
	wantError(t, err, ErrGone)
	if err := b.Delete(background, h); err != nil {
		t.Errorf("its file is gone: %v", err)
	}
	mustScan(t, a)
	if fresh(t, a, b); a.Len() != 0 || b.Len() != 0 {
		t.Errorf("%d and %d are left", a.Len(), b.Len())
	}
	if _, err := os.Stat(filepath.Join(own, "a.torrent")); err != nil {
		t.Error(err)
	}
}

// TestDirectoryThatIsWatchedNoMoreKeepsItsFiles runs in that directory.
func TestDirectoryThatIsWatchedNoMoreKeepsItsFiles(t *testing.T) {
	store, dir := NewMemory(0), t.TempDir()
	write(t, dir, "a.torrent", single("a", 1))
	age(t, dir, "a.torrent")
	o := byHand(dir)
	o.Store = store
	before, err := Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, before)
	t.Chdir(dir)
	c := mustOpen(t, Options{Store: store})
	wantActive(t, c, single("a", 1), false)
	if err := c.Delete(background, hashOf(t, single("a", 1))); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("a.torrent"); err != nil {
		t.Error(err)
	}
}
