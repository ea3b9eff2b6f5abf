package s3

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
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
		if l.size == int64(blankSize) {
			continue
		}
		h, err := hashOf(l.key)
		if err != nil {
			return nil, err
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

// listedParts is from how many parts of a swarm on they are listed, and not asked for
// one by one: a list costs as much as a dozen reads.
const listedParts = 16

// totalOf returns what a torrent has that was listed.
func (s *Store) totalOf(ctx context.Context, h bittorrent.InfoHash, l *listed) (all sum, err error) {
	ctx, cancel := s.server.bounded(ctx)
	defer cancel()
	top, err := s.ask(ctx, l.key, asListed(map[string]string{l.key: l.etag}))
	if err != nil {
		return all, err
	}
	if top.branches == nil {
		return top.sum, nil
	}
	how := asItIs
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
		how = asListed(etags)
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
