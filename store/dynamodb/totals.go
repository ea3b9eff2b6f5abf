package dynamodb

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/swarm"
)

// totals is what the table has as a whole, counted now and then.
type totals struct {
	age  time.Duration // of an answer
	most int           // of peers; 0: no limit

	mu       sync.Mutex
	counted  swarm.Totals
	at       time.Time // zero: never
	counting bool      // for the limit
	going    sync.WaitGroup
}

// limitAge is how old the number of peers is that is held against the limit.
const limitAge = 10 * time.Second

// Totals is documented at [swarm.Store]. It reads the heads of all torrents, unless they
// were read within Options.TotalsAge.
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

// together is how many partitions of heads are read at once.
const together = 16

// countAll adds up all heads.
func (s *Store) countAll(ctx context.Context) (n swarm.Totals, err error) {
	began := s.now()
	var mu sync.Mutex
	spread := map[bittorrent.InfoHash]*counts{} // torrents of several shards
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(together)
	for bucket := range s.heads {
		asking.Go(func() error {
			return s.headsOf(ctx, bucket, 0, 0xff, func(some []listed) error {
				mu.Lock()
				defer mu.Unlock()
				for i := range some {
					if l := &some[i]; l.shard == 0 && l.shards == 1 {
						addTotals(&n, &l.counts)
					} else {
						if spread[l.hash] == nil {
							spread[l.hash] = &counts{}
						}
						spread[l.hash].plus(&l.counts)
					}
				}
				return nil
			})
		})
	}
	if err := asking.Wait(); err != nil {
		return n, err
	}
	for _, c := range spread {
		addTotals(&n, c)
	}
	s.totals.keep(n, began)
	return n, nil
}

func addTotals(n *swarm.Totals, c *counts) {
	if c.none() {
		return
	}
	n.Torrents++
	n.Peers += int(c.all())
	n.Seeders += int(c.kind(swarm.Seeder))
}

func (t *totals) keep(n swarm.Totals, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted, t.at = n, at
}

// full reports whether the table has as many peers as it may, as far as was counted some
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
	return t.counted.Peers >= t.most
}

func (s *Store) countForLimit() {
	ctx, cancel := s.bounded(context.Background())
	defer cancel()
	if _, err := s.countAll(ctx); err != nil {
		s.log.Warn("peers could not be counted, for the limit of peers", "error", err)
		s.totals.mu.Lock()
		s.totals.at = s.now() // the next attempt is not at once
		s.totals.mu.Unlock()
	}
	s.totals.mu.Lock()
	defer s.totals.mu.Unlock()
	s.totals.counting = false
}
