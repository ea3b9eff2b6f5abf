package faraway_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"waggle/bittorrent"
	"waggle/store/faraway"
	"waggle/swarm"
)

// shelf is a store of torrents, some of which have peers, in four runs.
type shelf struct {
	mu       sync.Mutex
	torrents map[bittorrent.InfoHash]bool
	lists    int
	lately   map[bittorrent.InfoHash]bool // get peers just before they are given up
	wrong    map[bittorrent.InfoHash]error
	given    []bittorrent.InfoHash
	turn     func() // is called before a torrent is given up
}

func newShelf(idle, busy int) *shelf {
	s := &shelf{torrents: map[bittorrent.InfoHash]bool{}, lately: map[bittorrent.InfoHash]bool{}, wrong: map[bittorrent.InfoHash]error{}}
	for n := range idle + busy {
		s.torrents[hash(n)] = n >= idle
	}
	return s
}

// hash is that of torrent n: they lie evenly over all hashes.
func hash(n int) bittorrent.InfoHash {
	return bittorrent.InfoHash{byte(n * 37), byte(n >> 8), 2: byte(n)}
}

func runOf(h bittorrent.InfoHash) int { return int(h[0] >> 6) }

func (s *shelf) list(_ context.Context, run int, see func(bittorrent.InfoHash, bool)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
	for _, h := range s.sorted() {
		if runOf(h) == run {
			see(h, s.torrents[h])
		}
	}
	return nil
}

func (s *shelf) sorted() (all []bittorrent.InfoHash) {
	for h := range s.torrents {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b bittorrent.InfoHash) int { return bytes.Compare(a[:], b[:]) })
	return all
}

func (s *shelf) giveUp(_ context.Context, h bittorrent.InfoHash) (bool, error) {
	if s.turn != nil {
		s.turn()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	peers, there := s.torrents[h]
	if err := s.wrong[h]; err != nil {
		return false, err
	}
	if peers || s.lately[h] {
		return false, nil
	}
	if delete(s.torrents, h); there {
		s.given = append(s.given, h)
	}
	return true, nil
}

func (s *shelf) limit(t *testing.T, most int) *faraway.TorrentLimit {
	return &faraway.TorrentLimit{
		Most: most, Runs: 4, RunOf: runOf, List: s.list, GiveUp: s.giveUp, Key: [2]uint64{1, 2},
		Totals: faraway.NewTotals(faraway.TotalsOptions{MostTorrents: most, Life: t.Context(), Now: time.Now, Log: slog.New(slog.DiscardHandler), Count: s.count}),
	}
}

func (s *shelf) count(context.Context) (swarm.Totals, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return swarm.Totals{Torrents: len(s.torrents)}, nil
}

// see goes through all.
func (s *shelf) see(l *faraway.TorrentLimit) *faraway.TorrentCount {
	c := l.Count()
	s.mu.Lock()
	defer s.mu.Unlock()
	for h, peers := range s.torrents {
		c.Saw(h, peers)
	}
	return c
}

func (s *shelf) want(t *testing.T, all, busy int) {
	t.Helper()
	n := 0
	for _, peers := range s.torrents {
		if peers {
			n++
		}
	}
	if len(s.torrents) != all || n != busy {
		t.Errorf("%d torrents are left, of them %d with peers; want %d and %d", len(s.torrents), n, all, busy)
	}
}

func TestTorrentsWithoutPeersAreGivenUpUntilThereAreFifteenOfSixteen(t *testing.T) {
	for _, test := range []struct{ most, idle, busy, left int }{
		{160, 200, 20, 150},
		{160, 151, 0, 150},
		{160, 150, 0, 150}, // none too many
		{160, 3, 200, 200}, // only those of no use
		{160, 0, 200, 200},
		{10, 20, 0, 9},
		{1, 20, 0, 0},
		{0, 200, 0, 200}, // no limit
	} {
		s := newShelf(test.idle, test.busy)
		if err := s.see(s.limit(t, test.most)).End(t.Context()); err != nil {
			t.Error(err)
		}
		s.want(t, test.left, test.busy)
	}
}

func TestNothingIsListedWhereThereIsRoomOrNothingToGiveUp(t *testing.T) {
	for _, s := range []*shelf{newShelf(150, 0), newShelf(0, 200)} {
		if err := s.see(s.limit(t, 160)).End(t.Context()); err != nil || s.lists != 0 {
			t.Errorf("%d lists, %v", s.lists, err)
		}
	}
}

func TestTorrentThatGetsAPeerMeanwhileLivesAndAnotherIsGivenUp(t *testing.T) {
	s := newShelf(200, 0)
	for n := range 40 {
		s.lately[hash(n)] = true
	}
	damaged := errors.New("damaged")
	for n := 40; n < 200; n += 8 {
		s.wrong[hash(n)] = damaged
	}
	if err := s.see(s.limit(t, 100)).End(t.Context()); !errors.Is(err, damaged) {
		t.Errorf("%v; want what kept one from being given up", err)
	}
	s.want(t, 93, 0)
	for h := range s.lately {
		if _, lives := s.torrents[h]; !lives {
			t.Errorf("%v is gone", h)
		}
	}
}

// TestTrackersThatGiveUpAtOnceDoNotGiveUpAsManyEach has all see too many before the first
// one gives any up.
func TestTrackersThatGiveUpAtOnceDoNotGiveUpAsManyEach(t *testing.T) {
	s := newShelf(1000, 0)
	var counts []*faraway.TorrentCount
	for range 4 {
		counts = append(counts, s.see(s.limit(t, 640)))
	}
	var all sync.WaitGroup
	for _, c := range counts {
		all.Go(func() {
			if err := c.End(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(s.torrents); n > 600 || n < 540 {
		t.Errorf("%d are left, want 600 or some less", n)
	}
}

func TestWhatATrackerLeftThatDiedTheNextOneGivesUp(t *testing.T) {
	s := newShelf(300, 0)
	ctx, die := context.WithCancel(t.Context())
	left := 30
	s.turn = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if left--; left == 0 {
			die()
		}
	}
	if err := s.see(s.limit(t, 160)).End(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n := len(s.torrents); n < 255 || n > 285 {
		t.Errorf("%d are left", n)
	}
	s.turn = nil
	if err := s.see(s.limit(t, 160)).End(t.Context()); err != nil {
		t.Error(err)
	}
	s.want(t, 150, 0)
}

func TestServerThatDoesNotAnswerIsAskedToGiveUpFewTorrents(t *testing.T) {
	s, asked := newShelf(300, 0), 0
	for n := range 300 {
		s.wrong[hash(n)] = swarm.ErrBusy
	}
	s.turn = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		asked++
	}
	if err := s.see(s.limit(t, 160)).End(t.Context()); !errors.Is(err, swarm.ErrBusy) || asked > 50 {
		t.Errorf("asked %d times, %v", asked, err)
	}
}

// TestOtherTorrentsAreGivenUpAtOtherTimes has nobody choose by the hash which stay.
func TestOtherTorrentsAreGivenUpAtOtherTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		times := map[bittorrent.InfoHash]int{}
		for range 40 {
			s := newShelf(256, 0)
			if err := s.see(s.limit(t, 256)).End(t.Context()); err != nil || len(s.given) != 16 {
				t.Fatalf("%d are given up, %v", len(s.given), err)
			}
			for _, h := range s.given {
				times[h]++
			}
			time.Sleep(10 * time.Minute)
		}
		for h, n := range times {
			if n > 20 {
				t.Errorf("%v was given up %d times of 40", h, n)
			}
		}
		if len(times) < 150 {
			t.Errorf("%d torrents of 256 were given up in 40 times", len(times))
		}
	})
}

func TestTotalsKnowWhatIsLeftOfTorrents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(200, 0)
		l := s.limit(t, 160)
		l.Totals.Full()
		l.Totals.Wait()
		if !l.Totals.Full().Torrents {
			t.Error("200 of 160 are not too many")
		}
		if err := s.see(l).End(t.Context()); err != nil {
			t.Error(err)
		}
		if l.Totals.Full().Torrents {
			t.Error("150 of 160 are too many")
		}
		for n := range 10 {
			if l.Totals.Full().Torrents {
				t.Errorf("%d of 160 are too many", 150+n)
			}
			l.Totals.TorrentCame()
		}
		if !l.Totals.Full().Torrents {
			t.Error("160 of 160 are not too many")
		}
	})
}
