package tracker

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
)

// errBusy refuse announces that are too many, for one minute, two, and so on.
var errBusy = func() (list [30]bittorrent.Refusal) {
	for i := range list {
		list[i] = bittorrent.Refusal{
			Reason:  "this tracker has too much to do now",
			RetryIn: time.Duration(i+1) * time.Minute,
		}
	}
	return list
}()

// load holds all announces together to a rate: it makes the appointments at which
// clients come back, no more of them a second than the rate, and sheds what comes
// without and is too much. All methods may be called concurrently.
type load struct {
	start  time.Time
	booked atomic.Int64             // ns from start: the first appointment that is free, less the interval
	due    [extraSteps]atomic.Int64 // ns from start: when those told of an extra wait must have come

	second atomic.Int64 // from start, that is being counted
	all    meter
	spare  meter         // those that may be shed
	share  atomic.Uint64 // the share of spare to shed, as the bits of a float64
	mu     sync.Mutex    // while a second ends
}

func newLoad(start time.Time) *load {
	l := &load{start: start}
	l.booked.Store(longAgo)
	for i := range l.due {
		l.due[i].Store(longAgo)
	}
	return l
}

const longAgo = math.MinInt64 / 2

// book makes an appointment, and returns how much longer than the interval it is
// until then; at most longest. One interval after a crowd has come at three times
// the rate it would come again; so it is spread over three intervals. Appointments
// are never before those that were made earlier.
func (l *load) book(now time.Time, rate int, longest time.Duration) (extra time.Duration) {
	at := int64(now.Sub(l.start))
	for {
		booked := l.booked.Load()
		next := min(max(booked, at), at+int64(longest))
		if l.booked.CompareAndSwap(booked, next+int64(time.Second)/int64(rate)) {
			return time.Duration(next - at)
		}
	}
}

// ahead returns how much longer than the interval the next client is to wait.
func (l *load) ahead(now time.Time) time.Duration {
	return max(0, time.Duration(l.booked.Load())-now.Sub(l.start))
}

// Extra waits are remembered in steps, four to a doubling, from a second to more
// than seven times the longest interval of a day.
const (
	stepsPerDoubling = 4
	extraSteps       = 80
)

// stepOf returns the number of the first step that is not below the wait, or the last.
func stepOf(extra time.Duration) int {
	step := math.Ceil(stepsPerDoubling * math.Log2(extra.Seconds()))
	return int(min(max(step, 0), extraSteps-1))
}

func lengthOf(step int) time.Duration {
	return time.Duration(math.Exp2(float64(step)/stepsPerDoubling) * float64(time.Second))
}

// keep remembers that a client was told of an extra wait, so that it counts as
// alive for as much longer than the lifetime.
func (l *load) keep(now time.Time, lifetime, extra time.Duration) {
	if extra < time.Second {
		return
	}
	due := &l.due[stepOf(extra)]
	until := int64(now.Sub(l.start) + lifetime + extra)
	if until-due.Load() > int64(time.Second) { // or each announce would write
		due.Store(until)
	}
}

// kept returns the longest extra wait that a client may still be keeping to: up to
// a fifth more than it was told, or 0.
func (l *load) kept(now time.Time) time.Duration {
	at := int64(now.Sub(l.start))
	for step := extraSteps - 1; step >= 0; step-- {
		if l.due[step].Load() > at {
			return lengthOf(step)
		}
	}
	return 0
}

// tooMany counts an announce, and reports whether it is to be shed to bring the
// rate back to twice what it should be. Who leaves or has just completed is never
// shed: he would not come back to tell.
func (l *load) tooMany(now time.Time, rate int, event bittorrent.Event, random func() float64) bool {
	second := int64(now.Sub(l.start) / time.Second)
	if second > l.second.Load() {
		l.turn(second, rate)
	}
	l.all.count.Add(1)
	if event == bittorrent.EventStopped || event == bittorrent.EventCompleted {
		return false
	}
	l.spare.count.Add(1)
	share := math.Float64frombits(l.share.Load())
	return share > 0 && random() < share
}

// turn ends the second that is being counted.
func (l *load) turn(next int64, rate int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	passed := next - l.second.Load()
	if passed <= 0 {
		return // another announce was first
	}
	all, spare := l.all.turn(passed), l.spare.turn(passed)
	share := 0.0
	if excess := all - 2*float64(rate); excess > 0 {
		share = min(excess/spare, 1)
	}
	l.share.Store(math.Float64bits(share))
	l.second.Store(next)
}

// meter is a rate of events.
type meter struct {
	count atomic.Int64 // in the second that is being counted
	rate  float64      // a second, smoothed over some four of them
}

// turn ends a second, after which others have passed without events, and returns
// the rate.
func (m *meter) turn(passed int64) float64 {
	const weight = 0.25
	m.rate += (float64(m.count.Swap(0)) - m.rate) * weight
	m.rate *= math.Pow(1-weight, float64(passed-1))
	return m.rate
}
