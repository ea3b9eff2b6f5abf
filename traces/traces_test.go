package traces_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"waggle/traces"
)

// end ends n spans without children.
func end(t *testing.T, e *traces.Exporter, n int) {
	t.Helper()
	tracer := e.Tracer()
	for range n {
		_, span := tracer.Start(t.Context(), "announce", trace.WithAttributes(attribute.String("waggle.protocol", "udp")))
		span.End()
	}
}

func TestSpansArriveWithWhatIsSaidOfTheProcessAndTheHeaders(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=tracker-1")
	r := newReceiver(t)
	headers, err := traces.HeadersFrom([]string{"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20hush,x-tenant=a"})
	if err != nil {
		t.Fatal(err)
	}
	e := open(t, traces.Options{Endpoint: r.URL + "/", Headers: headers, Share: 1, Version: "1.2.3"})
	end(t, e, 3)
	e.Close()
	if len(r.requests) != 1 {
		t.Fatalf("%d requests, want 1", len(r.requests))
	}
	request := r.requests[0]
	if request.Method != http.MethodPost || request.URL.Path != "/v1/traces" || request.Header.Get("Content-Type") != "application/x-protobuf" {
		t.Errorf("%s %s of %s", request.Method, request.URL.Path, request.Header.Get("Content-Type"))
	}
	if request.Header.Get("Authorization") != "Bearer hush" || request.Header.Get("X-Tenant") != "a" {
		t.Errorf("headers: %v", request.Header)
	}
	resource := texts(r.resource)
	for name, want := range map[string]string{"service.name": "tracker-1", "service.version": "1.2.3", "deployment.environment.name": "test"} {
		if resource[name] != want {
			t.Errorf("%s is %q, want %q", name, resource[name], want)
		}
	}
	if f := e.Figures(); f != (traces.Figures{Sent: 3}) || len(r.named("announce")) != 3 {
		t.Errorf("%+v; %d arrived", f, len(r.named("announce")))
	}
}

func TestSpansAreSentWhenTheyWereGatheredForLongEnough(t *testing.T) {
	arrived := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- struct{}{} }))
	defer s.Close()
	e := open(t, traces.Options{Endpoint: s.URL, Share: 1, Gather: time.Millisecond})
	end(t, e, 1)
	select {
	case <-arrived:
	case <-time.After(5 * time.Second):
		t.Error("nothing arrived")
	}
}

func TestAbsentReceiverCostsSpansAndNothingElse(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	log := new(bytes.Buffer)
	e := open(t, traces.Options{Endpoint: s.URL, Share: 1, Gather: time.Millisecond, Log: slog.New(slog.NewTextHandler(log, nil))})
	end(t, e, 10_000)
	e.Close()
	if f := e.Figures(); f.Sent != 0 || f.Lost == 0 || f.Lost+f.Dropped != 10_000 || !strings.Contains(f.LastError, "connection refused") {
		t.Errorf("%+v", f)
	}
	if n := strings.Count(log.String(), "traces are lost"); n != 1 {
		t.Errorf("%d lines of log, want 1:\n%s", n, log)
	}
}

func TestReceiverThatHangsHoldsUpNobodyAndNoClose(t *testing.T) {
	hung := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // until then the server does not see a client hang up
		select {
		case hung <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	}))
	defer s.Close()
	e := open(t, traces.Options{Endpoint: s.URL, Share: 1, Gather: time.Millisecond})
	end(t, e, 1)
	<-hung
	began := time.Now()
	end(t, e, traces.Queue+1000)
	if took := time.Since(began); took > 30*time.Second { // some milliseconds, and a busy machine
		t.Errorf("ending spans took %v", took)
	}
	if f := e.Figures(); f.Dropped != 1001 || f.Sent+f.Lost != 0 {
		t.Errorf("%+v; want %d in the queue, and the others dropped", f, traces.Queue)
	}
	began = time.Now()
	e.Close()
	if took := time.Since(began); took < time.Second || took > time.Minute {
		t.Errorf("closing took %v, want 2 s", took)
	}
	if f := e.Figures(); f.Lost != traces.Queue || f.Sent != 0 {
		t.Errorf("%+v", f)
	}
}

func TestFlushSendsWhatHasEnded(t *testing.T) {
	r := newReceiver(t)
	e := open(t, traces.Options{Endpoint: r.URL, Share: 1, Gather: time.Hour})
	e.Flush(t.Context()) // there is nothing
	end(t, e, 3)
	e.Flush(t.Context())
	if n := len(r.named("announce")); n != 3 || e.Figures() != (traces.Figures{Sent: 3}) {
		t.Errorf("%d arrived; %+v", n, e.Figures())
	}
	if e.Flush(t.Context()); len(r.requests) != 1 {
		t.Errorf("%d requests, want 1", len(r.requests))
	}
}

func TestFlushWaitsOnceForAReceiverThatDoesNotAnswer(t *testing.T) {
	asked := make(chan struct{}, 10)
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer hangs.Close()
	log := new(bytes.Buffer)
	e := open(t, traces.Options{Endpoint: hangs.URL, Share: 1, Gather: time.Hour, Log: slog.New(slog.NewTextHandler(log, nil))})
	end(t, e, 1)
	short, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	e.Flush(short) // until cancel
	end(t, e, 1)
	began := time.Now()
	if e.Flush(t.Context()); time.Since(began) > time.Second || len(asked) > 0 {
		t.Errorf("it is waited for again, for %v", time.Since(began))
	}
	e.Close()
	if f := e.Figures(); f.Lost != 2 || !strings.Contains(log.String(), "traces are lost") {
		t.Errorf("%+v\n%s", f, log)
	}
}

func TestShareOfTracesIsSent(t *testing.T) {
	for share, want := range map[float64][2]int{0: {0, 0}, 0.5: {850, 1150}, 1: {2000, 2000}} {
		r := newReceiver(t)
		e := open(t, traces.Options{Endpoint: r.URL, Share: share})
		tracer := e.Tracer()
		for range 2000 {
			ctx, parent := tracer.Start(t.Context(), "announce")
			_, child := tracer.Start(ctx, "locate")
			if child.SpanContext().IsSampled() != parent.SpanContext().IsSampled() {
				t.Fatal("a trace is sent in part")
			}
			parent.End() // the children are left out, so that the queue is large enough
		}
		e.Close()
		if n := len(r.named("announce")); n < want[0] || n > want[1] {
			t.Errorf("of a share of %v, %d of 2000 are sent", share, n)
		}
	}
}

func TestReceiverThatRefusesIsNamedWithTheRemedyAndNoSecret(t *testing.T) {
	other := newReceiver(t)
	for status, remedy := range map[int]string{404: "correct traces.endpoint", 307: "correct traces.endpoint", 401: "OTEL_EXPORTER_OTLP_HEADERS", 503: "503 Service Unavailable"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", other.URL)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(r.Header.Get("Authorization")))
		}))
		log := new(bytes.Buffer)
		e := open(t, traces.Options{Endpoint: s.URL, Headers: http.Header{"Authorization": {"hush"}}, Share: 1, Log: slog.New(slog.NewTextHandler(log, nil))})
		end(t, e, 1)
		e.Close()
		s.Close()
		if f := e.Figures(); f.Lost != 1 || !strings.Contains(f.LastError, remedy) || strings.Contains(log.String()+f.LastError, "hush") {
			t.Errorf("%d: %+v", status, f)
		}
	}
	if len(other.requests) != 0 {
		t.Error("spans and headers were sent to where the receiver said")
	}
}

func TestEndpointThatIsNoURLIsRefused(t *testing.T) {
	for _, endpoint := range []string{"", "127.0.0.1:4318", "grpc://127.0.0.1:4317", "http://", "http://a b"} {
		if e, err := traces.Open(traces.Options{Endpoint: endpoint}); err == nil {
			e.Close()
			t.Errorf("%q is taken", endpoint)
		}
	}
}

func TestSpanThatEndsAfterCloseIsForgotten(t *testing.T) {
	r := newReceiver(t)
	e := open(t, traces.Options{Endpoint: r.URL, Share: 1})
	_, span := e.Tracer().Start(t.Context(), "announce")
	e.Close()
	span.End()
	end(t, e, 1)
	if f := e.Figures(); f != (traces.Figures{}) {
		t.Errorf("%+v", f)
	}
}
