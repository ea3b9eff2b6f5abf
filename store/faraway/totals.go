package faraway

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"waggle/swarm"
)

// How old the number of peers may be that is held against a limit: where it is far from
// that, less than half of it, counting often would cost more than it is worth.
const (
	LimitAge = 10 * time.Second
	FarAge   = 10 * time.Minute
)

// mostCounting is how long it may take to count for the limit.
const mostCounting = 10 * time.Minute

// afterFailure is when counting that failed is tried again.
const afterFailure = time.Minute

// TotalsOptions say how totals are counted.
type TotalsOptions struct {
	Count func(context.Context) (swarm.Totals, error) // adds up all that the store has
	Age   time.Duration                               // how old an answer of Get may be
	Most  int                                         // peers, in the store; 0: no limit
	First time.Time                                   // when peers are counted for the limit at the earliest

	Life context.Context // of the store; counting for the limit ends with it
	Now  func() time.Time
	Log  *slog.Logger
}

// Totals are what a store on a network has as a whole, counted now and then, since that
// costs. All methods may be called concurrently.
type Totals struct {
	o    TotalsOptions
	came atomic.Int64  // peers that this tracker has recorded since they were counted
	turn chan struct{} // whoever counts has it

	mu       sync.Mutex
	counted  swarm.Totals
	at       time.Time // zero: never
	next     time.Time // before which they are not counted for the limit
	counting bool      // for the limit
	going    sync.WaitGroup
}

// NewTotals returns totals that were never counted.
func NewTotals(o TotalsOptions) *Totals {
	return &Totals{o: o, turn: make(chan struct{}, 1), next: o.First}
}

// Get returns the totals. Those who ask at once wait for one who counts. The error is
// Count's, or ctx's.
func (t *Totals) Get(ctx context.Context) (swarm.Totals, error) { return t.within(ctx, t.o.Age) }

func (t *Totals) within(ctx context.Context, age time.Duration) (swarm.Totals, error) {
	if n, is := t.known(age); is {
		return n, nil
	}
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return swarm.Totals{}, ctx.Err()
	}
	defer func() { <-t.turn }()
	if n, is := t.known(age); is {
		return n, nil
	}
	began, came := t.o.Now(), t.came.Load()
	n, err := t.o.Count(ctx)
	if err != nil {
		return swarm.Totals{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted, t.at = n, began
	t.came.Add(-came)
	return n, nil
}

// known returns what was counted within an age.
func (t *Totals) known(age time.Duration) (n swarm.Totals, is bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counted, !t.at.IsZero() && t.o.Now().Sub(t.at) < age
}

// Came is told of a peer that this tracker has recorded.
func (t *Totals) Came() { t.came.Add(1) }

// Full reports whether the store has as many peers as it may, as far as is known, and has
// them counted again where that is long ago. It does not wait.
func (t *Totals) Full() bool {
	if t.o.Most == 0 {
		return false
	}
	now := t.o.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	counted, came, most := int64(t.counted.Peers), t.came.Load(), int64(t.o.Most)
	age := LimitAge
	const others = 8 // trackers that have recorded as many, perhaps
	if !t.at.IsZero() && counted+others*came < most/2 {
		age = FarAge
	}
	if !t.counting && now.Sub(t.at) >= age && !now.Before(t.next) {
		t.counting = true
		t.going.Go(t.countForLimit)
	}
	return counted+came >= most
}

func (t *Totals) countForLimit() {
	ctx, cancel := context.WithTimeout(t.o.Life, mostCounting)
	defer cancel()
	_, err := t.within(ctx, LimitAge)
	if err != nil && t.o.Life.Err() == nil {
		t.o.Log.Warn("peers could not be counted, for the limit of peers", "error", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counting = false; err != nil {
		t.next = t.o.Now().Add(afterFailure)
	}
}

// Wait waits until nobody counts for the limit.
func (t *Totals) Wait() { t.going.Wait() }
