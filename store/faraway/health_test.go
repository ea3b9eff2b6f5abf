package faraway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"waggle/store/faraway"
	"waggle/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newHealth(patience time.Duration, probe func(context.Context) error) *faraway.Health {
	return &faraway.Health{
		What: "shelf", Probe: probe, Log: slog.New(slog.DiscardHandler), Patience: patience,
		Explain:  func(err error) error { return fmt.Errorf("the shelf: %w", err) },
		IsAnswer: func(err error) bool { return err == nil },
	}
}

func TestServerIsAwayAfterManyFailuresOneAfterTheOther(t *testing.T) {
	h := newHealth(0, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	if h.Lately() != nil {
		t.Error("something was wrong before anything was asked")
	}
	for range 3 {
		for range faraway.ManyFailures - 1 {
			h.Failed(io.EOF, false)
		}
		if err := h.Check(); err != nil {
			t.Fatalf("before there were many: %v", err)
		}
		h.Answered()
	}
	if err := h.Lately(); !errors.Is(err, io.EOF) || h.Healthy() != nil {
		t.Errorf("lately %v, now %v", err, h.Healthy())
	}
	h.Failed(io.ErrUnexpectedEOF, true)
	if err := h.Check(); !errors.Is(err, swarm.ErrBusy) || !errors.Is(h.Healthy(), io.ErrUnexpectedEOF) {
		t.Errorf("after one that is certain: %v, %v", err, h.Healthy())
	}
	h.Close()
	h.Close()
	if err := h.Check(); !errors.Is(err, swarm.ErrBusy) {
		t.Errorf("after the end: %v", err)
	}
}

func TestManyConnectionsThatBreakAtOnceAreNoServerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(400*time.Millisecond, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		defer h.Close()
		for range 100 {
			h.Failed(io.EOF, false)
		}
		if err := h.Check(); err != nil {
			t.Errorf("at once: %v", err)
		}
		time.Sleep(400 * time.Millisecond)
		if h.Failed(io.EOF, false); h.Check() == nil {
			t.Error("it is not away although nothing was answered for long")
		}
	})
}

func TestServerThatIsAwayIsAskedAboutOnceASecondUntilItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Bool
		var asked atomic.Int64
		h := newHealth(0, func(context.Context) error {
			if asked.Add(1); back.Load() {
				return nil
			}
			return io.EOF
		})
		defer h.Close()
		h.Failed(io.EOF, true)
		time.Sleep(20 * time.Second)
		if n := asked.Load(); n < 13 || n > 40 || h.Check() == nil {
			t.Errorf("asked %d times in 20 seconds; %v", n, h.Check())
		}
		back.Store(true)
		time.Sleep(2 * time.Second)
		if err := errors.Join(h.Check(), h.Healthy()); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	})
}

func TestRootOfAnErrorSaysWhatHappened(t *testing.T) {
	err := fmt.Errorf("asking: %w", &net.OpError{Op: "dial", Err: io.EOF})
	if got := faraway.Root(err); got.Error() != io.EOF.Error() || !faraway.IsNetwork(err) || faraway.IsNetwork(io.EOF) {
		t.Errorf("%v", got)
	}
}
