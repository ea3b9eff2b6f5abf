package catalog

import (
	"fmt"
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
