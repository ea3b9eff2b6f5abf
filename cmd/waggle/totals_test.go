package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"waggle/store/memory"
	"waggle/swarm"
)

// slow is a store that answers when it is let.
type slow struct {
	*memory.Store
	asked int
	let   chan swarm.Totals
}

func (s *slow) Totals(ctx context.Context) (swarm.Totals, error) {
	s.asked++
	select {
	case t, ok := <-s.let:
		if !ok {
			return t, errors.New("cut")
		}
		return t, nil
	case <-ctx.Done():
		return swarm.Totals{}, ctx.Err()
	}
}

func TestTotalsOfAStoreOnANetworkAreAskedForOnceInAWhileAndWaitedForByNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{Store: memory.New(memory.Options{}), let: make(chan swarm.Totals)}
		var k knownTotals
		for range 100 {
			if got := k.get(s, time.Now(), time.Minute); got != (swarm.Totals{}) {
				t.Fatalf("%+v is known before the store has answered", got)
			}
		}
		s.let <- swarm.Totals{Peers: 1}
		synctest.Wait()
		if got := k.get(s, time.Now(), time.Minute); got.Peers != 1 || s.asked != 1 {
			t.Errorf("%+v, asked %d times; want 1 peer, asked once", got, s.asked)
		}
		time.Sleep(time.Minute)
		k.get(s, time.Now(), time.Minute)
		time.Sleep(totalsPatience) // it does not answer
		synctest.Wait()
		if got := k.get(s, time.Now(), time.Minute); got.Peers != 1 || s.asked != 2 {
			t.Errorf("%+v, asked %d times; want 1 peer as before, asked twice", got, s.asked)
		}
		time.Sleep(time.Minute)
		k.get(s, time.Now(), time.Minute)
		k.close() // ends the question
		if k.get(s, time.Now().Add(time.Hour), time.Minute); s.asked != 3 {
			t.Errorf("asked %d times, want 3: none after the end", s.asked)
		}
	})
}

func TestWhoAwaitsTotalsHasThoseOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{Store: memory.New(memory.Options{}), let: make(chan swarm.Totals)}
		var k knownTotals
		go func() {
			time.Sleep(3 * time.Second)
			s.let <- swarm.Totals{Peers: 1}
		}()
		began := time.Now()
		for range 2 { // of which the second need not ask
			k.await(s, time.Now(), time.Minute)
			if got := k.get(s, time.Now(), time.Minute); got.Peers != 1 || s.asked != 1 {
				t.Errorf("%+v, asked %d times; want 1 peer, asked once", got, s.asked)
			}
		}
		time.Sleep(time.Minute)
		k.await(s, time.Now(), time.Minute) // it does not answer
		if took := time.Since(began); took != 3*time.Second+time.Minute+totalsPatience {
			t.Errorf("it took %v", took)
		}
		k.close()
		k.await(s, time.Now().Add(time.Hour), time.Minute) // waits for nobody
	})
}
