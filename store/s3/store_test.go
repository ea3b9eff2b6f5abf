package s3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

func stopped1(a *swarm.Announce) *swarm.Announce {
	a.Event = bittorrent.EventStopped
	return a
}

func TestEmptySwarmGoesOnlyWhereThatIsSafe(t *testing.T) {
	for deletes, want := range map[Deletes]int{DeletesConditional: 0, DeletesNever: 1} {
		b := newFake()
		s := b.store(Options{Endpoint: "http://somewhere", Deletes: deletes})
		do(t, s, announced(1, 1))
		do(t, s, stopped1(announced(1, 1)))
		if keys := b.keys(swarmPrefix); len(keys) != want {
			t.Errorf("%s: %q are left", deletes, keys)
		}
		if n, err := s.Totals(t.Context()); err != nil || n != (swarm.Totals{}) {
			t.Errorf("%s: %+v, %v", deletes, n, err)
		}
		if hashes, err := s.Torrents(t.Context(), 1); err != nil || len(hashes) != 0 {
			t.Errorf("%s: %v, %v", deletes, hashes, err)
		}
		if r := do(t, s, announced(1, 2)); r.Incomplete != 1 {
			t.Errorf("%s: used again: %+v", deletes, r)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for endpoint, want := range map[string]bool{"": true, "http://elsewhere": false} {
		if o := (&Options{Endpoint: endpoint}); o.trustsRemovals() != want {
			t.Errorf("by itself at %q: %v", endpoint, !want)
		}
	}
}

func TestPartsThatNobodyKnowsOfAreRemovedAfterAnHour(t *testing.T) {
	b, now := newFake(), time.Now()
	s := b.store(Options{SplitBytes: 500, Now: func() time.Time { return now }})
	defer func() { _ = s.Close() }()
	for n := range 40 {
		do(t, s, announced(1, n))
	}
	h := announced(1, 0).InfoHash
	known := b.keys(partPrefix)
	for _, key := range []string{partsOf(h) + newName(1), partsOf(announced(9, 0).InfoHash) + newName(2)} {
		if _, err := b.put(t.Context(), key, someNode(3).encode(), ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, hours := range []time.Duration{0, 2} {
		now = time.Now().Add(hours * time.Hour)
		if n, err := s.Expire(t.Context(), time.Unix(0, 0)); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		if left := len(b.keys(partPrefix)) - len(known); left != 2 && hours == 0 || left != 0 && hours > 0 {
			t.Errorf("after %d hours %d are left", hours, left)
		}
	}
	if c, _, err := s.Counts(t.Context(), h); err != nil || c.Incomplete != 40 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestSwarmThatBecameSmallIsOneObjectAgain(t *testing.T) {
	b, now := newFake(), time.Now()
	s := b.store(Options{SplitBytes: 800, Now: func() time.Time { return now }})
	defer func() { _ = s.Close() }()
	for n := range 160 {
		do(t, s, announced(1, n))
	}
	if keys := b.keys(partPrefix); len(keys) < 9 {
		t.Fatalf("%d parts: it is to be split twice", len(keys))
	}
	for n := range 158 {
		do(t, s, stopped1(announced(1, n)))
	}
	for range 2 { // the parts of parts, then the parts
		now = now.Add(2 * joinedAfter)
		if _, err := s.Expire(t.Context(), time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if keys := b.keys(partPrefix); len(keys) != 0 {
		t.Errorf("%q are left", keys)
	}
	if c, _, err := s.Counts(t.Context(), announced(1, 0).InfoHash); err != nil || c.Incomplete != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestWhatADeadTrackerBeganToPutTogetherIsFinished(t *testing.T) {
	b := newFake()
	s := b.store(Options{SplitBytes: 2000, PartAge: -1})
	defer func() { _ = s.Close() }()
	for n := range 100 {
		do(t, s, announced(1, n))
	}
	h := announced(1, 0).InfoHash
	if _, err := s.shut(t.Context(), b.keys(partPrefix)[3]); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if c, _, err := s.Counts(t.Context(), h); err != nil || c.Incomplete != 100 {
			t.Errorf("%+v, %v", c, err)
		}
		if _, err := s.Expire(t.Context(), time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
		if keys := b.keys(partPrefix); len(keys) != 0 {
			t.Errorf("%q are left", keys)
		}
	}
	if r := do(t, s, announced(1, 200)); r.Incomplete != 101 {
		t.Errorf("%+v", r)
	}
}

func TestOneAnnounceTooManyIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFake()
		release := make(chan struct{})
		var asked atomic.Int64
		b.turn = func(ctx context.Context, _, _ string) error {
			asked.Add(1)
			select {
			case <-release:
			case <-ctx.Done():
			}
			return ctx.Err()
		}
		s := b.store(Options{Waiting: 4, Requests: 2})
		results := make(chan error)
		for n := range 4 {
			go func() { results <- s.Announce(t.Context(), announced(byte(n), 1), new(swarm.Reply)) }()
		}
		synctest.Wait()
		if err := s.Announce(t.Context(), announced(9, 1), new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) {
			t.Error(err)
		}
		if n := asked.Load(); n != 2 {
			t.Errorf("%d requests are under way, want 2", n)
		}
		close(release)
		for range 4 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Announce(t.Context(), announced(9, 1), new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) {
			t.Errorf("when it is closed: %v", err)
		}
	})
}

func TestAskerWhoGoesAwayDoesNotWait(t *testing.T) {
	b := newFake()
	b.turn = func(ctx context.Context, _, _ string) error {
		<-ctx.Done()
		return ctx.Err()
	}
	s := b.store(Options{Attempt: 50 * time.Millisecond, Patience: 100 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() { result <- s.Announce(ctx, announced(1, 1), new(swarm.Reply)) }()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestTorrentsAreListedInTheirOrderOverPages(t *testing.T) {
	b := newFake()
	s := b.store(Options{})
	defer func() { _ = s.Close() }()
	var want []bittorrent.InfoHash
	for i := range 2500 {
		h := bittorrent.InfoHash{byte(i % 3), byte(i >> 8), byte(i)}
		want = append(want, h)
		if _, err := b.put(t.Context(), swarmKey(h), someNode(1+i%2).encode(), ""); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(want, func(a, b bittorrent.InfoHash) int { return strings.Compare(string(a[:]), string(b[:])) })
	var got []bittorrent.InfoHash
	for first := range 3 {
		hashes, err := s.Torrents(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, hashes...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d torrents, want %d", len(got), len(want))
	}
	for _, limits := range [][2]byte{{0, 255}, {1, 1}, {1, 2}, {3, 255}} {
		shown := 0
		whole, err := s.AllCounts(t.Context(), limits[0], limits[1], func(hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) bool {
			for i := range hashes {
				if shown++; hashes[i][0] < limits[0] || hashes[i][0] > limits[1] || counts[i].Downloaded != 3 {
					t.Errorf("%v has %+v", hashes[i], counts[i])
				}
			}
			return true
		})
		wanted := 0
		for _, h := range want {
			if h[0] >= limits[0] && h[0] <= limits[1] {
				wanted++
			}
		}
		if !whole || err != nil || shown != wanted {
			t.Errorf("%v: %d are shown, %v, %v, want %d", limits, shown, whole, err, wanted)
		}
	}
	if whole, err := s.AllCounts(t.Context(), 0, 255, func([]bittorrent.InfoHash, []bittorrent.ScrapeCounts) bool { return false }); whole || err != nil {
		t.Errorf("who wants no more: %v, %v", whole, err)
	}
}

func TestObjectOfAnotherProgramIsAnErrorInWords(t *testing.T) {
	b := newFake()
	s := b.store(Options{})
	defer func() { _ = s.Close() }()
	if _, err := b.put(t.Context(), swarmPrefix+"00readme.txt", []byte("some text that is long enough"), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Totals(t.Context()); err == nil || !strings.Contains(err.Error(), "keep others out") {
		t.Error(err)
	}
	h := announced(1, 0).InfoHash
	if _, err := b.put(t.Context(), swarmKey(h), []byte("some text that is long enough"), ""); err != nil {
		t.Fatal(err)
	}
	err := s.Announce(t.Context(), announced(1, 1), new(swarm.Reply))
	if err == nil || !strings.Contains(err.Error(), "docs/s3.md") {
		t.Error(err)
	}
	if o, err := b.get(t.Context(), swarmKey(h), ""); err != nil || !strings.HasPrefix(string(o.body), "some text") {
		t.Error("it was overwritten")
	}
}

// TestWalkShowsEachPeerOnceWhileTheSwarmIsSplitAndPutTogether changes the swarm between
// any two parts that are shown.
func TestWalkShowsEachPeerOnceWhileTheSwarmIsSplitAndPutTogether(t *testing.T) {
	for change := range 12 {
		t.Run(fmt.Sprint(change), func(t *testing.T) {
			b, now := newFake(), time.Now()
			s := b.store(Options{SplitBytes: 4000, Now: func() time.Time { return now }})
			other := b.store(Options{SplitBytes: 1500, Now: func() time.Time { return now }})
			large := b.store(Options{SplitBytes: 1 << 20, Now: func() time.Time { return now.Add(2 * joinedAfter) }})
			defer func() { _, _, _ = s.Close(), other.Close(), large.Close() }()
			for n := range 150 {
				do(t, s, announced(1, n))
			}
			seen, steps := map[string]int{}, 0
			whole, err := s.Walk(t.Context(), announced(1, 0).InfoHash, nil, func(some []swarm.Peer) bool {
				for i := range some {
					seen[some[i].Addr.String()]++
				}
				if steps == change%6 && change < 6 {
					if _, err := large.Expire(t.Context(), time.Unix(0, 0)); err != nil {
						t.Error(err)
					}
				} else if steps == change%6 {
					for n := range 150 {
						do(t, other, announced(1, n))
					}
				}
				steps++
				return true
			})
			if !whole || err != nil {
				t.Fatal(whole, err)
			}
			for n := range 150 {
				if got := seen[announced(1, n).Addr().String()]; got != 1 {
					t.Errorf("peer %d was shown %d times", n, got)
				}
			}
		})
	}
}
