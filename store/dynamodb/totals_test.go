package dynamodb_test

import (
	"testing"
	"time"

	"waggle/swarm"
)

func TestTotalsThatCannotBeCountedAreAnError(t *testing.T) {
	o, p, c := newTable(t), newProxy(t), newClock()
	o.Now, o.MaxPeers, o.TotalsAge, o.Patience = c.Now, 1000, 10*time.Second, 2*time.Second
	s := open(t, p.through(o))
	p.do(func(operation, _ string) fault {
		if operation == "Query" {
			return throttle
		}
		return none
	})
	a := leecher(hash(1), 1)
	a.NumWant = 0 // and asks for no peers
	do(t, s, a)   // has them counted, for the limit
	waitUntil(t, func() bool { return s.Figures().Throttled > 0 })
	if n, err := s.Totals(t.Context()); err == nil {
		t.Errorf("%+v, although nobody could count", n)
	}
	p.do(nil)
	waitUntil(t, func() bool { _, err := s.Totals(t.Context()); return err == nil })
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 1})
}

func TestThoseWhoAskForTotalsAtOnceWaitForOneWhoCounts(t *testing.T) {
	o := newTable(t)
	o.TotalsAge = time.Minute
	s := open(t, o)
	do(t, s, leecher(hash(1), 1))
	before := s.Figures().Query
	writers(8, func(int) { wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 1}) })
	if n := s.Figures().Query - before; n != 2 {
		t.Errorf("%d queries, want one of each of two partitions", n)
	}
}

func TestPeersAreCountedSeldomFarFromTheLimitAndOftenNearIt(t *testing.T) {
	for _, test := range []struct {
		limit   int
		after   time.Duration
		queries uint64
	}{{1000, 5 * time.Minute, 0}, {1000, 11 * time.Minute, 2}, {3, 5 * time.Second, 0}, {3, 11 * time.Second, 2}} {
		o, c := newTable(t), newClock()
		o.Now, o.MaxPeers = c.Now, test.limit
		s := open(t, o)
		wantTotals(t, s, swarm.Totals{})
		say := func(n int) {
			a := leecher(hash(1), n)
			a.NumWant = 0 // and reads no peers
			do(t, s, a)
		}
		say(1)
		say(2)
		before := s.Figures().Query
		c.pass(test.after)
		say(1)
		waitUntil(t, func() bool { return s.Figures().Query == before+test.queries })
		say(2)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n := s.Figures().Query - before; n != test.queries {
			t.Errorf("limit %d, %v later: %d queries, want %d", test.limit, test.after, n, test.queries)
		}
	}
}
