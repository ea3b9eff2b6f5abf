package tracker_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

func newRecorder() (*tracetest.SpanRecorder, trace.Tracer) {
	r := tracetest.NewSpanRecorder()
	return r, sdk.NewTracerProvider(sdk.WithSpanProcessor(r)).Tracer("test")
}

// follow lets a peer announce as a frontend does that waits.
func follow(ctx context.Context, tr *tracker.Tracker, a *swarm.Announce) error {
	ctx, trace := tr.Trace(ctx, tracker.HTTP)
	defer trace.End(a)
	if !tr.Locate(a) {
		tr.AwaitLocation(ctx, a)
	}
	err := tr.Announce(ctx, a, new(swarm.Reply))
	trace.Conclude(tracker.OutcomeOf(err))
	return err
}

func TestTraceCountsFromBeforeTheAnnounceLeavesTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recorder, tracer := newRecorder()
		l := newAtlas(t)
		l.delay = time.Second
		tr := tracker.New(&faraway{Store: memory.New(memory.Options{})}, located(t), tracker.Options{Locator: l, Tracer: tracer})
		began := time.Now()
		if err := follow(t.Context(), tr, inRack(9, 1, time.Now())); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range recorder.Ended() {
			names = append(names, s.Name())
		}
		if len(names) != 3 || names[0] != "locate" || names[1] != "store" || names[2] != "announce" {
			t.Fatalf("%q", names)
		}
		locate, root := recorder.Ended()[0], recorder.Ended()[2]
		if !root.StartTime().Equal(began) || locate.EndTime().Sub(locate.StartTime()) != time.Second {
			t.Errorf("the announce began %v late; locating took %v", root.StartTime().Sub(began), locate.EndTime().Sub(locate.StartTime()))
		}
		if root.SpanKind() != trace.SpanKindServer || root.Parent().IsValid() {
			t.Errorf("%v below %v", root.SpanKind(), root.Parent())
		}
	})
}

func TestAnnounceThatStaysOnTheMachineHasNoSpan(t *testing.T) {
	recorder, tracer := newRecorder()
	refused, passive := announce(1, time.Unix(1000, 0)), announce(2, time.Unix(1000, 0))
	refused.Port = 0
	s := settings
	s.Listed = true
	tr := tracker.New(&faraway{Store: memory.New(memory.Options{})}, s, tracker.Options{Tracer: tracer})
	_ = follow(t.Context(), tr, refused)
	if err := follow(t.Context(), tr, passive); err != nil {
		t.Fatal(err)
	}
	if err := follow(t.Context(), tracker.New(memory.New(memory.Options{}), settings, tracker.Options{Tracer: tracer}), announce(3, time.Unix(1000, 0))); err != nil {
		t.Fatal(err)
	}
	if n := len(recorder.Started()); n > 0 {
		t.Errorf("%d spans", n)
	}
}

func TestTraceIsARootWhateverTheContextBelongsTo(t *testing.T) {
	recorder, tracer := newRecorder()
	tr := tracker.New(&faraway{Store: memory.New(memory.Options{})}, settings, tracker.Options{Tracer: tracer})
	ctx, stranger := tracer.Start(t.Context(), "stranger")
	if err := follow(ctx, tr, announce(1, time.Unix(1000, 0))); err != nil {
		t.Fatal(err)
	}
	for _, s := range recorder.Ended() {
		if s.SpanContext().TraceID() == stranger.SpanContext().TraceID() {
			t.Errorf("%s is of the trace of a stranger", s.Name())
		}
	}
}

func TestWithoutTracerNothingIsFollowed(t *testing.T) {
	tr := tracker.New(&faraway{Store: memory.New(memory.Options{})}, settings, tracker.Options{})
	a := announce(1, time.Unix(1000, 0))
	var r swarm.Reply
	ctx := t.Context()
	if err := tr.Announce(ctx, a, &r); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		r.Reset()
		ctx, trace := tr.Trace(ctx, tracker.UDP)
		trace.Conclude(tracker.OutcomeOf(tr.Announce(ctx, a, &r)))
		trace.End(a)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAnnounceOnTheMachineAllocatesNothingWhereOthersAreTraced(t *testing.T) {
	_, tracer := newRecorder()
	tr := tracker.New(memory.New(memory.Options{}), located(t), tracker.Options{Locator: newAtlas(t), Tracer: tracer})
	a := inRack(1, 1, time.Unix(1000, 0))
	a.Event = bittorrent.EventNone
	var r swarm.Reply
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		r.Reset()
		tr.Locate(a)
		if err := tr.Announce(ctx, a, &r); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
