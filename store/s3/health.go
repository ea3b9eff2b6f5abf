package s3

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"waggle/swarm"
)

// manyFailures is after how many attempts without an answer, one after the other, the
// server is taken to be away.
const manyFailures = 8

// probeEvery is about how often a server that is away is asked whether it is back.
const probeEvery = time.Second

// health knows whether the server answers. While it does not, nobody waits for it but
// one goroutine, which asks now and then.
type health struct {
	log   *slog.Logger
	probe func(context.Context) error // asks the server something small

	mu       sync.Mutex
	failures int   // since the last answer
	last     error // of them; it may be long ago
	wrong    error // nil: the server answers
	closed   bool
	end      context.CancelFunc // of the probing
	probing  sync.WaitGroup
}

// check returns swarm.ErrBusy while the server is away.
func (h *health) check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wrong != nil || h.closed {
		return swarm.ErrBusy
	}
	return nil
}

// answered is told that the server answered.
func (h *health) answered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures = 0
}

// failed is told of an attempt without an answer. Where certain, the next one would
// fail as well.
func (h *health) failed(err error, certain bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures++
	h.last = err
	if h.wrong != nil || h.closed || !certain && h.failures < manyFailures {
		return
	}
	h.wrong = explain(err)
	h.log.Error("the S3 bucket cannot be used: announces are refused until it can", "error", h.wrong)
	var ctx context.Context
	ctx, h.end = context.WithCancel(context.Background())
	h.probing.Go(func() { h.watch(ctx) })
}

// watch asks until the server answers.
func (h *health) watch(ctx context.Context) {
	for {
		wait := time.NewTimer(probeEvery/2 + rand.N(probeEvery))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		err := h.probe(ctx)
		if ctx.Err() != nil {
			return
		}
		if h.isBack(err) {
			h.log.Info("the S3 bucket can be used again")
			return
		}
	}
}

func (h *health) isBack(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if isAnswer(err) || isThrottle(err) {
		h.end()
		h.wrong, h.failures = nil, 0
		return true
	}
	h.wrong = explain(err)
	return false
}

// healthy returns what is wrong, in words.
func (h *health) healthy() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.wrong
}

// lately returns what was wrong last, or is still.
func (h *health) lately() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wrong != nil {
		return h.wrong
	}
	return explain(h.last)
}

var errClosed = errors.New("the store is closed")

// close ends the probing.
func (h *health) close() {
	h.mu.Lock()
	if h.wrong != nil && !h.closed {
		h.end()
	}
	h.closed = true
	h.wrong = errClosed
	h.mu.Unlock()
	h.probing.Wait()
}
