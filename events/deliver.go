package events

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"sync"
	"syscall"
	"time"

	"waggle/events/signature"
)

// Times between attempts.
const (
	firstWait = time.Second
	longWait  = time.Minute
	mostWait  = 10 * time.Minute // that an end may ask for
	tryLarger = 10 * time.Minute // after which an end that has refused a batch as too large is given a whole one again
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

// tooLarge is an error of an end that takes smaller batches.
type tooLarge struct{ error }

func (t *tooLarge) Unwrap() error { return t.error }

// unfit is an error of an end that does not want what is in a batch, and will not later.
type unfit struct{ error }

func (u *unfit) Unwrap() error { return u.error }

// end delivers batches to a sender, one after the other.
type end struct {
	name   string
	sender sender
	stream *Stream
	cursor *cursor
	now    chan struct{} // to try at once

	// Of run alone.
	batch   uint64    // the number of the first event of the batch that was tried last
	most    int       // bytes of events that it takes at once; 0: it has refused none
	found   time.Time // when that was found
	refused struct {  // what it did not want at the last attempt
		id    string
		since time.Time
	}

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
		b, from, lost, ok := e.stream.spool.next(e.cursor)
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-e.cursor.news:
			}
			continue
		}
		err := e.deliver(ctx, &b, from, lost)
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

// deliver tries once to deliver a batch, from one of its events on, or a piece of it.
func (e *end) deliver(ctx context.Context, b *batch, from int, lost uint64) error {
	s := e.stream
	events, err := s.spool.body(b)
	if err != nil {
		return e.unread(b, err)
	}
	settings := s.settings.Load()
	if b.first != e.batch { // within one the pieces stay as they are: it may have taken one without our knowledge
		e.batch = b.first
		if s.o.Now().Sub(e.found) >= tryLarger {
			e.most = 0
		}
	}
	p := pieceOf(b, events, from, e.most)
	sealed, err := seal(&p, lost, s.o.Tracker, settings, s.o.Now())
	if err != nil {
		return err
	}
	trying, cancel := context.WithTimeout(ctx, settings.Timeout)
	defer cancel()
	err = e.sender.send(trying, sealed, settings)
	if err == nil {
		s.spool.done(e.cursor, &p)
		e.succeeded(p.count())
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("it did not answer within " + settings.Timeout.String())
	}
	return e.refuse(&p, lost, err)
}

// unread ends an attempt at a batch that cannot be read back. One that is damaged is lost; what else
// is wrong with a disk, or with this process, may pass.
func (e *end) unread(b *batch, err error) error {
	s := e.stream
	damaged := errors.Is(err, errDamaged) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EIO)
	if damaged || errors.Is(err, fs.ErrNotExist) && !s.spool.away() {
		s.o.Log.Error("events cannot be read from disk, and are lost", "events", b.count, "error", cause(err))
		s.spool.unreadable(b)
		return nil
	}
	err = errors.New("the events cannot be read from disk: " + cause(err).Error())
	e.fails(err)
	return err
}

// refuse ends an attempt that an end has not taken. What is too large is tried again in smaller pieces; what it
// has not wanted for long enough is put aside.
func (e *end) refuse(p *piece, lost uint64, err error) error {
	s := e.stream
	if _, is := errors.AsType[*tooLarge](err); is && p.count() > 1 {
		e.most, e.found = len(p.events)-1, s.o.Now()
		s.o.Log.Info("a batch of events is too large: it goes in pieces", "to", e.name, "batch", p.id(), "events", p.count())
		return nil
	}
	e.fails(err)
	if _, is := errors.AsType[*unfit](err); !is {
		e.refused.id = ""
		return err
	}
	now, patience := s.o.Now(), s.settings.Load().PutAside
	if e.refused.id != p.id() {
		e.refused.id, e.refused.since = p.id(), now
	}
	if patience == 0 || now.Sub(e.refused.since) < patience {
		return err
	}
	path, failed := s.spool.putAside(e.name, p, body(p, lost, s.o.Tracker))
	if failed != nil {
		s.o.Log.Error("events that are refused for good cannot be put aside: they wait on", "to", e.name, "batch", p.id(), "error", failed)
		return err
	}
	s.spool.pass(e.cursor, p)
	s.o.Log.Error("events were refused for good, and put aside: the receiver will not have them", "to", e.name, "batch", p.id(), "events", p.count(), "path", path, "error", err)
	return nil
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

// body is a piece in the form in which it is sent, before it is compressed.
func body(p *piece, lost uint64, tracker string) []byte {
	body := make([]byte, 0, len(p.events)+256)
	body = append(body, `{"version":`...)
	body = strconv.AppendInt(body, version, 10)
	body = append(body, `,"tracker":`...)
	body = appendText(body, tracker)
	body = append(body, `,"batch":`...)
	body = appendText(body, p.id())
	body = append(body, `,"sequence":`...)
	body = strconv.AppendUint(body, p.sequence, 10)
	body = append(body, `,"lost":`...)
	body = strconv.AppendUint(body, lost, 10)
	body = append(body, `,"count":`...)
	body = strconv.AppendInt(body, int64(p.count()), 10)
	body = append(body, ",\"events\":[\n"...)
	body = append(body, p.events...)
	return append(body, "\n]}\n"...)
}

// seal puts a piece into the form in which it is sent.
func seal(p *piece, lost uint64, tracker string, s *Settings, now time.Time) (*envelope, error) {
	e := &envelope{id: p.id(), body: body(p, lost, tracker), gzipped: s.Compress}
	if s.Compress {
		var small bytes.Buffer
		w := gzip.NewWriter(&small)
		_, err := w.Write(e.body)
		if err = errors.Join(err, w.Close()); err != nil {
			return nil, err
		}
		e.body = small.Bytes()
	}
	e.signature = signature.Sign(s.Secrets, now, e.body)
	return e, nil
}
