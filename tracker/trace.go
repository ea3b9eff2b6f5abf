package tracker

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/swarm"
)

// Protocol is by which an announce came, as a trace has it.
type Protocol string

// The protocols of announces.
const (
	UDP  Protocol = "udp"
	HTTP Protocol = "http"
)

// Outcome is how an announce went, as a trace has it.
type Outcome string

// The outcomes of announces.
const (
	Answered Outcome = "answered"
	Refused  Outcome = "refused" // the client was told why
	Shed     Outcome = "shed"    // the client is to come back later; over UDP it hears nothing
	Fault    Outcome = "fault"   // it found a fault in waggle
)

// OutcomeOf returns the outcome of an announce that [Tracker.Announce] answered with
// an error, or with nil.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Answered
	}
	if _, later := errors.AsType[*bittorrent.Refusal](err); later {
		return Shed
	}
	return Refused
}

// Trace follows one announce out of this machine and back: to sources of locations, and
// to a remote store. One goroutine at a time may use it. A nil Trace follows nothing.
//
// Its span "announce" begins when the announce first leaves the machine, and counts from
// when the Trace was made. One that never leaves has no span.
type Trace struct {
	tracer   trace.Tracer
	protocol Protocol
	began    time.Time
	outcome  Outcome
	span     trace.Span // nil: it has not left
}

// traceKey is where a context has its *Trace.
type traceKey struct{}

// Trace begins to follow an announce. The context is for [Tracker.AwaitLocation] and
// [Tracker.Announce]; the caller ends the Trace. Without Options.Tracer the two are ctx
// and nil, and nothing is allocated.
func (t *Tracker) Trace(ctx context.Context, p Protocol) (context.Context, *Trace) {
	if t.options.Tracer == nil {
		return ctx, nil
	}
	tr := &Trace{tracer: t.options.Tracer, protocol: p, began: time.Now(), outcome: Fault}
	return context.WithValue(ctx, traceKey{}, tr), tr
}

// Conclude says how the announce went. Where nobody says it, it was a fault.
func (tr *Trace) Conclude(o Outcome) {
	if tr != nil {
		tr.outcome = o
	}
}

// End ends the trace of an announce. Of the announce it tells the info hash, the event
// and the group that it came from: neither an address nor a peer id.
func (tr *Trace) End(a *swarm.Announce) {
	if tr == nil || tr.span == nil {
		return
	}
	defer tr.span.End()
	if !tr.span.IsRecording() {
		return
	}
	tr.span.SetAttributes(
		attribute.String("waggle.protocol", string(tr.protocol)),
		attribute.String("waggle.event", a.Event.String()),
		attribute.String("waggle.info_hash", hex.EncodeToString(a.InfoHash[:])),
		attribute.String("waggle.outcome", string(tr.outcome)),
	)
	placed(tr.span, a.Location)
	if tr.outcome == Fault {
		tr.span.SetStatus(codes.Error, "waggle's log tells more")
	}
}

// placed tells which group an announce came from, if that is known.
func placed(span trace.Span, g *locality.Group) {
	if g != nil {
		span.SetAttributes(attribute.String("waggle.location", g.Path()))
	}
}

// leave begins the span of a part of an announce that leaves the machine; where nobody
// follows it, one that records nothing.
func leave(ctx context.Context, name string, kind trace.SpanKind) (context.Context, trace.Span) {
	tr, ok := ctx.Value(traceKey{}).(*Trace)
	if !ok {
		return ctx, trace.SpanFromContext(context.Background())
	}
	if tr.span == nil {
		_, tr.span = tr.tracer.Start(ctx, "announce", trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(tr.began))
	}
	return tr.tracer.Start(trace.ContextWithSpan(ctx, tr.span), name, trace.WithSpanKind(kind))
}

// traced is a remote store. Announces that somebody follows have a span for it.
type traced struct{ swarm.Store }

// Announce is that of the store.
func (s traced) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	ctx, span := leave(ctx, "store", trace.SpanKindClient)
	defer span.End()
	err := s.Store.Announce(ctx, a, r)
	if span.IsRecording() {
		outcome := storeOutcome(err)
		span.SetAttributes(attribute.String("waggle.outcome", outcome))
		if err != nil {
			span.SetStatus(codes.Error, outcome) // the error itself may have names of servers and keys
		}
	}
	return err
}

func storeOutcome(err error) string {
	switch {
	case err == nil:
		return "stored"
	case errors.Is(err, swarm.ErrBusy):
		return "busy"
	case errors.Is(err, context.DeadlineExceeded):
		return "timed out"
	}
	return "failed"
}
