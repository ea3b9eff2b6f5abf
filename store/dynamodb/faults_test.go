package dynamodb_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"waggle/store/dynamodb"
	"waggle/swarm"
)

// lives takes peers through their lives, some writers at once, and returns how many
// announces were refused. Any other error than ErrBusy fails the test.
func lives(t *testing.T, s *dynamodb.Store, peers int) int {
	t.Helper()
	var busy atomic.Int64
	writers(8, func(w int) {
		for n := w; n < peers; n += 8 {
			for _, a := range []*swarm.Announce{leecher(hash(1), n), completed(hash(1), n), stop(hash(1), n)}[:1+n%3] {
				switch err := s.Announce(t.Context(), a, new(swarm.Reply)); {
				case errors.Is(err, swarm.ErrBusy):
					busy.Add(1)
				case err != nil:
					t.Error(err)
				}
			}
		}
	})
	return int(busy.Load())
}

func TestThrottledRequestsAreRepeatedAndNothingIsLost(t *testing.T) {
	t.Parallel()
	o, p := newTable(t), newProxy(t)
	s := open(t, p.through(o))
	p.share(0.3, throttle)
	if busy := lives(t, s, 150); busy != 0 {
		t.Errorf("%d announces were refused", busy)
	}
	p.do(nil)
	agree(t, s, hash(1), 100)
	if f := s.Figures(); f.Throttled == 0 || len(peersOf(t, s, hash(1))) != 100 {
		t.Errorf("%+v", f)
	}
	if err := s.Healthy(); err != nil {
		t.Errorf("a server that throttles is taken for broken: %v", err)
	}
}

func TestServerThatThrottlesForATimeIsBusyAndCountsAreMadeUp(t *testing.T) {
	t.Parallel()
	o, p := newTable(t), newProxy(t)
	direct := open(t, o)
	o.Patience = 2 * time.Second
	s := open(t, p.through(o))
	do(t, direct, leecher(hash(1), 999))
	p.do(countsAre(throttle)) // peers are written, and not counted
	if busy := lives(t, s, 8); busy == 0 {
		t.Error("no announce was refused")
	}
	p.do(nil)
	waitUntil(t, func() bool {
		counts, ok, err := direct.Counts(t.Context(), hash(1))
		return err == nil && ok && int(counts.Complete+counts.Incomplete) == len(peersOf(t, direct, hash(1)))
	})
	agree(t, direct, hash(1), 5)
}

// waitUntil asks until something is so, for two minutes at most.
func waitUntil(t *testing.T, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatal("it did not come to that")
		case <-every.C:
		}
	}
}

func TestLostAnswersCountNobodyTwice(t *testing.T) {
	t.Parallel()
	o, p, c := newTable(t), newProxy(t), newClock()
	o.Now = c.Now
	s := open(t, p.through(o))
	p.share(0.1, lose)
	lives(t, s, 90)
	p.do(nil)
	waitUntil(t, func() bool { return s.Healthy() == nil })
	for range 3 { // who may have been counted wrongly is looked at twice, half a minute apart
		expire(t, s, start)
		c.pass(40 * time.Second)
	}
	counts, _, err := s.Counts(t.Context(), hash(1))
	if err != nil {
		t.Fatal(err)
	}
	agree(t, s, hash(1), counts.Downloaded)
	if counts.Downloaded < 55 || counts.Downloaded > 60 { // no repair can know of those
		t.Errorf("%d completed, want 60 or a few fewer", counts.Downloaded)
	}
}

func TestTrackerThatDiesBeforeItCountsLeavesNothingWrong(t *testing.T) {
	o, p, c := newTable(t), newProxy(t), newClock()
	o.Now = c.Now
	s := open(t, o)
	o.Patience = 400 * time.Millisecond
	do(t, s, leecher(hash(1), 0))
	do(t, s, leecher(hash(1), 1))
	leaveUncounted(t, p, o, seeder(hash(1), 0), stop(hash(1), 1), leecher(hash(1), 2), leecher(hash(2), 3))
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 2}) // wrong: a seeder, and two leechers

	late := leecher(hash(2), 3) // comes back, and finds a torrent that has nobody
	late.Now = start.Add(time.Minute)
	do(t, s, late)
	for range 3 {
		expire(t, s, start.Add(time.Second-time.Minute))
		c.pass(40 * time.Second)
	}
	wantTotals(t, s, swarm.Totals{Torrents: 2, Peers: 3}) // nobody has looked at the first torrent yet
	third := leecher(hash(1), 2)
	third.Now = start.Add(time.Hour)
	do(t, s, third)
	if n := expire(t, s, start.Add(time.Minute)); n != 1 { // reads all of the first torrent
		t.Errorf("%d were purged, want the seeder", n)
	}
	for range 3 {
		expire(t, s, start.Add(time.Minute))
		c.pass(40 * time.Second)
	}
	wantTotals(t, s, swarm.Totals{Torrents: 2, Peers: 2})
	do(t, s, stop(hash(2), 3))
	agree(t, s, hash(1), 0)
}

func TestServerThatDoesNotAnswerIsBusyAtOnceUntilItAnswers(t *testing.T) {
	for name, f := range map[string]fault{"hangs": hang, "is broken": broken} {
		t.Run(name, func(t *testing.T) {
			o, p := newTable(t), newProxy(t)
			o.Attempt, o.Patience = 200*time.Millisecond, 500*time.Millisecond
			s := open(t, p.through(o))
			works := func() bool { return s.Announce(t.Context(), leecher(hash(1), 1), new(swarm.Reply)) == nil }
			waitUntil(t, works)
			p.all(f)
			lives(t, s, 24)
			if err := s.Healthy(); err == nil {
				t.Error("nothing is wrong with a server that does not answer")
			}
			before := s.Figures()
			if busy := lives(t, s, 24); busy != 48 {
				t.Errorf("%d of 48 announces were refused", busy)
			}
			if after := s.Figures(); after.GetItem+after.Query+after.UpdateItem > before.GetItem+before.Query+before.UpdateItem {
				t.Error("a server that is away is asked by announces")
			}
			p.do(nil)
			waitUntil(t, works)
			if err := s.Healthy(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBatchThatIsNeverAnsweredWholeEnds has a server that leaves all of a batch out.
func TestBatchThatIsNeverAnsweredWholeEnds(t *testing.T) {
	o := newTable(t)
	o.Patience = time.Second
	o.Transport = transport(func(r *http.Request) (*http.Response, error) {
		if operationOf(r) != "BatchGetItem" {
			return http.DefaultTransport.RoundTrip(r)
		}
		asked := struct{ RequestItems json.RawMessage }{}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			return nil, err
		}
		return answer(r, http.StatusOK, `{"Responses":{},"UnprocessedKeys":`+string(asked.RequestItems)+`}`), nil
	})
	s := open(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, _, err := s.Counts(ctx, hash(1)); !errors.Is(err, swarm.ErrBusy) || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
	if s.Figures().Throttled == 0 {
		t.Error("it does not count as throttled")
	}
}

// TestTableThatWasReplacedIsNotUsed has the table made anew while the server is away.
func TestTableThatWasReplacedIsNotUsed(t *testing.T) {
	o, p := newTable(t), newProxy(t)
	o.Attempt, o.Patience = 200*time.Millisecond, 500*time.Millisecond
	s := open(t, p.through(o))
	p.all(broken)
	lives(t, s, 24)
	setMark(t, o, "key", &types.AttributeValueMemberB{Value: []byte("another key of16")})
	p.do(nil)
	waitUntil(t, func() bool { err := s.Healthy(); return err != nil && strings.Contains(err.Error(), "replaced") })
}

func TestAnnouncesBeyondTheBoundAreRefusedAtOnce(t *testing.T) {
	o, p := newTable(t), newProxy(t)
	o.Waiting = 2
	s := open(t, p.through(o))
	waiting := make(chan struct{}, 9)
	p.do(func(string, string) fault { waiting <- struct{}{}; return hang })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	both := make(chan struct{})
	go func() {
		defer close(both)
		writers(2, func(w int) { _ = s.Announce(ctx, leecher(hash(byte(w)), w), new(swarm.Reply)) })
	}()
	<-waiting
	<-waiting
	began := time.Now()
	if err := s.Announce(t.Context(), leecher(hash(9), 9), new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) {
		t.Errorf("the third announce: %v", err)
	}
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("it was refused after %v", took)
	}
	p.do(nil)
	p.CloseClientConnections()
	<-both
	if f := s.Figures(); f.Refused == 0 {
		t.Errorf("%+v", f)
	}
}

func TestNewcomersAboveTheLimitAreAnsweredAndNotRecorded(t *testing.T) {
	o := newTable(t)
	o.MaxPeers, o.Now = 3, newClock().Now
	s := open(t, o)
	if _, err := s.Totals(t.Context()); err != nil { // nobody counts meanwhile
		t.Fatal(err)
	}
	for n := range 3 {
		do(t, s, leecher(hash(1), n))
	}
	if r := do(t, s, leecher(hash(1), 9)); r.Warning == "" || r.Peers.Len() != 3 || r.Incomplete != 3 {
		t.Errorf("a newcomer: %+v", r)
	}
	if r := do(t, s, seeder(hash(1), 1)); r.Warning != "" || r.Complete != 1 {
		t.Errorf("one who is there: %+v", r)
	}
	do(t, s, stop(hash(1), 2))
	agree(t, s, hash(1), 0)
	if n := len(peersOf(t, s, hash(1))); n != 2 {
		t.Errorf("%d peers", n)
	}
}
