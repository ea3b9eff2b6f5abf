package dynamodb

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/swarm"
)

// totals is what the table has as a whole, counted now and then.
type totals struct {
	age  time.Duration // of an answer
	most int           // of peers; 0: no limit
	came atomic.Int64  // peers that this tracker has recorded since they were counted
	turn chan struct{} // whoever counts has it

	mu       sync.Mutex
	counted  swarm.Totals
	at       time.Time // zero: never
	tried    time.Time // when counting for the limit began last
	counting bool      // for the limit
	going    sync.WaitGroup
}

// How old the number of peers may be that is held against the limit: where it is far from
// that, less than half of it, counting often would cost more than it is worth.
const (
	limitAge = 10 * time.Second
	farAge   = 10 * time.Minute
)

// Totals is documented at [swarm.Store]. It reads the heads of all torrents, unless they
// were read within Options.TotalsAge; those who ask at once wait for one who reads.
func (s *Store) Totals(ctx context.Context) (swarm.Totals, error) {
	return s.countWithin(ctx, s.totals.age)
}

// countWithin counts, unless somebody has within an age.
func (s *Store) countWithin(ctx context.Context, age time.Duration) (swarm.Totals, error) {
	t := &s.totals
	if n, is := t.within(age, s.now()); is {
		return n, nil
	}
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return swarm.Totals{}, ctx.Err()
	}
	defer func() { <-t.turn }()
	if n, is := t.within(age, s.now()); is {
		return n, nil
	}
	return s.countAll(ctx)
}

// within returns what was counted within an age.
func (t *totals) within(age time.Duration, now time.Time) (n swarm.Totals, is bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counted, !t.at.IsZero() && now.Sub(t.at) < age
}

// together is how many partitions of heads are read at once.
const together = 16

// countAll adds up all heads.
func (s *Store) countAll(ctx context.Context) (n swarm.Totals, err error) {
	began, came := s.now(), s.totals.came.Load()
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
		return swarm.Totals{}, err
	}
	for _, c := range spread {
		addTotals(&n, c)
	}
	s.totals.keep(n, began, came)
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

func (t *totals) keep(n swarm.Totals, at time.Time, came int64) {
	t.came.Add(-came)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted, t.at = n, at
}

// full reports whether the table has as many peers as it may, as far as is known, and has
// them counted again where that is long ago.
func (s *Store) full() bool {
	t := &s.totals
	if t.most == 0 {
		return false
	}
	now := s.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	counted, came, most := int64(t.counted.Peers), t.came.Load(), int64(t.most)
	age := limitAge
	const others = 8 // trackers that have recorded as many, perhaps
	if !t.at.IsZero() && counted+others*came < most/2 {
		age = farAge
	}
	if !t.counting && now.Sub(t.at) >= age && now.Sub(t.tried) >= age {
		t.counting, t.tried = true, now
		t.going.Go(s.countForLimit)
	}
	return counted+came >= most
}

// mostCounting is how long it may take to count what the table has.
const mostCounting = 10 * time.Minute

func (s *Store) countForLimit() {
	ctx, cancel := context.WithTimeout(s.life, mostCounting)
	defer cancel()
	if _, err := s.countWithin(ctx, limitAge); err != nil && s.life.Err() == nil {
		s.log.Warn("peers could not be counted, for the limit of peers", "error", err)
	}
	s.totals.mu.Lock()
	defer s.totals.mu.Unlock()
	s.totals.counting = false
}
