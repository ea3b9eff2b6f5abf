package s3

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/faraway"
	"waggle/store/storetest"
	"waggle/swarm"
)

func TestStoreConformsAtItsLimitOfTorrents(t *testing.T) {
	t.Parallel()
	limited := func(o Options) Options {
		o.MaxTorrents = storetest.TorrentLimit
		return o
	}
	for name, open := range map[string]storetest.Open{
		"versitygw": func(t *testing.T) swarm.Store { return open(t, limited(versitygw.newPrefix())) },
		"removing":  func(t *testing.T) swarm.Store { return openFake(t, limited(Options{Deletes: DeletesConditional})) },
		"split":     func(t *testing.T) swarm.Store { return openFake(t, limited(Options{SplitBytes: 100, PartAge: -1})) },
	} {
		t.Run(name, func(t *testing.T) { storetest.RunTorrentLimit(t, open) })
	}
}

func completed(torrent byte, n int) *swarm.Announce {
	a := announced(torrent, n)
	a.Left, a.Event = 0, bittorrent.EventCompleted
	return a
}

// leaveCompleted leaves torrents that nobody has, but for their completed count.
func leaveCompleted(t *testing.T, s swarm.Store, torrents ...byte) {
	t.Helper()
	for _, n := range torrents {
		do(t, s, completed(n, 1))
		do(t, s, stopped1(announced(n, 1)))
	}
}

func wantTotals(t *testing.T, s swarm.Store, want swarm.Totals) {
	t.Helper()
	if n, err := s.Totals(t.Context()); err != nil || n != want {
		t.Errorf("%+v, %v; want %+v", n, err, want)
	}
}

func expire(t *testing.T, s *Store) {
	t.Helper()
	if n, err := s.Expire(t.Context(), time.Unix(0, 0)); err != nil || n != 0 {
		t.Errorf("Expire: %d, %v", n, err)
	}
}

func TestTorrentThatIsNotKnownIsNotRecordedAtTheLimit(t *testing.T) {
	now := time.Now()
	b := newFake()
	other := b.store(Options{})
	defer func() { _ = other.Close() }()
	s := b.store(Options{MaxTorrents: 3, Now: func() time.Time { return now }})
	defer func() { _ = s.Close() }()
	pass := func() {
		now = now.Add(time.Minute)
		do(t, s, announced(1, 1))
		s.totals.Wait()
	}
	leaveCompleted(t, other, 2)
	do(t, other, announced(3, 1))
	pass()
	before := s.Figures()
	if r := do(t, s, completed(4, 1)); r.Warning != faraway.WarnTorrents || r.Complete != 0 || r.Peers.Len() != 0 {
		t.Errorf("a torrent that is not known: %+v", r)
	}
	if f := s.Figures(); f.Put != before.Put || f.Get != before.Get+1 {
		t.Errorf("%d GET, %d PUT for one that is not recorded", f.Get-before.Get, f.Put-before.Put)
	}
	do(t, s, stopped1(announced(4, 1)))
	for n := range byte(3) {
		if r := do(t, s, announced(1+n, 9)); r.Warning != "" || r.Incomplete == 0 {
			t.Errorf("torrent %d, which is known: %+v", 1+n, r)
		}
	}
	wantTotals(t, s, swarm.Totals{Torrents: 3, Peers: 5})
	do(t, other, announced(4, 2))
	if r := do(t, s, announced(4, 1)); r.Warning != "" || r.Peers.Len() != 1 {
		t.Errorf("a torrent that has become known: %+v", r)
	}
	for n := range 3 {
		do(t, other, stopped1(announced(4, n)))
		do(t, other, stopped1(announced(3, n)))
	}
	do(t, other, stopped1(announced(3, 9)))
	pass()
	if r := do(t, s, announced(5, 1)); r.Warning != "" {
		t.Errorf("when there is room: %q", r.Warning)
	}
	if r := do(t, s, announced(6, 1)); r.Warning != faraway.WarnTorrents {
		t.Errorf("when this tracker has filled it: %q", r.Warning)
	}
}

// TestTorrentThatGetsAPeerWhileItIsGivenUpLives has the peer come when its object is about
// to be removed, or emptied.
func TestTorrentThatGetsAPeerWhileItIsGivenUpLives(t *testing.T) {
	for _, deletes := range []Deletes{DeletesConditional, DeletesNever} {
		b := newFake()
		other, s := b.store(Options{Deletes: deletes}), b.store(Options{Deletes: deletes, MaxTorrents: 1})
		defer func() { _, _ = other.Close(), s.Close() }()
		leaveCompleted(t, other, 1)
		var came atomic.Bool
		b.turn = func(_ context.Context, verb, key string) error {
			if (verb == "put" || verb == "delete") && strings.HasPrefix(key, swarmPrefix) && !came.Swap(true) {
				do(t, other, announced(1, 7))
			}
			return nil
		}
		expire(t, s)
		b.turn = nil
		wantTotals(t, other, swarm.Totals{Torrents: 1, Peers: 1})
		if c, _, err := other.Counts(t.Context(), announced(1, 1).InfoHash); err != nil || !came.Load() || c != (bittorrent.ScrapeCounts{Incomplete: 1, Downloaders: 1, Downloaded: 1}) {
			t.Errorf("%+v, %v; the peer came: %t", c, err, came.Load())
		}
		do(t, other, stopped1(announced(1, 7)))
		expire(t, s)
		wantTotals(t, other, swarm.Totals{})
		if keys := b.keys(swarmPrefix); len(keys) > 0 && deletes == DeletesConditional {
			t.Errorf("%q are left", keys)
		}
	}
}

func TestWhatADyingTrackerHasNotGivenUpTheNextOneDoes(t *testing.T) {
	b := newFake()
	s, next, dying := b.store(Options{}), b.store(Options{MaxTorrents: 4}), b.store(Options{MaxTorrents: 4})
	defer func() { _, _, _ = s.Close(), next.Close(), dying.Close() }()
	const torrents = 40
	for n := range byte(torrents) {
		leaveCompleted(t, s, 6*n)
	}
	do(t, s, announced(255, 1))
	ctx, die := context.WithCancel(t.Context())
	var removed atomic.Int64
	b.turn = func(_ context.Context, verb, _ string) error {
		if verb == "put" || verb == "delete" {
			if removed.Add(1) == 8 {
				die()
			}
		}
		return nil
	}
	if _, err := dying.Expire(ctx, time.Unix(0, 0)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if n, err := s.Totals(t.Context()); err != nil || n.Torrents <= 4 || n.Torrents >= torrents {
		t.Errorf("%+v are left in the middle, %v", n, err)
	}
	expire(t, next)
	wantTotals(t, s, swarm.Totals{Torrents: 3, Peers: 1})
}

// TestSplitTorrentIsGivenUpWhenItIsOneObjectAgain which is an hour later at the earliest.
func TestSplitTorrentIsGivenUpWhenItIsOneObjectAgain(t *testing.T) {
	now := time.Now()
	b := newFake()
	s := b.store(Options{SplitBytes: 500, PartAge: -1, Now: func() time.Time { return now }})
	limited := b.store(Options{SplitBytes: 500, MaxTorrents: 1, Now: func() time.Time { return now }})
	defer func() { _, _ = s.Close(), limited.Close() }()
	for n := range 40 {
		do(t, s, completed(1, n))
	}
	for n := range 40 {
		do(t, s, stopped1(announced(1, n)))
	}
	expire(t, limited)
	wantTotals(t, s, swarm.Totals{Torrents: 1})
	for range 3 {
		now = now.Add(2 * joinedAfter)
		expire(t, limited)
	}
	wantTotals(t, s, swarm.Totals{})
	if keys := b.keys(partPrefix); len(keys) != 0 {
		t.Errorf("%q are left", keys)
	}
	do(t, s, completed(1, 7))
	wantTotals(t, limited, swarm.Totals{Torrents: 1, Peers: 1, Seeders: 1})
}

// TestExpiryFarFromTheLimitOfTorrentsAsksForNoMore has as many torrents as may stay.
func TestExpiryFarFromTheLimitOfTorrentsAsksForNoMore(t *testing.T) {
	c := newCounting()
	o := versitygw.newPrefix()
	o.Transport, o.MaxTorrents = c, 4
	s := open(t, o)
	wantTotals(t, s, swarm.Totals{})
	leaveCompleted(t, s, 1, 2, 3)
	if got, want := c.of(func() { expire(t, s) }), "0 GET, 0 PUT, 0 DELETE, 2 LIST"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	leaveCompleted(t, s, 4)
	if got, want := c.of(func() { expire(t, s) }), "1 GET, 1 PUT, 0 DELETE, 3 LIST"; got != want {
		t.Errorf("at the limit: %s, want %s", got, want)
	}
	wantTotals(t, s, swarm.Totals{Torrents: 3})
}

// TestTorrentsAreGivenUpWhereAnswersAreLost has the server do it, and nobody hear so.
func TestTorrentsAreGivenUpWhereAnswersAreLost(t *testing.T) {
	for _, deletes := range []Deletes{DeletesConditional, DeletesNever} {
		b := newFake()
		s, limited := b.store(Options{Deletes: deletes}), b.store(Options{Deletes: deletes, MaxTorrents: 2})
		defer func() { _, _ = s.Close(), limited.Close() }()
		leaveCompleted(t, s, 1, 2, 3, 4)
		do(t, s, announced(5, 1))
		var lost atomic.Int64
		b.answered = func(verb, _ string) error {
			if (verb == "put" || verb == "delete") && lost.Add(1)%2 == 1 {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		expire(t, limited)
		if lost.Load() == 0 {
			t.Error("no answer was lost")
		}
		wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 1})
	}
}

func TestTorrentsAreLeftOutOfACopyAtTheLimit(t *testing.T) {
	s := openFake(t, Options{MaxTorrents: 3})
	peers := []swarm.Peer{{Addr: announced(1, 1).Addr(), Last: time.Now()}}
	for n, snapshot := range []swarm.Snapshot{{Downloaded: 4}, {Peers: peers}, {Downloaded: 1, Peers: peers}, {Downloaded: 4}, {Peers: peers}} {
		snapshot.InfoHash = bittorrent.InfoHash{byte(n)}
		if err := s.Restore(t.Context(), snapshot); errors.Is(err, swarm.ErrFull) != (n >= 3) {
			t.Errorf("torrent %d: %v", n, err)
		}
	}
	if err := s.Restore(t.Context(), swarm.Snapshot{InfoHash: bittorrent.InfoHash{1}, Downloaded: 5}); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	wantTotals(t, s, swarm.Totals{Torrents: 3, Peers: 2, Seeders: 2})
}
