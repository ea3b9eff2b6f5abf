package dynamodb

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"waggle/swarm"
)

// tally changes the counts of heads. The changes of one head that come while one is on
// its way go together in the next, so a hot swarm costs its head one write a round trip
// and tracker. What the server does not take in time is not lost: it is tried again until
// it does, or the store is closed.
type tally struct {
	store *Store
	mu    sync.Mutex
	lines map[headKey]*line
	going sync.WaitGroup // until the server has all that it takes
}

// line is what waits for one head, while something is on its way to it.
type line struct {
	next *batch
}

// batch is changes that go together.
type batch struct {
	change
	done chan struct{}
	head head
	err  error
}

// mostLines is the most heads that are being changed at once, those included that the
// server does not take.
const mostLines = 1 << 14

func newTally(s *Store) *tally {
	return &tally{store: s, lines: map[headKey]*line{}}
}

// full reports whether no further head can be changed.
func (t *tally) full() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.lines) >= mostLines
}

// add changes a head by counts, and returns it as it is then. oldest is the last announce
// of the peers that it is about, in Unix seconds. With an error, the change is made later
// if the server was busy.
func (t *tally) add(ctx context.Context, k headKey, delta *counts, oldest int64) (head, error) {
	b := t.join(k, delta, oldest)
	select {
	case <-b.done:
		return b.head, b.err
	case <-ctx.Done():
		return head{}, swarm.ErrBusy
	}
}

func (t *tally) join(k headKey, delta *counts, oldest int64) *batch {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lines[k]
	if l == nil {
		l = &line{}
		t.lines[k] = l
		t.going.Go(func() { t.run(k, l) })
	}
	if l.next == nil {
		l.next = &batch{change: change{nonce: nonce(), oldest: oldest}, done: make(chan struct{})}
	}
	l.next.delta.plus(delta)
	l.next.oldest = min(l.next.oldest, oldest)
	return l.next
}

// run makes the changes of a line, one batch after the other, until none waits.
func (t *tally) run(k headKey, l *line) {
	for {
		t.mu.Lock()
		b := l.next
		l.next = nil
		if b == nil {
			delete(t.lines, k)
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		t.send(k, b)
	}
}

// send makes the change of a batch. Whoever waits for it hears of the first outcome.
func (t *tally) send(k headKey, b *batch) {
	closing := t.store.life.Err() != nil
	b.head, b.err = t.write(k, b)
	close(b.done)
	err := b.err
	for errors.Is(err, swarm.ErrBusy) && !closing {
		closing = !sleep(t.store.life, time.Second/2+rand.N(time.Second)) // one more attempt at the end
		_, err = t.write(k, b)
	}
	if err != nil {
		t.store.log.Warn("a change of a torrent could not be counted: its counts are put right when its peers are read", "torrent", k.hash, "error", err)
	}
}

func (t *tally) write(k headKey, b *batch) (head, error) {
	h, err := t.store.write(context.Background(), k, &b.change)
	if err == nil {
		t.store.cache.learn(k, h)
		if b.made(&h) {
			t.store.totals.TorrentCame()
		}
	}
	return h, err
}
