package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"waggle/bittorrent"
	"waggle/document"
	"waggle/document/documenttest"
	"waggle/document/table"
)

var background = context.Background()

// tracker opens a catalogue of its own on documents, which learns of others by Fresh
// alone. Whoever opened it closes it.
func tracker(t rapid.TB, store document.Store, o Options) *Catalog {
	t.Helper()
	o.Store = inDocuments(t, store)
	if o.Refresh == 0 {
		o.Refresh = -1
	}
	o.Profiles = profiles
	c, err := Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// trackers opens some that are closed when the test ends.
func trackers(t *testing.T, n int, store document.Store, o Options) []*Catalog {
	t.Helper()
	all := make([]*Catalog, n)
	for i := range all {
		all[i] = tracker(t, store, o)
		t.Cleanup(func() { mustClose(t, all[i]) })
	}
	return all
}

func fresh(t rapid.TB, all ...*Catalog) {
	t.Helper()
	for _, c := range all {
		if err := c.Fresh(background, -1); err != nil {
			t.Fatal(err)
		}
	}
}

// transfers has all of a catalogue, by hash.
func transfers(t rapid.TB, c *Catalog) map[bittorrent.InfoHash]Transfer {
	t.Helper()
	page, next, err := c.List("", 1000, nil)
	if err != nil || next != "" {
		t.Fatal(next, err)
	}
	all := map[bittorrent.InfoHash]Transfer{}
	for _, transfer := range page {
		if transfer.Active() != c.Active(&transfer.InfoHash) {
			t.Fatalf("%v is active for announces: %v", transfer.InfoHash, c.Active(&transfer.InfoHash))
		}
		all[transfer.InfoHash] = transfer
	}
	return all
}

func wantAlike(t rapid.TB, a, b *Catalog) {
	t.Helper()
	if x, y := transfers(t, a), transfers(t, b); !maps.Equal(x, y) {
		t.Fatalf("one has  %+v\nanother %+v", x, y)
	}
}

func TestWhatOneTrackerChangesAnotherServesWithinTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		both := trackers(t, 2, documenttest.NewMemory(), Options{Refresh: time.Second})
		a, b := both[0], both[1]
		metainfo := hybrid("h")
		up := mustAdd(t, a, "h.torrent", metainfo)
		pass := func() { time.Sleep(2 * time.Second); synctest.Wait() }
		pass()
		wantActive(t, b, metainfo, true)
		wantAlike(t, a, b)
		if got, err := b.Torrent(background, up.InfoHashes()[1]); err != nil || !bytes.Equal(got, metainfo) {
			t.Errorf("its bytes are %q, %v", got, err)
		}
		if _, err := b.SetProfile(background, up.InfoHash, "parity"); err != nil {
			t.Fatal(err)
		}
		pass()
		if got := a.Profile(&up.InfoHash); got != "parity" {
			t.Errorf("the profile is %q", got)
		}
		if _, err := b.Deactivate(background, up.InfoHash); err != nil {
			t.Fatal(err)
		}
		pass()
		wantActive(t, a, metainfo, false)
		if got := history(t, a); len(got) != 1 || got[0].InfoHash != up.InfoHash {
			t.Errorf("the history is %+v", got)
		}
		if _, err := a.Activate(background, up.InfoHash); err != nil {
			t.Fatal(err)
		}
		pass()
		wantActive(t, b, metainfo, true)
		if err := a.Delete(background, up.InfoHash); err != nil {
			t.Fatal(err)
		}
		pass()
		if _, err := b.Get(up.InfoHash); !errors.Is(err, ErrUnknown) {
			t.Errorf("what was deleted: %v", err)
		}
		_, err := b.Torrent(background, up.InfoHash)
		wantError(t, err, ErrUnknown)
	})
}

func TestEditKnowsWhatOthersDidJustBefore(t *testing.T) {
	both := trackers(t, 2, documenttest.NewMemory(), Options{})
	a, b := both[0], both[1]
	up := mustAdd(t, a, "a.torrent", single("a", 1))
	_, err := b.Add(background, "b.torrent", single("a", 1))
	wantError(t, err, ErrDuplicate)
	if _, err := b.Deactivate(background, up.InfoHash); err != nil {
		t.Error(err)
	}
	if err := a.Delete(background, up.InfoHash); err != nil {
		t.Error(err)
	}
	_, err = b.Activate(background, up.InfoHash)
	wantError(t, err, ErrUnknown)
	if got := history(t, a); len(got) != 1 {
		t.Errorf("the history is %+v", got)
	}
}

func TestFreshAsksNoMoreOftenThanItMust(t *testing.T) {
	clock := &clock{now: start}
	asked := 0
	store := &documenttest.Faulty{Store: documenttest.NewMemory(), Fault: func(string, string) documenttest.Fault {
		asked++
		return documenttest.None
	}}
	c := trackers(t, 1, store, Options{Now: clock.Now})[0]
	for what, test := range map[string]struct {
		ago  time.Duration
		want int
	}{"known": {time.Minute, 0}, "too old": {59 * time.Second, 1}} {
		fresh(t, c)
		clock.step() // a minute
		asked = 0
		if err := c.Fresh(background, test.ago); err != nil || asked != test.want {
			t.Errorf("%s: asked %d times, %v", what, asked, err)
		}
	}
}

func TestLearningTakesAsMuchAsHasChanged(t *testing.T) {
	m := documenttest.NewMemory()
	var seen []string
	store := &documenttest.Faulty{Store: m, Fault: func(verb, name string) documenttest.Fault {
		seen = append(seen, verb+" "+name)
		return documenttest.None
	}}
	a := trackers(t, 1, m, Options{})[0]
	for n := range 300 {
		mustAdd(t, a, "a.torrent", single(fmt.Sprint(n), n))
	}
	b := trackers(t, 1, store, Options{})[0]
	for n := range 3 {
		mustAdd(t, a, "a.torrent", single(fmt.Sprint(1000+n), 1000+n))
	}
	for _, want := range []int{4, 1} { // the head, and three changes; the head alone
		seen = nil
		if fresh(t, b); len(seen) != want {
			t.Errorf("it took %q, want %d", seen, want)
		}
	}
	if b.Len() != 303 {
		t.Errorf("%d are known", b.Len())
	}
}

func TestWhoIsFarBehindReadsAll(t *testing.T) {
	m := documenttest.NewMemory()
	both := trackers(t, 2, m, Options{})
	a, b := both[0], both[1]
	gone := mustAdd(t, a, "gone.torrent", single("gone", 1))
	kept := mustAdd(t, a, "kept.torrent", single("kept", 2))
	fresh(t, b)
	b.Started(&kept.InfoHash, start)
	if err := a.Delete(background, gone.InfoHash); err != nil {
		t.Fatal(err)
	}
	for n := range 1200 {
		if _, err := a.SetProfile(background, kept.InfoHash, profiles[n%2]); err != nil {
			t.Fatal(err)
		}
	}
	fresh(t, b)
	if err := b.Flush(background); err != nil {
		t.Fatal(err)
	}
	fresh(t, a)
	wantAlike(t, a, b)
	if got := mustGet(t, a, kept.InfoHash); !got.FirstStarted.Equal(start) {
		t.Errorf("what was marked meanwhile is lost: %+v", got)
	}
}

func TestTorrentOfManyChunksIsWhole(t *testing.T) {
	both := trackers(t, 2, documenttest.NewMemory(), Options{})
	metainfo := chunky(3*document.MaxValue + 17)
	up := mustAdd(t, both[0], "large.torrent", metainfo)
	got, err := both[1].o.Store.Torrent(background, up.InfoHash)
	if err != nil || !bytes.Equal(got, metainfo) {
		t.Errorf("%d bytes, want %d, %v", len(got), len(metainfo), err)
	}
}

// chunky returns a .torrent of somewhat more than so many bytes.
func chunky(size int) []byte {
	pieces := bytes.Repeat([]byte("01234567890123456789"), size/20+1)
	return []byte(fmt.Sprintf("d4:infod6:lengthi%de4:name5:large12:piece lengthi16384e6:pieces%see", len(pieces)/20*16384, text(pieces)))
}

func TestStoreThatIsAwayIsInTheLogOnceAndLearntFromWhenItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := documenttest.NewMemory()
		var mu sync.Mutex
		away := false
		store := &documenttest.Faulty{Store: m, Fault: func(string, string) documenttest.Fault {
			mu.Lock()
			defer mu.Unlock()
			if away {
				return documenttest.Refused
			}
			return documenttest.None
		}}
		var log bytes.Buffer
		a := trackers(t, 1, m, Options{})[0]
		b := trackers(t, 1, store, Options{Refresh: time.Second, Log: slog.New(slog.NewTextHandler(&log, nil))})[0]
		turn := func(off bool) { mu.Lock(); away = off; mu.Unlock() }
		turn(true)
		up := mustAdd(t, a, "a.torrent", single("a", 1))
		time.Sleep(time.Minute)
		_, err := b.Deactivate(background, up.InfoHash)
		wantError(t, err, documenttest.ErrFault)
		turn(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		wantActive(t, b, single("a", 1), true)
		if got := log.String(); strings.Count(got, "stay as they are") != 1 || strings.Count(got, "up to date again") != 1 {
			t.Errorf("log: %s", got)
		}
	})
}

func TestClockThatIsPutBackHidesNothingThatOthersChange(t *testing.T) {
	m := documenttest.NewMemory()
	clock := &clock{now: start}
	a := trackers(t, 1, m, Options{})[0]
	b := trackers(t, 1, m, Options{Now: clock.Now})[0]
	for n, ago := range []time.Duration{0, -1, time.Second} {
		clock.set(start.Add(time.Duration(n+1) * -time.Hour))
		mustAdd(t, a, "a.torrent", single(fmt.Sprint(n), n))
		if err := b.Fresh(background, ago); err != nil || b.Len() != n+1 {
			t.Errorf("%v ago: %d are known, %v", ago, b.Len(), err)
		}
	}
}

func TestRecordThatIsDamagedHidesNothingElseThatOthersChanged(t *testing.T) {
	m := documenttest.NewMemory()
	a, b := trackers(t, 1, m, Options{})[0], trackers(t, 1, m, Options{})[0]
	up := mustAdd(t, a, "a.torrent", single("a", 1))
	damaged, err := table.Open(background, m, table.Options{Prefix: documentsPrefix})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range damaged.Load(background) { // no rows are committed before that
		if err != nil {
			t.Fatal(err)
		}
	}
	other := strings.Repeat("0", 40)
	write := func(c table.Change) {
		t.Helper()
		if err := damaged.Commit(background, table.Batch{Changes: []table.Change{c}}); err != nil {
			t.Fatal(err)
		}
	}
	write(table.Change{Key: other, Value: json.RawMessage(`{"infoHash":"another"}`)})
	for range 2 { // it is not over by itself
		if err := b.Fresh(background, -1); !errors.Is(err, table.ErrDamaged) || !strings.Contains(err.Error(), other) {
			t.Errorf("%v", err)
		}
	}
	write(table.Change{Key: other, Delete: true})
	if fresh(t, b); !b.Active(&up.InfoHash) {
		t.Error("what was changed before is not known")
	}
}

func TestHistoryThatNobodyWaitsForIsNotRead(t *testing.T) {
	asked := 0
	store := &documenttest.Faulty{Store: documenttest.NewMemory(), Fault: func(string, string) documenttest.Fault {
		asked++
		return documenttest.None
	}}
	c := trackers(t, 1, store, Options{})[0]
	ctx, cancel := context.WithCancel(background)
	cancel()
	asked = 0
	_, _, err := c.History(ctx, "", 1)
	if wantError(t, err, context.Canceled); asked > 1 {
		t.Errorf("%d requests", asked)
	}
}
