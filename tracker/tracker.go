package tracker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Settings are what may change while the tracker runs.
type Settings struct {
	Interval     time.Duration // between announces; sent with jitter of a tenth either way
	MinInterval  time.Duration // sent as it is; 0: not sent
	PeerLifetime time.Duration // after which a silent peer is forgotten
	NumWant      int32         // peers told to a client that does not say how many
	MaxNumWant   int32         // peers told to a client that wants more
}

// jitter is how far an interval may be off, either way.
const jitter = 0.1

// Refusals of an announce, in words for the client's user.
const (
	ErrAddress bittorrent.Error = "your address is none that other peers could connect to"
	ErrStore   bittorrent.Error = "the tracker cannot reach its store: try again later"
)

// Options are where time and chance come from. The zero value takes the real
// ones.
type Options struct {
	Now    func() time.Time // nil: time.Now
	Random func() float64   // at least 0 and below 1, called concurrently; nil: math/rand/v2
}

// Tracker decides announces. All methods may be called concurrently.
type Tracker struct {
	store    swarm.Store
	settings atomic.Pointer[Settings]
	options  Options
	figures  figures
}

// New returns a tracker over a store, which stays the caller's to close.
func New(store swarm.Store, s Settings, o Options) *Tracker {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	t := &Tracker{store: store, options: o}
	t.Apply(s)
	return t
}

// Apply replaces the settings. Announces under way end with the old ones.
func (t *Tracker) Apply(s Settings) { t.settings.Store(&s) }

// Now returns the tracker's time. A frontend reads it once for as many announces
// as it takes in at a time.
func (t *Tracker) Now() time.Time { return t.options.Now() }

// Announce decides an announce and fills in the reply. The error is a
// [bittorrent.Error], fit to be sent back. a.NumWant is replaced by how many
// peers the client gets at most.
func (t *Tracker) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	s := t.settings.Load()
	t.figures.announces.Add(1)
	if err := admit(a); err != nil {
		t.figures.refused.Add(1)
		return err
	}
	a.NumWant = s.places(a)
	if err := t.store.Announce(ctx, a, r); err != nil {
		return t.storeFailed(err)
	}
	t.figures.told.Add(uint64(r.Peers.Len()))
	r.Interval, r.MinInterval = t.pace(s), s.MinInterval
	return nil
}

// admit refuses an address that nobody can be sent to. Private and loopback
// addresses are good: a tracker may well serve a machine room, or one machine.
func admit(a *swarm.Announce) error {
	if a.Port == 0 {
		return bittorrent.ErrPort
	}
	if !a.From.IsValid() || a.From.IsUnspecified() || a.From.IsMulticast() {
		return ErrAddress
	}
	return nil
}

// places returns how many peers to tell.
func (s *Settings) places(a *swarm.Announce) int32 {
	n := a.NumWant
	if n < 0 {
		n = s.NumWant
	}
	n = min(n, s.MaxNumWant)
	if a.Room > 0 {
		n = min(n, a.Room)
	}
	return n
}

// pace returns when to announce again. A client must not be told to come back
// before it may.
func (t *Tracker) pace(s *Settings) time.Duration {
	factor := 1 - jitter + 2*jitter*t.options.Random()
	return max(time.Duration(float64(s.Interval)*factor), s.MinInterval)
}

// Scrape fills in counts, which is as long as hashes. The error is a
// [bittorrent.Error].
func (t *Tracker) Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	t.figures.scrapes.Add(1)
	if err := t.store.Scrape(ctx, hashes, counts); err != nil {
		return t.storeFailed(err)
	}
	return nil
}

// MinInterval returns how long a client is asked to wait between requests of the
// same torrent.
func (t *Tracker) MinInterval() time.Duration { return t.settings.Load().MinInterval }

// storeFailed counts a store's fault and keeps its details from strangers.
func (t *Tracker) storeFailed(err error) error {
	t.figures.failed.Add(1)
	t.figures.lastFailure.Store(&err)
	return ErrStore
}

// cleanings is how often the peers are looked through within a lifetime: a
// silent peer is told to others for at most a tenth longer than it should be.
const cleanings = 10

// Clean forgets silent peers until ctx ends.
func (t *Tracker) Clean(ctx context.Context) {
	for {
		lifetime := t.settings.Load().PeerLifetime
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(max(lifetime/cleanings, time.Second), time.Minute)):
		}
		_ = t.CleanOnce(ctx) // counted, and the next round tries again
	}
}

// CleanOnce forgets the peers that have been silent for the lifetime. The error
// is the store's.
func (t *Tracker) CleanOnce(ctx context.Context) error {
	lifetime := t.settings.Load().PeerLifetime
	n, err := t.store.Expire(ctx, t.Now().Add(-lifetime))
	t.figures.expired.Add(uint64(n))
	if err != nil && !errors.Is(err, context.Canceled) {
		_ = t.storeFailed(err)
		return fmt.Errorf("forgetting silent peers: %w", err)
	}
	return nil
}
