package locality

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Attributes of spans. None has an address: errors, which may repeat what was asked for,
// are left out. docs/traces.md lists them.
const (
	attributeSource  = "waggle.source"
	attributeOutcome = "waggle.outcome"
	attributeCached  = "waggle.cached"
	attributeShared  = "waggle.shared"
	attributeStatus  = "http.response.status_code"
)

// begin begins the span of asking a source, where ctx belongs to a trace. The span is
// ended by the caller.
func begin(ctx context.Context, s Source) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, parentless
	}
	kind, _, _ := strings.Cut(s.String(), " ")
	return parent.TracerProvider().Tracer("waggle").Start(ctx, "ask "+kind,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String(attributeSource, s.String())))
}

// parentless is a span that records nothing.
var parentless = trace.SpanFromContext(context.Background())

// conclude notes how asking a source went. cached says that what it had said before
// counts.
func conclude(span trace.Span, how outcome, cached bool) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String(attributeOutcome, string(how)), attribute.Bool(attributeCached, cached))
	if how != knew && how != knewNot {
		span.SetStatus(codes.Error, string(how))
	}
}

// note notes of a look-up whether it was answered from memory, and which one under way
// it shares.
func note(ctx context.Context, cached, shared bool, of trace.SpanContext) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.Bool(attributeCached, cached), attribute.Bool(attributeShared, shared))
	if shared {
		span.AddLink(trace.Link{SpanContext: of}) // nothing, where that is of no trace
	}
}

// withTrace is a context that belongs to the trace of another.
func withTrace(ctx, of context.Context) context.Context {
	span := trace.SpanFromContext(of)
	if !span.SpanContext().IsValid() {
		return ctx
	}
	return trace.ContextWithSpan(ctx, span)
}

// tellTrace tells a web service which trace a request belongs to (W3C traceparent).
func tellTrace(ctx context.Context, request *http.Request) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(request.Header))
}

// noteStatus notes with what status a web service answered.
func noteStatus(ctx context.Context, status int) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(attribute.Int(attributeStatus, status))
	}
}
