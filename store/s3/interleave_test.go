package s3

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// trial lets trackers work on one swarm at once. Each request waits for its turn, which
// chance gives: so all orders of requests come up. Some requests fail, some answers are
// lost, and some trackers die between two requests.
type trial struct {
	t       *testing.T
	random  *rand.Rand
	bucket  *fakeBucket
	options Options
	hour    time.Time // by the trackers' clock

	waiting []chan error // of requests, for their turn
	enter   chan chan error
	seen    map[netip.AddrPort]bool // who must be there: true, or must not: false
	unsure  map[netip.AddrPort]bool
}

var errTrial = errors.New("the network failed")

// fault are the chances that something goes wrong, of 1,000.
type fault struct{ fail, lose int }

func newTrial(t *testing.T, seed uint64, f fault) *trial {
	tr := &trial{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), bucket: newFake(), enter: make(chan chan error),
		seen: map[netip.AddrPort]bool{}, unsure: map[netip.AddrPort]bool{}, hour: time.Unix(1_700_000_000, 0),
	}
	tr.options = Options{
		SplitBytes: 400, SplitConflicts: 2, PartAge: -1, Deletes: DeletesConditional, Attempt: time.Hour, Patience: 10 * time.Hour,
		Now: func() time.Time { return tr.hour },
	}
	lose := make(chan bool)
	tr.bucket.turn = func(context.Context, string, string) error {
		mine := make(chan error, 1)
		tr.enter <- mine
		return <-mine
	}
	tr.bucket.answered = func(string, string) error {
		if <-lose {
			return errTrial
		}
		return nil
	}
	go func() { // the chances of answers, drawn by one goroutine
		own := rand.New(rand.NewPCG(seed, 2))
		for {
			select {
			case lose <- own.IntN(1000) < f.lose:
			case <-t.Context().Done():
				return
			}
		}
	}()
	return tr
}

// run gives turns until all actors are done.
func (tr *trial) run(f fault, actors ...func()) {
	left := len(actors)
	done := make(chan struct{})
	for _, act := range actors {
		go func() {
			act()
			done <- struct{}{}
		}()
	}
	for left > 0 {
		synctest.Wait()
		select {
		case mine := <-tr.enter:
			tr.waiting = append(tr.waiting, mine)
			continue
		case <-done:
			left--
			continue
		default:
		}
		if len(tr.waiting) == 0 {
			time.Sleep(time.Millisecond)
			continue
		}
		i := tr.random.IntN(len(tr.waiting))
		mine := tr.waiting[i]
		tr.waiting = append(tr.waiting[:i], tr.waiting[i+1:]...)
		if tr.random.IntN(1000) < f.fail {
			mine <- errTrial
		} else {
			mine <- nil
		}
	}
}

// peers announces peers of a tracker, and lets some stop.
func (tr *trial) peers(s *Store, from, n int, stop func(i int) bool) func() {
	return func() {
		for i := from; i < from+n; i++ {
			a := announced(1, i)
			a.Now, a.Event, a.Left = tr.hour, bittorrent.EventCompleted, 0
			tr.announce(s, a)
			if stop(i) {
				a.Event = bittorrent.EventStopped
				tr.announce(s, a)
			}
		}
	}
}

// stops lets peers of a tracker stop.
func (tr *trial) stops(s *Store, from, n int) func() {
	return func() {
		for i := from; i < from+n; i++ {
			a := announced(1, i)
			a.Now, a.Event = tr.hour, bittorrent.EventStopped
			tr.announce(s, a)
		}
	}
}

func (tr *trial) announce(s *Store, a *swarm.Announce) {
	err := s.Announce(context.Background(), a, new(swarm.Reply))
	tr.bucket.mu.Lock()
	defer tr.bucket.mu.Unlock()
	if err != nil {
		tr.unsure[a.Addr()] = true
		return
	}
	delete(tr.unsure, a.Addr())
	tr.seen[a.Addr()] = a.Event != bittorrent.EventStopped
}

// check compares what is in the bucket with what was answered.
func (tr *trial) check(s *Store, completed func(n uint32) bool) {
	h := announced(1, 0).InfoHash
	there := map[netip.AddrPort]bool{}
	whole, err := s.Walk(context.Background(), h, nil, func(some []swarm.Peer) bool {
		for i := range some {
			if there[some[i].Addr] {
				tr.t.Errorf("%v is there twice", some[i].Addr)
			}
			there[some[i].Addr] = true
		}
		return true
	})
	if err != nil || !whole {
		tr.t.Fatalf("whole %v, %v, %v", whole, err, s.Healthy())
	}
	for addr, want := range tr.seen {
		if !tr.unsure[addr] && there[addr] != want {
			tr.t.Errorf("%v is there: %v, want %v", addr, there[addr], want)
		}
	}
	c, _, err := s.Counts(context.Background(), h)
	if err != nil || int(c.Complete) != len(there) || !completed(c.Downloaded) {
		tr.t.Errorf("counts %+v of %d peers, %v", c, len(there), err)
	}
}

// alone lets requests through as they come.
func (tr *trial) alone() {
	tr.bucket.turn, tr.bucket.answered = nil, nil
}

func (tr *trial) stores(n int) (stores []*Store) {
	for range n {
		stores = append(stores, tr.bucket.store(tr.options))
	}
	return stores
}

func (tr *trial) close(stores ...*Store) {
	for _, s := range stores {
		if err := s.Close(); err != nil {
			tr.t.Error(err)
		}
	}
}

func eachTrial(t *testing.T, f fault, run func(t *testing.T, tr *trial)) {
	for seed := range uint64(trials) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { run(t, newTrial(t, seed, f)) })
		})
		if t.Failed() {
			return
		}
	}
}

func never(int) bool { return false }

func TestNobodyIsLostHoweverRequestsOfTrackersInterleave(t *testing.T) {
	splits := uint64(0)
	eachTrial(t, fault{}, func(_ *testing.T, tr *trial) {
		stores := tr.stores(4)
		var actors []func()
		for i, s := range stores {
			actors = append(actors, tr.peers(s, 100*i, 12, func(n int) bool { return n%3 == 0 }))
		}
		tr.run(fault{}, actors...)
		tr.alone()
		tr.check(stores[0], func(n uint32) bool { return n == 48 })
		for _, s := range stores {
			splits += s.Figures().Splits
		}
		tr.close(stores...)
	})
	if splits < trials {
		t.Errorf("%d splits in %d trials", splits, trials)
	}
}

func TestNobodyIsLostWhileSwarmsAreSplitAndPutTogether(t *testing.T) {
	joins := uint64(0)
	eachTrial(t, fault{}, func(t *testing.T, tr *trial) {
		tr.options.SplitBytes = 1600
		stores := tr.stores(4)
		tr.run(fault{}, tr.peers(stores[0], 0, 60, never))
		tr.run(fault{}, tr.stops(stores[0], 1, 59))
		tr.hour = tr.hour.Add(2 * joinedAfter) // it is small, and was split long ago
		tidy := func(s *Store) func() {
			return func() {
				for range 2 {
					if _, err := s.Expire(context.Background(), time.Unix(0, 0)); err != nil {
						t.Error(err)
					}
				}
			}
		}
		tr.run(fault{}, tidy(stores[1]), tidy(stores[2]), tr.peers(stores[0], 100, 6, never), tr.peers(stores[3], 200, 6, func(n int) bool { return n%2 == 0 }))
		tr.alone()
		tr.check(stores[3], func(n uint32) bool { return n == 72 })
		for _, s := range stores {
			joins += s.Figures().Joins
		}
		tr.close(stores...)
	})
	if joins < trials/2 {
		t.Errorf("%d joins in %d trials", joins, trials)
	}
}

func TestNobodyIsLostWhenRequestsFailAndAnswersAreLost(t *testing.T) {
	f := fault{fail: 60, lose: 60}
	eachTrial(t, f, func(_ *testing.T, tr *trial) {
		stores := tr.stores(3)
		var actors []func()
		for i, s := range stores {
			actors = append(actors, tr.peers(s, 100*i, 12, func(n int) bool { return n%3 == 0 }))
		}
		tr.run(f, actors...)
		tr.alone()
		tr.check(stores[0], func(n uint32) bool { return n <= 36 && int(n) >= 36-len(tr.unsure) })
		tr.close(stores...)
	})
}

func TestTrackerThatDiesLeavesNothingThatOthersLosePeersBy(t *testing.T) {
	eachTrial(t, fault{}, func(t *testing.T, tr *trial) {
		tr.options.SplitBytes = 1600
		stores := tr.stores(3)
		tr.run(fault{}, tr.peers(stores[0], 0, 60, never))
		tr.run(fault{}, tr.stops(stores[0], 1, 59))
		tr.hour = tr.hour.Add(2 * joinedAfter)
		mortal := &mortal{bucket: tr.bucket}
		mortal.left.Store(int64(tr.random.IntN(40)))
		options := tr.options.withDefaults()
		options.Attempt, options.Patience = time.Second, 2*time.Second
		dead := newStore(newServer(mortal, &options), &options)
		tr.run(fault{},
			func() { _, _ = dead.Expire(context.Background(), time.Unix(0, 0)) },
			tr.peers(dead, 300, 10, never),
			tr.peers(stores[1], 100, 8, never), tr.peers(stores[2], 200, 8, func(n int) bool { return n%2 == 0 }))
		tr.run(fault{}, func() {
			if _, err := stores[2].Expire(context.Background(), time.Unix(0, 0)); err != nil {
				t.Error(err)
			}
		}, tr.peers(stores[1], 400, 3, never))
		tr.alone()
		tr.check(stores[2], func(n uint32) bool { return n >= 60+16+3 && n <= 60+16+3+10 })
		tr.close(stores...)
		tr.close(dead)
	})
}

// mortal is a bucket that answers so many times, and then never again.
type mortal struct {
	bucket
	left atomic.Int64
}

func (m *mortal) dead(ctx context.Context) error {
	if m.left.Add(-1) < 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (m *mortal) get(ctx context.Context, key, unless string) (object, error) {
	if err := m.dead(ctx); err != nil {
		return object{}, err
	}
	return m.bucket.get(ctx, key, unless)
}

func (m *mortal) put(ctx context.Context, key string, body []byte, was string) (string, error) {
	if err := m.dead(ctx); err != nil {
		return "", err
	}
	return m.bucket.put(ctx, key, body, was)
}

func (m *mortal) remove(ctx context.Context, key, was string) error {
	if err := m.dead(ctx); err != nil {
		return err
	}
	return m.bucket.remove(ctx, key, was)
}

func (m *mortal) list(ctx context.Context, prefix, after string) ([]listed, bool, error) {
	if err := m.dead(ctx); err != nil {
		return nil, false, err
	}
	return m.bucket.list(ctx, prefix, after)
}
