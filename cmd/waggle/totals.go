package main

import (
	"context"
	"sync"
	"time"

	"waggle/swarm"
)

// knownTotals is how large a store on a network was when it was asked last, so that
// those who look at it do not each ask it again, nor wait for it.
type knownTotals struct {
	mu     sync.Mutex
	last   swarm.Totals
	asked  time.Time     // zero: never
	busy   chan struct{} // closed when who asks has an answer; nil: nobody asks
	closed bool
	asking sync.WaitGroup
	cancel context.CancelFunc // of who asks
}

// How old known totals may be before a store is asked again, and how long it has for an
// answer. Redis counts all the time; others may have to read what they count.
const (
	totalsAge      = time.Minute
	totalsAgeRedis = 5 * time.Second
	totalsPatience = 10 * time.Second
)

// totals returns how large the store is, or was a while ago where it is on a network.
func (s *service) totals() swarm.Totals {
	remote, is := s.store.(swarm.Remote)
	if !is {
		totals, _ := s.store.Totals(context.Background()) // those on this machine never fail
		return totals
	}
	return s.known.get(remote, time.Now(), s.totalsAge())
}

// awaitTotals has totals be no older than they are elsewhere, in a process that stands
// still when it has answered. It waits for the store, for ten seconds at most.
func (s *service) awaitTotals() {
	if remote, is := s.store.(swarm.Remote); is {
		s.known.await(remote, time.Now(), s.totalsAge())
	}
}

func (s *service) totalsAge() time.Duration {
	if s.config.Store.CountsAlways() {
		return totalsAgeRedis
	}
	return totalsAge
}

// get returns the totals, and has the store asked where they are old.
func (k *knownTotals) get(store swarm.Store, now time.Time, age time.Duration) swarm.Totals {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy == nil && !k.closed && now.Sub(k.asked) >= age {
		ctx, cancel := context.WithTimeout(context.Background(), totalsPatience)
		k.busy, k.cancel = make(chan struct{}), cancel
		k.asking.Go(func() { k.ask(ctx, store) })
	}
	return k.last
}

// await has the store asked where the totals are old, and waits for its answer.
func (k *knownTotals) await(store swarm.Store, now time.Time, age time.Duration) {
	k.get(store, now, age)
	k.mu.Lock()
	busy := k.busy
	k.mu.Unlock()
	if busy != nil {
		<-busy
	}
}

func (k *knownTotals) ask(ctx context.Context, store swarm.Store) {
	totals, err := store.Totals(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cancel()
	close(k.busy)
	k.busy, k.asked = nil, time.Now()
	if err == nil {
		k.last = totals
	}
}

// set says what is known already.
func (k *knownTotals) set(t swarm.Totals) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last, k.asked = t, time.Now()
}

// close has nobody ask any more.
func (k *knownTotals) close() {
	k.mu.Lock()
	if k.closed = true; k.busy != nil {
		k.cancel()
	}
	k.mu.Unlock()
	k.asking.Wait()
}

func (s *service) closeStore() error {
	s.known.close()
	return s.store.Close()
}
