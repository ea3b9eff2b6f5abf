package s3

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"waggle/store/faraway"
	"waggle/swarm"
)

// server is a [bucket] that is asked again where that helps, within bounds, and not at
// all while it is away.
type server struct {
	bucket            bucket
	attempt, patience time.Duration
	places            chan struct{} // one for each request under way
	health            faraway.Health
	counters          counters
}

var _ bucket = (*server)(nil)

func newServer(b bucket, o *Options) *server {
	s := &server{bucket: b, attempt: o.Attempt, patience: o.Patience, places: make(chan struct{}, o.Requests)}
	s.health.What, s.health.Log, s.health.Explain, s.health.Patience = "S3 bucket", o.Log, explain, longFailing
	s.health.IsAnswer = func(err error) bool { return isAnswer(err) || isThrottle(err) }
	s.health.Probe = func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, s.attempt)
		defer cancel()
		s.counters.get.Add(1)
		_, err := b.get(ctx, markKey, "")
		return err
	}
	return s
}

// longFailing is for how long attempts must fail until the server is taken to be away.
const longFailing = 400 * time.Millisecond

func (s *server) close() {
	s.health.Close()
	if c, ok := s.bucket.(interface{ close() }); ok {
		c.close()
	}
}

// Times between attempts, of which each waits up to twice as long as the one before,
// and any part of that.
const (
	attempts  = 6
	firstWait = 50 * time.Millisecond
	mostWait  = time.Second
)

// pause waits for a random part of a time that doubles with each attempt, up to the most.
func pause(ctx context.Context, first, most time.Duration, attempt int) error {
	const far = 10 // doublings
	wait := time.NewTimer(rand.N(min(first<<min(attempt, far), most) + 1))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do asks for something until it is answered. The error is an answer, the context's
// where that was cancelled, one in words where asking again is of no use, or
// swarm.ErrBusy.
func (s *server) do(ctx context.Context, count *atomic.Uint64, ask func(context.Context) error) (unsure bool, err error) {
	for n := range attempts {
		if err := s.health.Check(); err != nil {
			return unsure, err
		}
		if n > 0 && pause(ctx, firstWait, mostWait, n-1) != nil {
			break
		}
		err := s.once(ctx, count, ask)
		switch {
		case isAnswer(err):
			s.health.Answered()
			return unsure, err
		case errors.Is(err, swarm.ErrBusy):
			return unsure, err
		case ctx.Err() != nil: // the attempt was cut short, which says nothing of the server
			return true, ended(ctx)
		case isThrottle(err):
			s.counters.throttled.Add(1)
			s.health.Answered()
		case isRefusal(err):
			s.health.Failed(err, true)
			return unsure, swarm.ErrBusy
		case isPassing(err):
			s.counters.failed.Add(1)
			s.health.Failed(err, false)
			unsure = true
		default:
			s.counters.failed.Add(1)
			return unsure, explain(err)
		}
	}
	return unsure, ended(ctx)
}

// ended is the error of what had no answer until its context ended, or too often.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return swarm.ErrBusy
}

// once asks once, when a place is free.
func (s *server) once(ctx context.Context, count *atomic.Uint64, ask func(context.Context) error) error {
	select {
	case s.places <- struct{}{}:
	case <-ctx.Done():
		return swarm.ErrBusy
	}
	defer func() { <-s.places }()
	ctx, cancel := context.WithTimeout(ctx, s.attempt)
	defer cancel()
	count.Add(1)
	err := ask(ctx)
	if err != nil && !isAnswer(err) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// bounded is a context that ends when the store's patience does.
func (s *server) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.patience)
}

func (s *server) get(ctx context.Context, key, unless string) (o object, err error) {
	_, err = s.do(ctx, &s.counters.get, func(ctx context.Context) (err error) {
		o, err = s.bucket.get(ctx, key, unless)
		return err
	})
	if errors.Is(err, errSame) {
		s.counters.unchanged.Add(1)
	}
	return o, err
}

// put writes an object. Where an attempt had no answer and the next one is refused, it
// looks whether the first was done: bodies are never alike.
func (s *server) put(ctx context.Context, key string, body []byte, was string) (etag string, err error) {
	unsure, err := s.do(ctx, &s.counters.put, func(ctx context.Context) (err error) {
		etag, err = s.bucket.put(ctx, key, body, was)
		return err
	})
	if !errors.Is(err, errChanged) {
		return etag, err
	}
	if unsure {
		now, failed := s.get(ctx, key, "")
		if failed != nil && !errors.Is(failed, errNone) {
			return "", failed
		}
		if bytes.Equal(now.body, body) {
			return now.etag, nil
		}
	}
	s.counters.conflicts.Add(1)
	return "", err
}

func (s *server) remove(ctx context.Context, key, was string) error {
	_, err := s.do(ctx, &s.counters.remove, func(ctx context.Context) error { return s.bucket.remove(ctx, key, was) })
	return err
}

func (s *server) list(ctx context.Context, prefix, after string) (some []listed, more bool, err error) {
	_, err = s.do(ctx, &s.counters.list, func(ctx context.Context) (err error) {
		some, more, err = s.bucket.list(ctx, prefix, after)
		return err
	})
	return some, more, err
}

// all lists everything below a prefix that comes after a key, page by page. What see
// returns ends it.
func (s *server) all(ctx context.Context, prefix, after string, see func([]listed) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		limited, cancel := s.bounded(ctx)
		some, more, err := s.list(limited, prefix, after)
		cancel()
		if err != nil {
			return err
		}
		if err := see(some); err != nil || !more {
			return err
		}
		after = some[len(some)-1].key
	}
}
