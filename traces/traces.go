package traces

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Bounds.
const (
	Queue = 2048 // spans that wait or are under way to the receiver, of some 1 KiB each

	batch        = 512              // spans of a request
	gatherFor    = 5 * time.Second  // before a batch that is not full is sent
	sendTimeout  = 10 * time.Second // of a request
	closeTimeout = 2 * time.Second  // of all that is left
	restTime     = time.Minute      // in which nobody waits for a receiver that let one wait in vain

	places = Queue + 64 // in the library's queue, where a flush takes one as well

	maxAttributes = 32  // of a span
	maxText       = 512 // characters of an attribute
)

// Options say where spans go.
type Options struct {
	// Endpoint is the URL of the receiver, http or https; /v1/traces is added to it.
	Endpoint string

	// Headers are sent with each request, as [ParseHeaders] returns them. They are
	// never logged.
	Headers http.Header

	// Share is of how many traces, from 0 to 1, the spans are sent. The others cost next
	// to nothing.
	Share float64

	// Version is waggle's own.
	Version string

	// Gather is for how long spans are gathered before they are sent together; 0: 5 s.
	Gather time.Duration

	Log *slog.Logger // nil: none
}

// Exporter sends spans to a receiver, from [Open] to Close. All methods may be called
// concurrently.
type Exporter struct {
	provider *sdk.TracerProvider
	log      *slog.Logger

	sending context.Context //nolint:containedctx // the life of requests, which Close cuts short
	cutOff  context.CancelFunc

	waiting atomic.Int64
	figures counts
	told    atomic.Pointer[Figures] // when losses were logged last
	rests   atomic.Int64            // Unix nanoseconds until which Flush does nothing
}

// Open begins to send. It does not wait for the receiver, which may come later. It fails
// on an endpoint that is no URL.
//
// What the operator says of this process in OTEL_RESOURCE_ATTRIBUTES and
// OTEL_SERVICE_NAME is sent along.
func Open(o Options) (*Exporter, error) {
	c, err := newClient(o.Endpoint, o.Headers)
	if err != nil {
		return nil, err
	}
	about, err := resource.Merge(resource.NewSchemaless(
		attribute.String("service.name", "waggle"), attribute.String("service.version", o.Version),
	), resource.Environment())
	if err != nil {
		return nil, errors.Join(errors.New("OTEL_RESOURCE_ATTRIBUTES: correct it, or unset it"), err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Gather <= 0 {
		o.Gather = gatherFor
	}
	e := &Exporter{log: o.Log}
	e.told.Store(&Figures{})
	e.sending, e.cutOff = context.WithCancel(context.Background())
	sender := sender{otlptrace.NewUnstarted(c), c, e}
	limits := sdk.NewSpanLimits()
	limits.AttributeCountLimit, limits.AttributeValueLengthLimit = maxAttributes, maxText
	e.provider = sdk.NewTracerProvider(
		sdk.WithResource(about),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(o.Share))),
		sdk.WithRawSpanLimits(limits),
		sdk.WithSpanProcessor(entrance{e, sdk.NewBatchSpanProcessor(sender,
			sdk.WithMaxQueueSize(places), sdk.WithMaxExportBatchSize(batch), sdk.WithBatchTimeout(o.Gather), sdk.WithExportTimeout(sendTimeout))}),
	)
	return e, nil
}

// Tracer makes spans. It is good until Close; later spans are not sent.
func (e *Exporter) Tracer() trace.Tracer { return e.provider.Tracer("waggle") }

// Flush sends the spans that have ended, and returns when the receiver has them, or when
// ctx ends; then they are lost, and that is logged. It is for a process that stands still
// from then on. Where there are no spans it does nothing, nor within a minute of having
// waited in vain: they are sent meanwhile as long as the process runs.
func (e *Exporter) Flush(ctx context.Context) {
	began, lost := time.Now(), e.figures.lost.Load()
	if e.waiting.Load() == 0 || began.UnixNano() < e.rests.Load() {
		return
	}
	err := e.provider.ForceFlush(ctx)
	if err != nil || e.figures.lost.Load() > lost {
		e.rests.Store(began.Add(restTime).UnixNano())
		e.tellLosses()
	}
}

// Close sends what is left, for two seconds at most, and ends. What could not be sent is
// logged.
func (e *Exporter) Close() {
	late := time.AfterFunc(closeTimeout, e.cutOff)
	defer late.Stop()
	_ = e.provider.Shutdown(context.Background()) // returns soon after it is cut off; a sender has no errors
	e.cutOff()
	e.tellLosses()
}

// entrance lets spans into the queue, as far as there is room. The library drops what is
// too much as well, but tells nobody.
type entrance struct {
	e *Exporter
	sdk.SpanProcessor
}

// OnEnd is called when a span ends.
func (in entrance) OnEnd(s sdk.ReadOnlySpan) {
	if in.e.waiting.Add(1) > Queue {
		in.e.waiting.Add(-1)
		in.e.figures.dropped.Add(1)
		return
	}
	in.SpanProcessor.OnEnd(s)
}

// sender takes spans out of the queue.
type sender struct {
	*otlptrace.Exporter
	client *client
	e      *Exporter
}

// ExportSpans sends spans. It counts errors and returns none: the library would print
// them.
func (s sender) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.e.sending, cancel)()
	err := s.Exporter.ExportSpans(ctx, spans)
	s.e.waiting.Add(-int64(len(spans)))
	s.e.figures.count(len(spans), err)
	return nil
}

// Shutdown is called when all spans were sent.
func (s sender) Shutdown(context.Context) error {
	s.client.close()
	return nil
}
