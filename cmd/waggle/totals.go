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
	asked  time.Time // zero: never
	busy   bool      // somebody asks
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
	age := totalsAge
	if s.config.Store.CountsAlways() {
		age = totalsAgeRedis
	}
	return s.known.get(remote, time.Now(), age)
}

// get returns the totals, and has the store asked where they are old.
func (k *knownTotals) get(store swarm.Store, now time.Time, age time.Duration) swarm.Totals {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.busy && !k.closed && now.Sub(k.asked) >= age {
		ctx, cancel := context.WithTimeout(context.Background(), totalsPatience)
		k.busy, k.cancel = true, cancel
		k.asking.Go(func() { k.ask(ctx, store) })
	}
	return k.last
}

func (k *knownTotals) ask(ctx context.Context, store swarm.Store) {
	totals, err := store.Totals(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cancel()
	k.busy, k.asked = false, time.Now()
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
	if k.closed = true; k.busy {
		k.cancel()
	}
	k.mu.Unlock()
	k.asking.Wait()
}

func (s *service) closeStore() error {
	s.known.close()
	return s.store.Close()
}
