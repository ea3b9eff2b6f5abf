package document

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestWhatIsFreshEnoughIsNotAskedFor(t *testing.T) {
	var f Freshness
	var lock sync.Mutex
	now, asked := time.Unix(1_800_000_000, 0), 0
	clock := func() time.Time { return now }
	learn := func(context.Context) error {
		asked++
		f.Learned(now)
		return nil
	}
	for _, step := range []struct {
		pass, ago time.Duration
		asks      bool
	}{
		{0, time.Hour, true}, // nothing was known
		{0, 0, false},
		{0, -1, true},
		{time.Minute, time.Minute, false},
		{time.Second, time.Minute, true},
		{-time.Hour, time.Minute, true}, // the clock was put back
	} {
		now = now.Add(step.pass)
		before := asked
		if err := f.Renew(t.Context(), step.ago, clock, &lock, learn); err != nil || asked-before == 1 != step.asks {
			t.Errorf("%+v: asked %d times, %v", step, asked-before, err)
		}
	}
	gone := errors.New("gone")
	if err := f.Renew(t.Context(), -1, clock, &lock, func(context.Context) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
}

func TestOfThoseWhoAskAtOnceOneLearns(t *testing.T) {
	var f Freshness
	var lock sync.Mutex
	now, asked := time.Unix(1000, 0), 0 // asked under the lock
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			err := f.Renew(t.Context(), time.Second, func() time.Time { return now }, &lock, func(context.Context) error {
				asked++
				f.Learned(now)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}
