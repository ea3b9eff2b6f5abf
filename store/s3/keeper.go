package s3

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"waggle/swarm"
)

// content is what an object of a [keeper] holds. It is never changed, but cloned.
type content[C any] interface {
	clone() C
	encode() []byte
	blank() bool // an object that holds it need not be there
	weight() int // about how many bytes it takes in memory
}

// keeper reads and changes objects of a kind. Changes of one object that wait at the
// same time are written together. It is filled in before its first use.
type keeper[C content[C]] struct {
	server *server
	cache  *cache[C]

	decode func(body []byte) (C, error)
	absent func(key string) (C, error)                                                            // what a key without an object holds
	refuse func(C) error                                                                          // why an object must not be changed; nil: it may
	store  func(ctx context.Context, key string, next C, was string, lost int) (C, string, error) // writes an object
	saw    func(key string, now *kept[C])                                                         // called with each object that was read or written

	removes func(key string) bool // a blank object is removed, which the server does in one step with looking at the ETag

	most int // changes at once, those included for which nobody waits any more

	mu     sync.Mutex
	lines  map[string]*line[C]
	inside int // changes that wait, or are under way
	closed bool
	going  sync.WaitGroup
}

// kept is an object as it was seen last.
type kept[C any] struct {
	value C
	etag  string // "": there is no object
	calm  int    // how many times in a row nobody else had changed it
	asked time.Time

	crowded bool // a write was lost to somebody else, and none since then was not
}

// trusted is after how many times the object is taken to be as it is remembered, and
// not asked for before it is written. Where that is wrong a write is lost, which costs as
// much as a dozen reads.
const trusted = 8

// change is a change of an object, which waits for its turn.
type change[C any] struct {
	// apply changes the value, and reports whether it did. It may be called several
	// times, each time with a fresh value, of which the last counts.
	apply func(C) bool

	gone  chan struct{} // closed when nobody waits for it any more
	done  chan struct{} // closed when it is over
	value C             // then: the object with the change, or what refused it
	err   error
}

// line is the changes that wait for one object, and has a goroutine while there are any.
type line[C any] struct {
	waiting []*change[C]
}

// mostAtOnce is the most changes that are written together.
const mostAtOnce = 4096

// change changes an object, and returns it. The error is what the object's refuse and
// absent return, ctx's, swarm.ErrBusy, or that of the server. After ctx's the change may
// be done all the same.
func (k *keeper[C]) change(ctx context.Context, key string, apply func(C) bool) (value C, err error) {
	c := &change[C]{apply: apply, gone: make(chan struct{}), done: make(chan struct{})}
	if err := k.enqueue(key, c); err != nil {
		return value, err
	}
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		close(c.gone)
		return value, ctx.Err()
	}
}

func (k *keeper[C]) enqueue(key string, c *change[C]) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.inside >= k.most {
		return swarm.ErrBusy
	}
	k.inside++
	l := k.lines[key]
	if l == nil {
		l = &line[C]{}
		k.lines[key] = l
		k.going.Go(func() { k.run(key, l) })
	}
	l.waiting = append(l.waiting, c)
	return nil
}

// take moves changes that wait to those that are under way.
func (k *keeper[C]) take(key string, l *line[C], batch []*change[C]) []*change[C] {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(l.waiting) > 0 && len(batch) < mostAtOnce {
		c := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		select {
		case <-c.gone:
			k.inside--
		default:
			batch = append(batch, c)
		}
	}
	if len(batch) == 0 {
		delete(k.lines, key)
	}
	return batch
}

// run makes the changes that wait, and ends when there are none.
func (k *keeper[C]) run(key string, l *line[C]) {
	for {
		batch := k.take(key, l, nil)
		if len(batch) == 0 {
			return
		}
		ctx, cancel := k.server.bounded(context.Background())
		if had := k.cache.get(key); had != nil && had.crowded && pause(ctx, crowdWait, crowdWait, 0) == nil {
			batch = k.take(key, l, batch)
		}
		batch, value, err := k.commit(ctx, key, l, batch)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			err = swarm.ErrBusy
		}
		k.mu.Lock()
		k.inside -= len(batch)
		k.mu.Unlock()
		for _, c := range batch {
			c.value, c.err = value, err
			close(c.done)
		}
	}
}

// Any part of conflictWait is waited after a conflict, and of twice as much after the
// next one, up to mostConflictWait. Any part of crowdWait is waited before an object is
// written that others write to as well: so more changes go together, and whoever lost has
// a chance.
const (
	conflictWait     = 20 * time.Millisecond
	mostConflictWait = 160 * time.Millisecond
	crowdWait        = 10 * time.Millisecond
)

// commit writes a batch, and what comes to it meanwhile, and returns all that it is.
func (k *keeper[C]) commit(ctx context.Context, key string, l *line[C], batch []*change[C]) (_ []*change[C], value C, err error) {
	ask := false // although it may be trusted
	for lost, held := 0, 0; ; {
		now, sure, err := k.current(ctx, key, ask)
		if err != nil {
			return batch, value, err
		}
		ask = true
		if err := k.refuse(now.value); err != nil {
			switch {
			case !sure: // it is asked for then
			case !errors.Is(err, errHeld):
				return batch, now.value, err
			case pause(ctx, conflictWait, mostConflictWait, held) != nil:
				return batch, value, swarm.ErrBusy
			default:
				held++
			}
			continue
		}
		next, changed := now.value.clone(), false
		for _, c := range batch {
			changed = c.apply(next) || changed
		}
		if !changed && sure {
			return batch, now.value, nil
		}
		if !changed {
			continue
		}
		value, err = k.write(ctx, key, now, next, lost)
		if err == nil {
			k.server.counters.batches.Add(1)
			k.server.counters.batched.Add(uint64(len(batch)))
		}
		if !errors.Is(err, errChanged) {
			return batch, value, err
		}
		if pause(ctx, conflictWait, mostConflictWait, lost) != nil {
			return batch, value, swarm.ErrBusy
		}
		lost++
		batch = k.take(key, l, batch)
	}
}

// current returns an object as it is, which is sure where it was asked for; or else as it
// is remembered, where that may be trusted.
func (k *keeper[C]) current(ctx context.Context, key string, ask bool) (now *kept[C], sure bool, err error) {
	if had := k.cache.get(key); had != nil && had.calm >= trusted && !ask {
		return had, false, nil
	}
	now, err = k.read(ctx, key)
	return now, true, err
}

// read returns an object as it is.
func (k *keeper[C]) read(ctx context.Context, key string) (*kept[C], error) {
	began := time.Now()
	had := k.cache.get(key)
	unless := ""
	if had != nil {
		unless = had.etag
	}
	o, err := k.server.get(ctx, key, unless)
	now := &kept[C]{etag: o.etag, asked: began}
	switch {
	case err == nil:
		now.value, err = k.decode(o.body)
		if err != nil {
			return nil, fmt.Errorf("object %s: %w", key, err)
		}
	case errors.Is(err, errSame):
		now.value, now.etag, now.calm, now.crowded = had.value, had.etag, had.calm, had.crowded
	case errors.Is(err, errNone):
		k.cache.drop(key)
		if now.value, err = k.absent(key); err != nil {
			return nil, err
		}
		return now, nil
	default:
		return nil, err
	}
	k.cache.put(key, now)
	k.saw(key, now)
	return now, nil
}

// write replaces an object by what it is to be.
func (k *keeper[C]) write(ctx context.Context, key string, now *kept[C], next C, lost int) (value C, err error) {
	began := time.Now()
	if next.blank() && k.removes(key) && now.etag != "" {
		err = k.server.remove(ctx, key, now.etag)
		k.cache.drop(key)
		if err == nil {
			k.saw(key, &kept[C]{value: next, asked: began})
		}
		return next, err
	}
	value, etag, err := k.store(ctx, key, next, now.etag, lost)
	if err != nil {
		k.cache.disturb(key)
		return value, err
	}
	is := &kept[C]{value: value, etag: etag, calm: now.calm + 1, asked: began, crowded: lost > 0}
	k.cache.put(key, is)
	k.saw(key, is)
	return value, nil
}

// close waits for what is under way, for as long as the server's patience.
func (k *keeper[C]) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.going.Wait()
}
