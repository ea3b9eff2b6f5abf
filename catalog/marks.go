package catalog

import (
	"context"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
)

// marks are when a transfer started and completed, in Unix nanoseconds; 0 is not
// yet. Announces write them without a lock.
type marks struct {
	hash                          bittorrent.InfoHash
	firstStarted, lastStarted     atomic.Int64
	firstCompleted, lastCompleted atomic.Int64

	waiting atomic.Bool // to be written
	next    *marks      // of those that wait
}

func newMarks(t *Transfer) *marks {
	m := &marks{hash: t.InfoHash}
	m.firstStarted.Store(unixNano(t.FirstStarted))
	m.lastStarted.Store(unixNano(t.LastStarted))
	m.firstCompleted.Store(unixNano(t.FirstCompleted))
	m.lastCompleted.Store(unixNano(t.LastCompleted))
	return m
}

// fill writes the marks into t.
func (m *marks) fill(t *Transfer) {
	t.FirstStarted = fromUnixNano(m.firstStarted.Load())
	t.LastStarted = fromUnixNano(m.lastStarted.Load())
	t.FirstCompleted = fromUnixNano(m.firstCompleted.Load())
	t.LastCompleted = fromUnixNano(m.lastCompleted.Load())
}

// merge takes in times that another tracker has seen in the same period.
func (m *marks) merge(t *Transfer) {
	lowerMark(&m.firstStarted, unixNano(t.FirstStarted))
	raiseMark(&m.lastStarted, unixNano(t.LastStarted))
	lowerMark(&m.firstCompleted, unixNano(t.FirstCompleted))
	raiseMark(&m.lastCompleted, unixNano(t.LastCompleted))
}

func mark(first, last *atomic.Int64, now int64) {
	lowerMark(first, now)
	raiseMark(last, now)
}

// lowerMark makes a mark that is later, or not yet, this time, which may be 0 itself.
func lowerMark(mark *atomic.Int64, to int64) {
	for {
		old := mark.Load()
		if to == 0 || old != 0 && old <= to || mark.CompareAndSwap(old, to) {
			return
		}
	}
}

// raiseMark makes a mark that is earlier this time.
func raiseMark(mark *atomic.Int64, to int64) {
	for {
		old := mark.Load()
		if old >= to || mark.CompareAndSwap(old, to) {
			return
		}
	}
}

// Started tells of an announce with the event started. It is for an active torrent;
// of others nothing is noted. It takes no lock, allocates nothing, and is written
// to the store within a second or so.
func (c *Catalog) Started(h *bittorrent.InfoHash, now time.Time) {
	if s := c.index.find(h); s != nil && s.active {
		m := s.entry.marks
		mark(&m.firstStarted, &m.lastStarted, now.UnixNano())
		c.behind.add(m)
	}
}

// Completed tells of an announce with the event completed, as [Catalog.Started] does
// of one with started.
func (c *Catalog) Completed(h *bittorrent.InfoHash, now time.Time) {
	if s := c.index.find(h); s != nil && s.active {
		m := s.entry.marks
		mark(&m.firstCompleted, &m.lastCompleted, now.UnixNano())
		c.behind.add(m)
	}
}

// behind has the marks that wait to be written: a stack to which anyone adds, and
// from which one takes all.
type behind struct{ head atomic.Pointer[marks] }

func (b *behind) add(m *marks) {
	if m.waiting.Load() || m.waiting.Swap(true) {
		return
	}
	for {
		m.next = b.head.Load()
		if b.head.CompareAndSwap(m.next, m) {
			return
		}
	}
}

// take returns all that wait; they may be added again from then on.
func (b *behind) take() (waiting []*marks) {
	for m := b.head.Swap(nil); m != nil; {
		next := m.next // is another's when m no longer waits
		m.waiting.Store(false)
		waiting = append(waiting, m)
		m = next
	}
	return waiting
}

// How many records are written at a time, for which edits wait: in one transaction, or
// by a request each.
const (
	flushStep       = 512
	sharedFlushStep = 64
)

// flush writes what waits. What could not be written waits again.
func (c *Catalog) flush(ctx context.Context) error {
	step := flushStep
	if c.shared != nil {
		step = sharedFlushStep
	}
	for waiting := c.behind.take(); len(waiting) > 0; {
		n := min(step, len(waiting))
		if err := c.write(ctx, waiting[:n]); err != nil {
			for _, m := range waiting {
				c.behind.add(m)
			}
			return err
		}
		waiting = waiting[n:]
	}
	return nil
}

func (c *Catalog) write(ctx context.Context, waiting []*marks) error {
	c.edit.Lock()
	defer c.edit.Unlock()
	var records []Record
	var changes []Change
	for _, m := range waiting {
		// Where the period has ended meanwhile the history has them.
		if e := c.index.get(&m.hash); e != nil && e.marks == m {
			records = append(records, e.snapshot())
			changes = append(changes, Change{Record: e.snapshot()})
		}
	}
	switch {
	case len(records) == 0:
		return nil
	case c.shared != nil:
		return c.shared.Mark(ctx, records)
	}
	return c.o.Store.Apply(ctx, changes)
}
