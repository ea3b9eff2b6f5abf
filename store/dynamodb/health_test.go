package dynamodb

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"waggle/store/faraway"
	"waggle/swarm"
)

func newTestServer(probe func(context.Context) error) *server {
	s := &server{attempt: 2 * time.Second, patience: 5 * time.Second}
	s.watch(slog.New(slog.DiscardHandler), probe)
	return s
}

func TestAttemptsAreRepeatedWithPausesForAsLongAsPatienceLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(nil)
		began, attempts := time.Now(), 0
		_, err := s.try(t.Context(), query, func(context.Context) error { attempts++; return &types.ThrottlingException{} })
		if took := time.Since(began); !errors.Is(err, swarm.ErrBusy) || took != s.patience || attempts < 8 || attempts > 60 {
			t.Errorf("%d attempts in %v, %v", attempts, took, err)
		}
		if err := s.health.Healthy(); err != nil {
			t.Errorf("a server that refuses is taken to be away: %v", err)
		}
		hanging, err := s.try(t.Context(), query, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if !errors.Is(err, swarm.ErrBusy) || hanging.unknown != 3 {
			t.Errorf("%d attempts of two seconds in five, %v", hanging.unknown, err)
		}
	})
}

// TestLogIsFoldedWhenItIsAsLongAsTheSnapshot whatever its steps are.
func TestLogIsFoldedWhenItIsAsLongAsTheSnapshot(t *testing.T) {
	const snapshot = 5 << 20
	head := item{foldedName: numberValue(1000), sizeName: numberValue(9 << 20), foldedSize: numberValue(snapshot)}
	for want, ats := range map[bool][]position{
		false: {{number: 1064, size: 9<<20 + 64*1000}, {number: 1000 + 5000, size: 9<<20 + 5000*100}, {number: 999, size: 9 << 20}},
		true:  {{number: 1064, size: 9<<20 + snapshot}, {number: 1000 + 30_000, size: 9<<20 + 30_000*100}},
	} {
		for _, at := range ats {
			if timeToFold(head, at) != want {
				t.Errorf("%+v: want %v", at, want)
			}
		}
	}
	if timeToFold(nil, position{number: 64, size: 64 * 100}) || !timeToFold(nil, position{number: 320, size: 320 * 10}) {
		t.Error("the first snapshot comes too early, or too late")
	}
}

func TestWhatIsWrongWithARequestIsNotRepeated(t *testing.T) {
	attempts := 0
	s := newTestServer(nil)
	_, err := s.try(t.Context(), putItem, func(context.Context) error { attempts++; return &types.ResourceInUseException{} })
	if attempts != 1 || err == nil || errors.Is(err, swarm.ErrBusy) {
		t.Errorf("%d attempts, %v", attempts, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = s.try(ctx, putItem, func(context.Context) error { cancel(); return io.EOF })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("one who is gone is told %v", err)
	}
}

func TestWhatCredentialsDoNotAllowIsSaidWithoutWhoseTheyAre(t *testing.T) {
	err := explain(&smithy.GenericAPIError{
		Code:    "AccessDeniedException",
		Message: "User: arn:aws:sts::123456789012:assumed-role/tracker/i-1 is not authorized to perform: dynamodb:DeleteItem on resource: arn:aws:dynamodb:us-east-1:123456789012:table/waggle",
	})
	if text := err.Error(); !strings.Contains(text, "dynamodb:DeleteItem") || strings.Contains(text, "123456789012") {
		t.Error(text)
	}
}

func TestServerThatIsAwayIsAskedByOneAloneUntilItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		var probes, requests atomic.Int64
		away.Store(true)
		ask := func(context.Context) error {
			if away.Load() {
				return io.EOF
			}
			return nil
		}
		s := newTestServer(func(ctx context.Context) error { probes.Add(1); return ask(ctx) })
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				_, err := s.try(t.Context(), query, func(ctx context.Context) error { requests.Add(1); return ask(ctx) })
				if !errors.Is(err, swarm.ErrBusy) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := requests.Load(); n > 200*10 { // with pauses, for less than half a second
			t.Errorf("%d requests of 200 callers", n)
		}
		if s.health.Healthy() == nil {
			t.Error("nothing is wrong")
		}
		time.Sleep(20 * time.Second) // of the test's own clock
		if n := probes.Load(); n < 13 || n > 40 {
			t.Errorf("%d questions in 20 seconds", n)
		}
		away.Store(false)
		time.Sleep(2 * time.Second)
		if _, err := s.try(t.Context(), query, ask); err != nil || s.health.Healthy() != nil {
			t.Errorf("%v, %v when it is back", err, s.health.Healthy())
		}
		away.Store(true)
		for range faraway.ManyFailures {
			_, _ = s.try(t.Context(), query, ask)
		}
		s.health.Close() // while it is away
	})
}
