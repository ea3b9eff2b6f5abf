package events

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"waggle/events/signature"
)

// Times between attempts.
const (
	firstWait = time.Second
	longWait  = time.Minute
	mostWait  = 10 * time.Minute // that an end may ask for
)

// envelope is a batch as it is sent.
type envelope struct {
	id        string
	body      []byte
	gzipped   bool
	signature string
}

// sender sends batches somewhere. An error is of words for a person, without secrets.
type sender interface {
	send(ctx context.Context, e *envelope, s *Settings) error

	// target is where that is, without secrets.
	target(s *Settings) string
	close() error
}

// later is an error of an end that says when to come back.
type later struct {
	error
	wait time.Duration
}

func (l *later) Unwrap() error { return l.error }

// end delivers batches to a sender, one after the other.
type end struct {
	name   string
	sender sender
	stream *Stream
	cursor *cursor
	now    chan struct{} // to try at once

	mu                    sync.Mutex
	sent, batches, failed uint64
	problem               error
	since, last           time.Time
}

func newEnd(name string, s sender) *end {
	return &end{name: name, sender: s, now: make(chan struct{}, 1)}
}

// again has it try at once.
func (e *end) again() {
	select {
	case e.now <- struct{}{}:
	default:
	}
}

// good reports whether the last attempt did not fail.
func (e *end) good() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.problem == nil
}

// run delivers until ctx ends.
func (e *end) run(ctx context.Context) {
	attempts := 0
	for {
		b, lost, ok := e.stream.spool.next(e.cursor)
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-e.cursor.news:
			}
			continue
		}
		err := e.deliver(ctx, &b, lost)
		if ctx.Err() != nil && err != nil {
			return
		}
		if err == nil {
			attempts = 0
			continue
		}
		e.pause(ctx, attempts, err)
		attempts++
	}
}

// deliver tries once to deliver a batch.
func (e *end) deliver(ctx context.Context, b *batch, lost uint64) error {
	s := e.stream
	events, err := s.spool.body(b)
	if err != nil {
		s.o.Log.Error("events cannot be read from disk, and are lost", "events", b.count, "error", cause(err))
		s.spool.unreadable(b)
		return nil
	}
	settings := s.settings.Load()
	sealed, err := seal(b, lost, events, s.o.Tracker, settings, s.o.Now())
	if err != nil {
		return err
	}
	trying, cancel := context.WithTimeout(ctx, settings.Timeout)
	defer cancel()
	err = e.sender.send(trying, sealed, settings)
	if err == nil {
		s.spool.done(e.cursor, b)
		e.succeeded(b.count)
		return nil
	}
	if ctx.Err() == nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("it did not answer within " + settings.Timeout.String())
		}
		e.fails(err)
	}
	return err
}

func (e *end) succeeded(count int) {
	e.mu.Lock()
	was, since := e.problem, e.since
	e.sent += uint64(count)
	e.batches++
	e.problem, e.since, e.last = nil, time.Time{}, e.stream.o.Now()
	now := e.last
	e.mu.Unlock()
	if was != nil {
		e.stream.o.Log.Info("events are delivered again", "to", e.name, "after", now.Sub(since).Round(time.Millisecond))
	}
}

func (e *end) fails(err error) {
	e.mu.Lock()
	first := e.problem == nil || e.problem.Error() != err.Error()
	if e.problem == nil {
		e.since = e.stream.o.Now()
	}
	e.failed++
	e.problem = err
	e.mu.Unlock()
	if first {
		s := e.stream
		s.o.Log.Warn("events cannot be delivered: they wait, and are tried again", "to", e.name, "at", e.sender.target(s.settings.Load()), "error", err)
	}
}

// pause waits before another attempt: for as long as the end wants, or longer each time.
func (e *end) pause(ctx context.Context, attempts int, err error) {
	wait := min(firstWait<<min(attempts, 10), longWait)
	wait = wait/2 + rand.N(wait/2+1)
	if l, ok := errors.AsType[*later](err); ok {
		wait = max(wait, min(l.wait, mostWait))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-e.now:
	case <-timer.C:
	}
}

func (e *end) figures() End {
	s := e.stream
	w := s.spool.waiting(e.cursor)
	e.mu.Lock()
	defer e.mu.Unlock()
	f := End{
		Name: e.name, Target: e.sender.target(s.settings.Load()), Sent: e.sent, Batches: e.batches, Failed: e.failed,
		Lost: w.lost, Waiting: w.events, Since: e.since, Last: e.last,
	}
	if !w.oldest.IsZero() {
		f.Oldest = max(s.o.Now().Sub(w.oldest), 0)
	}
	if e.problem != nil {
		f.Problem = e.problem.Error()
	}
	return f
}

// version is that of the form of a batch.
const version = 1

// seal puts a batch into the form in which it is sent.
func seal(b *batch, lost uint64, events []byte, tracker string, s *Settings, now time.Time) (*envelope, error) {
	body := make([]byte, 0, len(events)+256)
	body = append(body, `{"version":`...)
	body = strconv.AppendInt(body, version, 10)
	body = append(body, `,"tracker":`...)
	body = appendText(body, tracker)
	body = append(body, `,"batch":`...)
	body = appendText(body, b.id())
	body = append(body, `,"sequence":`...)
	body = strconv.AppendUint(body, b.sequence, 10)
	body = append(body, `,"lost":`...)
	body = strconv.AppendUint(body, lost, 10)
	body = append(body, `,"count":`...)
	body = strconv.AppendInt(body, int64(b.count), 10)
	body = append(body, ",\"events\":[\n"...)
	body = append(body, events...)
	body = append(body, "\n]}\n"...)
	e := &envelope{id: b.id(), body: body, gzipped: s.Compress}
	if s.Compress {
		var small bytes.Buffer
		w := gzip.NewWriter(&small)
		_, err := w.Write(body)
		if err = errors.Join(err, w.Close()); err != nil {
			return nil, err
		}
		e.body = small.Bytes()
	}
	e.signature = signature.Sign(s.Secrets, now, e.body)
	return e, nil
}
