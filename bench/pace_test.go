package bench

import (
	"sync/atomic"
	"testing"
	"time"
)

func begin(p phase) *pace {
	p.stop = new(atomic.Bool)
	paced := p.begin(0)
	return &paced
}

func TestClosedLoopSendsWheneverThereIsRoomUntilItsEnd(t *testing.T) {
	p := begin(phase{duration: 100})
	for now := range int64(100) {
		if meant, ok := p.next(now); !ok || meant != now {
			t.Fatalf("at %d: meant for %d, %t", now, meant, ok)
		}
	}
	if _, ok := p.next(100); ok || !p.over(100) || p.unsent(100) != 0 {
		t.Error("it goes on behind its end")
	}
}

func TestNumberOfAnnouncesEndsTheLoop(t *testing.T) {
	p := begin(phase{announces: 3})
	for range 3 {
		if _, ok := p.next(1); !ok {
			t.Fatal("it ended early")
		}
	}
	if _, ok := p.next(1); ok || !p.over(1) {
		t.Error("it goes on")
	}
}

func TestStopEndsTheLoop(t *testing.T) {
	p := begin(phase{})
	p.stop.Store(true)
	if _, ok := p.next(1); ok || !p.over(1) {
		t.Error("it goes on")
	}
}

// A thousand a second are meant for each millisecond. After a stall, those that were
// held up are still meant for when they would have been sent.
func TestOpenLoopMeansAnnouncesForTheirTimesWhateverHoldsThemUp(t *testing.T) {
	p := begin(phase{rate: 1_000, duration: time.Second})
	ms := int64(time.Millisecond)
	take := func(now, want int64) {
		t.Helper()
		if meant, ok := p.next(now); !ok || meant != want {
			t.Errorf("at %d: meant for %d, %t, want %d", now, meant, ok, want)
		}
	}
	take(0, 0)
	if _, ok := p.next(ms - 1); ok || p.ready(ms-1) {
		t.Error("the second was sent too early")
	}
	take(ms, ms)
	for n := int64(2); n <= 50; n++ {
		take(50*ms, n*ms)
	}
	if _, ok := p.next(50 * ms); ok {
		t.Error("one was sent that is not due")
	}
	if got := p.patience(50 * ms); got != time.Millisecond {
		t.Errorf("the next is waited for by %v, want 1 ms", got)
	}
	if got := p.patience(51*ms - 50_000); got != 0 {
		t.Errorf("50 µs are slept through by a call for %v", got)
	}
}

func TestAnnouncesThatWereDueAndNeverSentAreCounted(t *testing.T) {
	p := begin(phase{rate: 1_000, duration: time.Second})
	for range 400 {
		p.next(int64(time.Second) - 1)
	}
	if got := p.unsent(int64(2 * time.Second)); got != 600 {
		t.Errorf("%d were not sent, want 600", got)
	}
	p = begin(phase{rate: 1_000, announces: 500})
	p.next(0)
	if got := p.unsent(int64(time.Second)); got != 499 {
		t.Errorf("%d of at most 500 were not sent, want 499", got)
	}
}
