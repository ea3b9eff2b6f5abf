package lambda

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"

	"waggle/bittorrent"
)

// Options are the settings of a front. Handler must be given.
type Options struct {
	// Handler answers requests, several at a time if the platform sends several.
	Handler http.Handler

	// Tidy is called for the scheduled event: it forgets who is silent and returns how
	// many they were. nil: the event is an error.
	Tidy func(context.Context) (peers int, err error)

	Log *slog.Logger // nil: none
}

// Front answers events. All methods may be called concurrently.
type Front struct {
	o Options

	mu      sync.Mutex
	closed  bool
	current sync.WaitGroup // added to under mu, while not closed
}

// New returns a front.
func New(o Options) *Front {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Front{o: o}
}

// ErrClosed says that the process is about to end.
var ErrClosed = errors.New("waggle is stopping: send the event again")

// errNoSchedule is for whoever scheduled events of a function without a store.
var errNoSchedule = errors.New("a scheduled event came, and nothing is to be done at one")

// Invoke answers an event, in JSON. It is what aws-lambda-go calls a handler. The error
// says what is wrong with the event, with what is behind the scheduled one, or is
// [ErrClosed]; requests are never answered with an error, whatever they are.
func (f *Front) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if !f.begin() {
		return nil, ErrClosed
	}
	defer f.current.Done()
	e, k, err := parseEvent(payload)
	if err != nil {
		return nil, err
	}
	if k == schedule {
		return f.tidy(ctx)
	}
	a, err := f.answer(ctx, e, k)
	if err != nil {
		return nil, err
	}
	return marshal(a.event(k))
}

// Close waits for the events under way, and has all others refused. The error is that
// of ctx.
func (f *Front) Close(ctx context.Context) error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	done := make(chan struct{})
	go func() {
		f.current.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *Front) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.current.Add(1)
	}
	return !f.closed
}

func (f *Front) tidy(ctx context.Context) ([]byte, error) {
	if f.o.Tidy == nil {
		return nil, errNoSchedule
	}
	peers, err := f.o.Tidy(ctx)
	if err != nil {
		return nil, fmt.Errorf("the scheduled event: %w", err)
	}
	return fmt.Appendf(nil, `{"forgotten":%d}`, peers), nil
}

// answer has the handler answer the request of an event.
func (f *Front) answer(ctx context.Context, e *event, k kind) (*answer, error) {
	limit := maxBody
	if k == balancer || k == balancerLists {
		limit = maxBalancerBody
	}
	a := newAnswer(limit)
	r, err := e.request(ctx, k)
	if errors.Is(err, errMangled) {
		mangled(a)
		a.end(http.MethodGet)
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	serve(f.o.Handler, a, r, f.o.Log)
	return a, nil
}

// mangled answers as the tracker refuses an announce.
func mangled(a *answer) {
	a.header.Set("Content-Type", "text/plain")
	_, _ = a.Write(bittorrent.AppendHTTPFailure(nil, errMangled.Error())) // it fits
}

// serve has a handler answer. A fault of it is answered 500.
func serve(h http.Handler, a *answer, r *http.Request, log *slog.Logger) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("a fault of waggle's, please report it", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			a.replace(http.StatusInternalServerError, "the tracker made a mistake; its log tells the operator more")
		}
		a.end(r.Method)
	}()
	h.ServeHTTP(a, r)
}
