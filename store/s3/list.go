package s3

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/swarm"
)

// total is what a torrent has, as it was listed.
type total struct {
	listed
	hash bittorrent.InfoHash
	sum
}

// eachPage shows what torrents have, those that are not known left out, page by page, in
// the order of their info hashes, from the first byte of them to the last.
func (s *Store) eachPage(ctx context.Context, first, last byte, see func([]total) error) error {
	after := fmt.Sprintf("%s%02x", swarmPrefix, first)
	prefix := swarmPrefix
	if first == last {
		prefix = after
	}
	end := fmt.Sprintf("%s%02xg", swarmPrefix, last) // after all that begin with it
	return s.eachListed(ctx, prefix, after, func(some []listed) error {
		past := false
		for i := range some {
			if some[i].key > end {
				some, past = some[:i], true
				break
			}
		}
		totals, err := s.totalsOf(ctx, some)
		if err != nil {
			return err
		}
		if err := see(totals); err != nil {
			return err
		}
		if past {
			return stopped{}
		}
		return nil
	})
}

// eachListed lists; it ends without an error where see returns [stopped].
func (s *Store) eachListed(ctx context.Context, prefix, after string, see func([]listed) error) error {
	err := s.server.all(ctx, prefix, after, see)
	if err == (stopped{}) { //nolint:errorlint // it is never wrapped
		return nil
	}
	return err
}

// stopped is the error of whoever wants no more.
type stopped struct{}

func (stopped) Error() string { return "nobody wants more" }

// totalsOf returns what torrents that were listed have; those that are not known are left
// out. It reads those that were changed since this tracker did.
func (s *Store) totalsOf(ctx context.Context, some []listed) ([]total, error) {
	totals := make([]total, len(some))
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(scrapedAtOnce)
	for i, l := range some {
		if l.size <= int64(blankSize) {
			continue
		}
		h, err := hashOf(l.key)
		if err != nil || l.key != swarmKey(h) {
			return nil, fmt.Errorf("%w (%.80q)", errForeign, l.key)
		}
		asking.Go(func() error {
			all, err := s.totalOf(ctx, h, &l)
			totals[i] = total{l, h, all}
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, err
	}
	known := totals[:0]
	for i := range totals {
		if totals[i].known() {
			known = append(known, totals[i])
		}
	}
	return known, nil
}

var errForeign = errors.New("an object in the store's prefix is none of waggle's: keep others out of it")

// listedParts is from how many parts of a swarm on they are listed, and not asked for
// one by one: a list costs as much as a dozen reads.
const listedParts = 16

// totalOf returns what a torrent has that was listed.
func (s *Store) totalOf(ctx context.Context, h bittorrent.InfoHash, l *listed) (all sum, err error) {
	ctx, cancel := s.server.bounded(ctx)
	defer cancel()
	top, err := s.ask(ctx, l.key, s.asListed(map[string]string{l.key: l.etag}))
	if err != nil {
		return all, err
	}
	if top.branches == nil {
		return top.sum, nil
	}
	how := look(asItIs)
	if s.remembered(l.key, h) >= listedParts {
		etags := map[string]string{}
		err := s.server.all(ctx, partsOf(h), "", func(some []listed) error {
			for i := range some {
				etags[some[i].key] = some[i].etag
			}
			return nil
		})
		if err != nil {
			return all, err
		}
		how = s.asListed(etags)
	}
	return s.whole(ctx, h, how)
}

// Torrents returns the info hashes that begin with a byte, in their order. Of those that
// come or go meanwhile any may be there.
func (s *Store) Torrents(ctx context.Context, first int) (hashes []bittorrent.InfoHash, err error) {
	err = s.eachPage(ctx, byte(first), byte(first), func(some []total) error {
		for i := range some {
			hashes = append(hashes, some[i].hash)
		}
		return nil
	})
	return hashes, err
}

// AllCounts shows the counts of the torrents whose first byte is from first to last, some
// at a time. It ends early where see returns false, and says so. Of torrents that come or
// go meanwhile any may be shown; any other is shown once. Hash i has the counts i; both
// are see's until it returns.
func (s *Store) AllCounts(ctx context.Context, first, last byte, see func([]bittorrent.InfoHash, []bittorrent.ScrapeCounts) bool) (whole bool, err error) {
	var hashes []bittorrent.InfoHash
	var counts []bittorrent.ScrapeCounts
	whole = true
	err = s.eachPage(ctx, first, last, func(some []total) error {
		hashes, counts = hashes[:0], counts[:0]
		for i := range some {
			hashes, counts = append(hashes, some[i].hash), append(counts, some[i].scrape())
		}
		if whole = len(some) == 0 || see(hashes, counts); !whole {
			return stopped{}
		}
		return nil
	})
	return whole && err == nil, err
}

// totals is what the store has as a whole, counted now and then.
type totals struct {
	age  time.Duration // of an answer
	most int           // of peers; 0: no limit
	came atomic.Int64  // peers that this tracker has recorded since they were counted

	mu       sync.Mutex
	counted  swarm.Totals
	at       time.Time // zero: never
	counting bool      // for the limit
	going    sync.WaitGroup
}

// limitAge is how old the number of peers is that is held against the limit.
const limitAge = 10 * time.Second

// Totals is documented at [swarm.Store]. It lists all torrents, and reads those that were
// changed since this tracker did, unless it did within Options.TotalsAge.
func (s *Store) Totals(ctx context.Context) (swarm.Totals, error) {
	t := &s.totals
	t.mu.Lock()
	if t.age > 0 && !t.at.IsZero() && s.now().Sub(t.at) < t.age {
		defer t.mu.Unlock()
		return t.counted, nil
	}
	t.mu.Unlock()
	return s.countAll(ctx)
}

func (s *Store) countAll(ctx context.Context) (n swarm.Totals, err error) {
	began := s.now()
	s.totals.came.Store(0)
	err = s.eachPage(ctx, 0, math.MaxUint8, func(some []total) error {
		for i := range some {
			n.Torrents++
			n.Peers += int(some[i].peers())
			n.Seeders += int(some[i].kind(swarm.Seeder))
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	s.totals.mu.Lock()
	defer s.totals.mu.Unlock()
	s.totals.counted, s.totals.at = n, began
	return n, nil
}

// full reports whether the store has as many peers as it may, as far as was counted some
// seconds ago, and has them counted again where that is long ago.
func (s *Store) full() bool {
	t := &s.totals
	if t.most == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.counting && (t.at.IsZero() || s.now().Sub(t.at) >= limitAge) {
		t.counting = true
		t.going.Go(s.countForLimit)
	}
	return int64(t.counted.Peers)+t.came.Load() >= int64(t.most)
}

// mostCounting is how long it may take to count what the store has.
const mostCounting = 10 * time.Minute

func (s *Store) countForLimit() {
	ctx, cancel := context.WithTimeout(s.life, mostCounting)
	defer cancel()
	_, err := s.countAll(ctx)
	t := &s.totals
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counting = false
	if err != nil {
		t.at = s.now() // the next attempt is not at once
		s.log.Warn("peers could not be counted, for the limit of peers", "error", err)
	}
}
