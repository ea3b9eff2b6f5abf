package http_test

import (
	"strings"
	"testing"
	"time"

	frontend "waggle/frontend/http"
	"waggle/store/memory"
	"waggle/tracker"
)

// TestEachAnswerIsCountedWithItsTimeWhicheverWayItGoes takes all ways that an answer
// may go.
func TestEachAnswerIsCountedWithItsTimeWhicheverWayItGoes(t *testing.T) {
	s := listen(t, nil)
	kept := s.dial(t)
	for n := range 3 {
		kept.send(plain(n))
		kept.answer(200)
	}
	pipeline := s.dial(t)
	pipeline.send(strings.Repeat(plain(1), 2_000) + plain(2, "Connection: close"))
	wantAnswers(t, pipeline.rest(), 2_001)
	once := s.dial(t)
	once.send(plain(1, "Connection: close"))
	wantAnswers(t, once.rest(), 1)
	general := s.dial(t) // by net/http, for its header
	general.send(plain(1, "Content-Length: 0", "Connection: close"))
	general.rest()
	s.get(t, s.v4()+"/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa")
	s.get(t, s.v4()+"/announce") // is none
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if f := s.Figures(); f.Announces != 3+2001+1+1 {
		t.Errorf("%d announces, want %d", f.Announces, 3+2001+1+1)
	}
	l := s.Latencies()
	if n := l.Total(); n != 3+2001+1+1+2 || l.Sum <= 0 {
		t.Errorf("%d answers took %v, want %d", n, l.Sum, 3+2001+1+1+2)
	}
}

func TestAnswerCountsWithTheTimeFromReadingToWriting(t *testing.T) {
	now := make(chan time.Time, 2)
	s := listen(t, func(o *frontend.Options) {
		o.Tracker = tracker.New(memory.New(memory.Options{}), tracker.Settings{Interval: time.Minute}, tracker.Options{Now: func() time.Time {
			select {
			case at := <-now:
				return at
			default:
				return time.Unix(1_700_000_000, 0)
			}
		}})
	})
	now <- time.Unix(1_700_000_000, 0)
	now <- time.Unix(1_700_000_000, int64(3*time.Millisecond))
	w := s.dial(t)
	w.send(plain(1, "Connection: close"))
	if got := w.rest(); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
		t.Fatalf("got %q", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if l := s.Latencies(); l.Total() != 1 || l.Sum != 3*time.Millisecond || l.Steps[12] != 1 {
		t.Errorf("%+v, want one answer of 3 ms", l)
	}
}
