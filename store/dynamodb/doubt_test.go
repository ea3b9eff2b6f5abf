package dynamodb_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"waggle/store/dynamodb"
	"waggle/swarm"
)

// once is a fault of the first request of a kind.
func once(kind func(operation, body string) bool, f func() fault) func(operation, body string) fault {
	var done atomic.Bool
	return func(operation, body string) fault {
		if kind(operation, body) && !done.Swap(true) {
			return f()
		}
		return none
	}
}

func writesPeer(operation, body string) bool {
	return operation == "UpdateItem" && strings.Contains(body, "q = if_not_exists")
}

// putRight has Expire look thrice, half a minute apart, and wants counts that agree with
// the peers then.
func putRight(t *testing.T, s *dynamodb.Store, c *clock, completed uint32) {
	t.Helper()
	for range 3 {
		expire(t, s, start)
		c.pass(40 * time.Second)
	}
	agree(t, s, hash(1), completed)
}

// TestCountThatWasMadeTwiceIsPutRight is of a change that was made although nobody heard
// so. Before it is tried again, another tracker changes the same counts.
func TestCountThatWasMadeTwiceIsPutRight(t *testing.T) {
	o, p, c := newTable(t), newProxy(t), newClock()
	o.Now = c.Now
	other := open(t, o)
	o.Patience = 2 * time.Second
	s := open(t, p.through(o))
	lost := false
	p.do(func(operation, body string) fault {
		if countsAre(throttle)(operation, body) == none {
			return none
		}
		if !lost {
			lost = true
			return lose
		}
		return throttle
	})
	if err := s.Announce(t.Context(), leecher(hash(1), 1), new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) {
		t.Errorf("%v", err)
	}
	do(t, other, leecher(hash(1), 2))
	p.do(nil)
	waitUntil(t, func() bool { // it is tried again
		counts, _, err := other.Counts(t.Context(), hash(1))
		return err == nil && counts.Incomplete == 3
	})
	if err := s.Close(); err != nil { // and has said that it is not sure
		t.Error(err)
	}
	putRight(t, other, c, 0)
}

// TestPeerWhomAnotherTrackerWroteMeanwhileIsCounted is of a peer whose first announce was
// written although nobody heard so. It announces at another tracker, which finds it there,
// and is written once more.
func TestPeerWhomAnotherTrackerWroteMeanwhileIsCounted(t *testing.T) {
	o, p, c := newTable(t), newProxy(t), newClock()
	o.Now = c.Now
	other := open(t, o)
	s := open(t, p.through(o))
	for n := range 3 {
		do(t, other, leecher(hash(1), n))
	}
	var tries atomic.Int64
	p.do(func(operation, body string) fault {
		if !writesPeer(operation, body) {
			return none
		}
		if tries.Add(1) == 1 {
			return lose
		}
		do(t, other, leecher(hash(1), 9))
		return none
	})
	if r := do(t, s, leecher(hash(1), 9)); r.Warning != "" {
		t.Errorf("the peer is told %q", r.Warning)
	}
	putRight(t, s, c, 0)
	if n := len(peersOf(t, s, hash(1))); n != 4 {
		t.Errorf("%d peers", n)
	}
}

// TestDoubtIsOfTheShardThatItIsAbout loses the answers to peers that stop, of a swarm of
// several shards: what they were is not known.
func TestDoubtIsOfTheShardThatItIsAbout(t *testing.T) {
	t.Parallel()
	o, p, c := manyShards(t), newProxy(t), newClock()
	o.Now = c.Now
	s := open(t, p.through(o))
	for n := range 100 {
		do(t, s, leecher(hash(1), n))
	}
	wantShards(t, s, 8)
	for range 2 { // all move
		c.pass(11 * time.Second)
		expire(t, s, start)
	}
	for n := range 8 {
		p.do(once(func(operation, _ string) bool { return operation == "DeleteItem" }, func() fault { return lose }))
		do(t, s, stop(hash(1), n))
	}
	p.do(nil)
	putRight(t, s, c, 0)
	if n := len(peersOf(t, s, hash(1))); n != 92 {
		t.Errorf("%d peers, want 92", n)
	}
}

// TestPeerIsCountedWhoseOldPlaceCannotBeCleared is of a swarm that gets shards because
// its partition takes no more: there the peer cannot be removed either.
func TestPeerIsCountedWhoseOldPlaceCannotBeCleared(t *testing.T) {
	o, p, c := newTable(t), newProxy(t), newClock()
	o.Now, o.ShardPeers, o.MaxShards = c.Now, 20, 2
	patient := open(t, o)
	o.Patience = 2 * time.Second
	s := open(t, p.through(o))
	for n := range 22 {
		do(t, patient, leecher(hash(1), n))
	}
	wantShards(t, patient, 2)
	p.do(func(operation, _ string) fault {
		if operation == "DeleteItem" {
			return throttle
		}
		return none
	})
	var err error
	for n := 0; err == nil && n < 20; n++ { // until one is to move: each second does
		err = s.Announce(t.Context(), leecher(hash(1), n), new(swarm.Reply))
	}
	if !errors.Is(err, swarm.ErrBusy) {
		t.Error(err)
	}
	p.do(nil)
	if err := s.Close(); err != nil { // and has counted
		t.Error(err)
	}
	c.pass(11 * time.Second)
	if n := expire(t, patient, start); n != 0 {
		t.Errorf("%d were purged", n)
	}
	agree(t, patient, hash(1), 0)
}
