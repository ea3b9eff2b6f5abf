package faraway

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"waggle/swarm"
)

// ManyFailures is after how many attempts without an answer, one after the other, a
// server is taken to be away.
const ManyFailures = 8

// probeEvery is about how often a server that is away is asked whether it is back.
const probeEvery = time.Second

// Health knows whether a server answers. While it does not, nobody waits for it but one
// goroutine, which asks now and then. Its settings are not changed once it is used; all
// methods may be called concurrently.
type Health struct {
	What  string                      // is asked for, such as "DynamoDB table"
	Probe func(context.Context) error // asks the server something small
	Log   *slog.Logger

	// Explain puts an error into words for whoever runs the store. IsAnswer says whether
	// what Probe returns, which may be nil, is an answer of a server that is there.
	Explain  func(error) error
	IsAnswer func(error) bool

	// Patience is how long attempts must have failed. Many connections that were idle may
	// break at once, as where a function of Lambda was frozen, and the next attempts are
	// answered. 0: their number alone counts.
	Patience time.Duration

	mu       sync.Mutex
	failures int       // since the last answer
	since    time.Time // of the first of them
	last     error     // of them; it may be long ago
	wrong    error     // nil: the server answers
	closed   bool
	end      context.CancelFunc // of the probing
	probing  sync.WaitGroup
}

// Check returns swarm.ErrBusy while the server is away.
func (h *Health) Check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wrong != nil || h.closed {
		return swarm.ErrBusy
	}
	return nil
}

// Answered is told that the server answered.
func (h *Health) Answered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures = 0
}

// Failed is told of an attempt without an answer. Where certain, the next one would
// fail as well.
func (h *Health) Failed(err error, certain bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures++; h.failures == 1 {
		h.since = time.Now()
	}
	h.last = err
	away := certain || h.failures >= ManyFailures && time.Since(h.since) >= h.Patience
	if h.wrong != nil || h.closed || !away {
		return
	}
	h.wrong = h.Explain(err)
	h.Log.Error("the "+h.What+" cannot be used: announces are refused until it can", "error", h.wrong)
	var ctx context.Context
	ctx, h.end = context.WithCancel(context.Background())
	h.probing.Go(func() { h.watch(ctx) })
}

// watch asks until the server answers.
func (h *Health) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(probeEvery/2 + rand.N(probeEvery)):
		}
		err := h.Probe(ctx)
		if ctx.Err() != nil {
			return
		}
		if h.isBack(err) {
			h.Log.Info("the " + h.What + " can be used again")
			return
		}
	}
}

func (h *Health) isBack(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return true
	}
	if h.IsAnswer(err) {
		h.end()
		h.wrong, h.failures = nil, 0
		return true
	}
	h.wrong = h.Explain(err)
	return false
}

// Healthy returns what is wrong, in words; nil: nothing.
func (h *Health) Healthy() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.wrong
}

// Lately returns what was wrong last, or is still, in words; nil: nothing ever was.
func (h *Health) Lately() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wrong != nil || h.last == nil {
		return h.wrong
	}
	return h.Explain(h.last)
}

var errClosed = errors.New("the store is closed")

// Close ends the probing. Nothing is asked for any more. It may be called again.
func (h *Health) Close() {
	h.mu.Lock()
	if h.wrong != nil && !h.closed {
		h.end()
	}
	h.closed = true
	h.wrong = errClosed
	h.mu.Unlock()
	h.probing.Wait()
}
