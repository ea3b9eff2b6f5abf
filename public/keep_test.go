package public

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// building makes answers of so many bytes, each of which takes a time.
type building struct {
	bytes int
	takes time.Duration
	made  atomic.Int32
}

func (b *building) build(context.Context) (*kept, error) {
	b.made.Add(1)
	<-time.After(b.takes)
	return &kept{body: make([]byte, b.bytes)}, nil
}

func TestWhatIsMadeForOneIsShownToAllForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(time.Now), &building{bytes: 10, takes: time.Millisecond}
		var visitors sync.WaitGroup
		for range 50 {
			visitors.Go(func() {
				if got, err := k.get(t.Context(), "page", 10*time.Second, b.build); err != nil || len(got.body) != 10 {
					t.Errorf("%v, %v", got, err)
				}
			})
		}
		visitors.Wait()
		if n := b.made.Load(); n != 1 {
			t.Errorf("it was made %d times", n)
		}
		<-time.After(11 * time.Second)
		if _, err := k.get(t.Context(), "page", 10*time.Second, b.build); err != nil || b.made.Load() != 2 {
			t.Errorf("then it was made %d times, %v", b.made.Load(), err)
		}
	})
}

func TestVisitorsTogetherTakeATenthOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(time.Now), &building{bytes: 10, takes: 10 * time.Millisecond}
		began := time.Now()
		var refused atomic.Int32
		var visitors sync.WaitGroup
		for n := range 1000 {
			visitors.Go(func() {
				if _, err := k.get(t.Context(), fmt.Sprint(n), time.Minute, b.build); errors.Is(err, errBusy) {
					refused.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		visitors.Wait()
		made := int(b.made.Load())
		if took := time.Since(began); took < time.Duration(made-1)*100*time.Millisecond || took > waitTime+time.Second {
			t.Errorf("%d were made in %v", made, took)
		}
		if made+int(refused.Load()) != 1000 || made > maxWaiting {
			t.Errorf("%d were made, %d refused", made, refused.Load())
		}
	})
}

func TestVisitorWhoLeavesWaitsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(time.Now), &building{takes: time.Second}
		if _, err := k.get(t.Context(), "a", time.Minute, b.build); err != nil {
			t.Fatal(err)
		}
		gone, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := k.get(gone, "b", time.Minute, b.build); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if k.waiting.Load() != 0 || len(k.making) != 0 {
			t.Error("the place is still taken")
		}
	})
}

func TestFailureIsNotShownToOthers(t *testing.T) {
	k := newKeeper(time.Now)
	failure := errors.New("the disk is gone")
	if _, err := k.get(t.Context(), "a", time.Minute, func(context.Context) (*kept, error) { return nil, failure }); !errors.Is(err, failure) {
		t.Errorf("%v", err)
	}
	if got, err := k.get(t.Context(), "a", time.Minute, (&building{bytes: 3}).build); err != nil || len(got.body) != 3 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	k := newKeeper(time.Now)
	for n := range 3000 {
		k.keep(fmt.Sprint(n%2500), &kept{body: make([]byte, 20_000), until: time.Now().Add(time.Hour)})
		sum := 0
		for key, one := range k.all {
			sum += len(key) + len(one.body)
		}
		if n%100 == 0 && sum != k.bytes || k.bytes > maxKeptBytes || len(k.all) > maxKept || len(k.all) != len(k.order) {
			t.Fatalf("%d answers of %d bytes, which are counted as %d", len(k.all), sum, k.bytes)
		}
	}
	if k.find("499") == nil || k.find("1") == nil || k.find("600") != nil {
		t.Error("not the oldest are forgotten")
	}
	large := &building{bytes: maxKeptOne + 1}
	if got, err := k.get(t.Context(), "large", time.Hour, large.build); err != nil || len(got.body) != large.bytes || k.find("large") != nil {
		t.Errorf("%v", err)
	}
}

func FuzzHost(f *testing.F) {
	for _, host := range []string{"tracker.example:6969", "[::1]:1", "127.0.0.1", "", "[::1", "a:b", "x\"y", "[::1]x:1", "a..b", "[::ffff:1.2.3.4]"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if !validHost(host) {
			return
		}
		u, err := url.Parse("http://" + host + "/feed.atom")
		if err != nil || u.Host != host || u.Path != "/feed.atom" || u.User != nil {
			t.Errorf("%q: %+v, %v", host, u, err)
		}
	})
}

func TestWhatIsOnItsWayIsBounded(t *testing.T) {
	k := newKeeper(time.Now)
	huge, shared, other, small := &kept{body: make([]byte, 40<<20)}, &kept{body: make([]byte, 20<<20)}, &kept{body: make([]byte, 20<<20)}, &kept{body: make([]byte, 10)}
	// sent has an answer sent to somebody who reads it while then runs.
	sent := func(a *kept, then func()) bool {
		t.Helper()
		err := k.send(a, then)
		if err != nil && !errors.Is(err, errBusy) {
			t.Error(err)
		}
		return err == nil
	}
	nothing := func() {}
	if !sent(huge, func() {
		if sent(small, nothing) {
			t.Error("beside what is larger than all may be, something else is sent")
		}
	}) {
		t.Error("one alone is not sent")
	}
	if !sent(shared, func() {
		if !sent(shared, func() {
			if !sent(small, nothing) || sent(other, nothing) {
				t.Error("beside 20 MiB to two visitors, 20 others are sent, or 10 bytes are not")
			}
		}) {
			t.Error("what one reads another may not")
		}
		if sent(other, nothing) {
			t.Error("beside 20 MiB to one visitor, 20 others are sent")
		}
	}) || !sent(other, nothing) || len(k.readers) != 0 || k.sending != 0 {
		t.Errorf("in the end %d bytes to %d are on their way", k.sending, len(k.readers))
	}
}
