package s3

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"waggle/swarm"
)

// totals is what the store has as a whole, counted now and then.
type totals struct {
	age  time.Duration // of an answer
	most int           // of peers; 0: no limit
	came atomic.Int64  // peers that this tracker has recorded since they were counted
	turn chan struct{} // whoever counts has it

	mu       sync.Mutex
	counted  swarm.Totals
	at       time.Time // zero: never
	tried    time.Time // when counting for the limit began last, or the store was opened
	counting bool      // for the limit
	going    sync.WaitGroup
}

func newTotals(o *Options) *totals {
	return &totals{age: o.TotalsAge, most: o.MaxPeers, turn: make(chan struct{}, 1), tried: o.Now()}
}

// How old the number of peers may be that is held against the limit: where that is far
// off, to count often would cost more than it is worth.
const (
	limitAge = 10 * time.Second
	farAge   = 10 * time.Minute
)

// Totals is documented at [swarm.Store]. It lists all torrents, and reads those that were
// changed since this tracker did, unless it did within Options.TotalsAge. Those who ask at
// once wait for one who lists.
func (s *Store) Totals(ctx context.Context) (swarm.Totals, error) {
	return s.countWithin(ctx, s.totals.age)
}

// countWithin counts, unless somebody has within an age.
func (s *Store) countWithin(ctx context.Context, age time.Duration) (swarm.Totals, error) {
	t := s.totals
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

func (s *Store) countAll(ctx context.Context) (n swarm.Totals, err error) {
	t := s.totals
	began, came := s.now(), t.came.Load()
	err = s.eachPage(ctx, 0, math.MaxUint8, func(some []total) error {
		for i := range some {
			n.Torrents++
			n.Peers += int(some[i].peers())
			n.Seeders += int(some[i].kind(swarm.Seeder))
		}
		return nil
	})
	if err != nil {
		return swarm.Totals{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted, t.at = n, began
	t.came.Add(-came)
	return n, nil
}

// full reports whether the store has as many peers as it may, as far as is known, and has
// them counted again where that is long ago.
func (s *Store) full() bool {
	t := s.totals
	if t.most == 0 {
		return false
	}
	now := s.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	counted, came, most := int64(t.counted.Peers), t.came.Load(), int64(t.most)
	age := limitAge
	const others = 8 // trackers that have recorded as many, perhaps
	if counted+others*came < most/2 {
		age = farAge
	}
	if !t.counting && now.Sub(t.at) >= age && now.Sub(t.tried) >= age {
		t.counting, t.tried = true, now
		t.going.Go(s.countForLimit)
	}
	return counted+came >= most
}

// mostCounting is how long it may take to count what the store has.
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
