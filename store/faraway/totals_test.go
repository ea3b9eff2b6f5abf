package faraway_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"waggle/store/faraway"
	"waggle/swarm"
)

// counted is what a store has, and how often that was counted.
type counted struct {
	mu     sync.Mutex
	totals swarm.Totals
	err    error
	times  int
}

func (c *counted) count(context.Context) (swarm.Totals, error) {
	time.Sleep(time.Second) // in a bubble: as long as it takes
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times++
	return c.totals, c.err
}

func (c *counted) options(t *testing.T) faraway.TotalsOptions {
	return faraway.TotalsOptions{Count: c.count, Age: 10 * time.Second, MostPeers: 100, Life: t.Context(), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

func TestThoseWhoAskAtOnceHaveTheStoreCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counted{totals: swarm.Totals{Peers: 7}}
		totals := faraway.NewTotals(c.options(t))
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if n, err := totals.Get(t.Context()); err != nil || n.Peers != 7 {
					t.Errorf("%+v, %v", n, err)
				}
			})
		}
		all.Wait()
		if c.times != 1 {
			t.Errorf("counted %d times", c.times)
		}
		time.Sleep(10 * time.Second)
		if _, err := totals.Get(t.Context()); err != nil || c.times != 2 {
			t.Errorf("counted %d times when it was old, %v", c.times, err)
		}
	})
}

func TestTotalsThatCannotBeCountedAreAnErrorAndNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counted{err: errors.New("away")}
		totals := faraway.NewTotals(c.options(t))
		if n, err := totals.Get(t.Context()); err == nil {
			t.Errorf("%+v", n)
		}
		for n := range 105 {
			if full := totals.Full().Peers; full != (n >= 100) {
				t.Fatalf("full at %d of 100: %t", n, full)
			}
			totals.PeerCame()
		}
		totals.Wait()
		before := c.times
		for range 6 { // it fails, and is not tried each time
			totals.Full()
			totals.Wait()
			time.Sleep(9 * time.Second)
		}
		if c.times > before+1 {
			t.Errorf("counted %d times more within a minute", c.times-before)
		}
	})
}

func TestWhoComesBeforeTheFirstCountIsNotCountedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counted{totals: swarm.Totals{Peers: 100}}
		o := c.options(t)
		o.First = time.Now().Add(time.Minute)
		totals := faraway.NewTotals(o)
		if totals.Full().Peers || c.times != 0 {
			t.Error("it was counted at once")
		}
		time.Sleep(time.Minute)
		totals.Full()
		totals.Wait()
		if !totals.Full().Peers || c.times != 1 {
			t.Errorf("counted %d times after a minute", c.times)
		}
	})
}

func TestTorrentsAreCountedSeldomUntilTheyAreNearTheirLimit(t *testing.T) {
	for _, test := range []struct{ torrents, came, times int }{
		{0, 0, 1}, {930, 0, 1}, // what an expiry leaves is far
		{900, 1, 1}, {930, 5, 6}, // others may have as many as this one has
		{970, 0, 6}, {1000, 0, 6},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := &counted{totals: swarm.Totals{Torrents: test.torrents}}
			o := c.options(t)
			o.MostPeers, o.MostTorrents = 0, 1000
			totals := faraway.NewTotals(o)
			totals.Full()
			totals.Wait()
			for range 5 {
				time.Sleep(faraway.LimitAge)
				for range test.came {
					totals.TorrentCame()
				}
				if is := totals.Full(); is.Peers || is.Torrents != (test.torrents == 1000) {
					t.Errorf("%+v: %+v", test, is)
				}
				totals.Wait()
			}
			if c.times != test.times {
				t.Errorf("%d torrents of 1,000, and %d more each ten seconds: counted %d times, want %d", test.torrents, test.came, c.times, test.times)
			}
		})
	}
}
