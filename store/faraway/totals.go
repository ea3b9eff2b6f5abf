package faraway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"waggle/swarm"
)

// How old the numbers of peers and torrents may be that are held against limits: where
// they are far from these, counting often would cost more than it is worth. Far is less
// than half as many peers. Of torrents it is up to 31 of 32, since Expire keeps them at 15
// of 16, and a store that is attacked is as full as that for long.
const (
	LimitAge = 10 * time.Second
	FarAge   = 10 * time.Minute

	farPeers    = 2  // the most, less one of so many parts of it
	farTorrents = 32 // the same
)

// others is how many trackers may have recorded as much as this one.
const others = 8

// mostCounting is how long it may take to count for the limits.
const mostCounting = 10 * time.Minute

// What is told to whoever is not recorded at a limit.
const (
	WarnPeers    = "this tracker is at its limit of peers: it cannot tell others of you now"
	WarnTorrents = "this tracker is at its limit of torrents: it cannot tell others of you now"
)

// afterFailure is when counting that failed is tried again.
const afterFailure = time.Minute

// TotalsOptions say how totals are counted.
type TotalsOptions struct {
	Count func(context.Context) (swarm.Totals, error) // adds up all that the store has
	Age   time.Duration                               // how old an answer of Get may be
	First time.Time                                   // when is counted for the limits at the earliest

	MostPeers, MostTorrents int // in the store; 0: no limit

	Life context.Context // of the store; counting for the limits ends with it
	Now  func() time.Time
	Log  *slog.Logger
}

// Totals are what a store on a network has as a whole, counted now and then, since that
// costs. All methods may be called concurrently.
type Totals struct {
	o     TotalsOptions
	turn  chan struct{} // whoever counts has it
	going sync.WaitGroup

	mu       sync.Mutex
	counted  swarm.Totals
	at       time.Time // zero: never
	torrents time.Time // when torrents were counted last, by themselves or with all
	came     came      // since then
	next     time.Time // before which is not counted for the limits
	counting bool      // for the limits
}

// came is what this tracker has recorded.
type came struct{ peers, torrents int }

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
	began, before := t.o.Now(), t.newcomers()
	n, err := t.o.Count(ctx)
	if err != nil {
		return swarm.Totals{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted, t.at, t.torrents = n, began, began
	t.came.peers -= min(before.peers, t.came.peers)
	t.came.torrents -= min(before.torrents, t.came.torrents)
	return n, nil
}

// known returns what was counted within an age.
func (t *Totals) known(age time.Duration) (n swarm.Totals, is bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counted, !t.at.IsZero() && t.o.Now().Sub(t.at) < age
}

func (t *Totals) newcomers() came {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.came
}

// PeerCame is told of a peer that this tracker has recorded.
func (t *Totals) PeerCame() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.came.peers++
}

// TorrentCame is told of a torrent that was not known until this tracker recorded
// something of it.
func (t *Totals) TorrentCame() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.came.torrents++
}

// hasTorrents is told how many torrents there are, by somebody who has gone through all
// of them since so many had come.
func (t *Totals) hasTorrents(n int, began time.Time, before came) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted.Torrents, t.torrents = n, began
	t.came.torrents -= min(before.torrents, t.came.torrents)
}

// Full is which of its limits a store has reached, as far as is known.
type Full struct{ Peers, Torrents bool }

// Full has peers and torrents counted again where that is long ago. It does not wait.
func (t *Totals) Full() (is Full) {
	if t.o.MostPeers == 0 && t.o.MostTorrents == 0 {
		return is
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.o.Now()
	old := isOld(now.Sub(t.at), t.counted.Peers, t.came.peers, t.o.MostPeers, farPeers) ||
		isOld(now.Sub(t.torrents), t.counted.Torrents, t.came.torrents, t.o.MostTorrents, farTorrents)
	if old && !t.counting && !now.Before(t.next) {
		t.counting = true
		t.going.Go(t.countForLimits)
	}
	return Full{
		Peers:    t.o.MostPeers > 0 && t.counted.Peers+t.came.peers >= t.o.MostPeers,
		Torrents: t.o.MostTorrents > 0 && t.counted.Torrents+t.came.torrents >= t.o.MostTorrents,
	}
}

// isOld reports whether what was counted must be again. It is far from the most where
// it would be even if others had recorded as much.
func isOld(age time.Duration, counted, came, most, part int) bool {
	switch {
	case most == 0:
		return false
	case counted+others*came < most-most/part:
		return age >= FarAge
	}
	return age >= LimitAge
}

func (t *Totals) countForLimits() {
	ctx, cancel := context.WithTimeout(t.o.Life, mostCounting)
	defer cancel()
	_, err := t.within(ctx, LimitAge)
	if err != nil && t.o.Life.Err() == nil {
		t.o.Log.Warn("peers and torrents could not be counted, for their limits", "error", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counting = false; err != nil {
		t.next = t.o.Now().Add(afterFailure)
	}
}

// Wait waits until nobody counts for the limits.
func (t *Totals) Wait() { t.going.Wait() }
