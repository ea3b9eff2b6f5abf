package traces_test

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"waggle/traces"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver takes OTLP over HTTP, as a collector does.
type receiver struct {
	*httptest.Server

	mu       sync.Mutex
	requests []*http.Request // without their bodies
	bodies   []string
	spans    []*tracepb.Span
	resource []*commonpb.KeyValue // of the last request
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := new(receiver)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		var data tracepb.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &data)
		}
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.requests, r.bodies = append(r.requests, request), append(r.bodies, string(body))
		for _, of := range data.ResourceSpans {
			r.resource = of.Resource.Attributes
			for _, scope := range of.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(r.Close)
	return r
}

// named returns the spans of a name, as they began.
func (r *receiver) named(name string) []*tracepb.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*tracepb.Span
	for _, s := range r.spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *tracepb.Span) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
	return found
}

// wantManual checks that docs/traces.md has all that was received.
func (r *receiver) wantManual(t *testing.T) {
	t.Helper()
	manual, err := os.ReadFile("../docs/traces.md")
	if err != nil {
		t.Fatal(err)
	}
	has := func(word string) {
		if !strings.Contains(string(manual), "`"+word+"`") {
			t.Errorf("docs/traces.md lacks %s", word)
		}
	}
	for _, s := range r.spans {
		has(s.Name)
		for name, value := range texts(s.Attributes) {
			has(name)
			if name == "waggle.outcome" {
				has(value)
			}
		}
	}
}

// one returns the only span of a name.
func (r *receiver) one(t *testing.T, name string) *tracepb.Span {
	t.Helper()
	found := r.named(name)
	if len(found) != 1 {
		t.Fatalf("%d spans %q, want 1", len(found), name)
	}
	return found[0]
}

// texts returns attributes as text, "" for what is neither text nor a number.
func texts(attributes []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		switch v := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			all[a.Key] = v.StringValue
		default:
			all[a.Key] = strings.TrimSpace(a.Value.String()[strings.Index(a.Value.String(), ":")+1:])
		}
	}
	return all
}

// wantAttributes compares some attributes of a span.
func wantAttributes(t *testing.T, s *tracepb.Span, want map[string]string) {
	t.Helper()
	got := texts(s.Attributes)
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s: %s is %q, want %q", s.Name, name, got[name], value)
		}
	}
}

// wantChild checks whose child a span is.
func wantChild(t *testing.T, child, parent *tracepb.Span) {
	t.Helper()
	if string(child.ParentSpanId) != string(parent.SpanId) || string(child.TraceId) != string(parent.TraceId) {
		t.Errorf("%s is of trace %x below %x, want of %x below %x", child.Name, child.TraceId, child.ParentSpanId, parent.TraceId, parent.SpanId)
	}
}

func traceparent(s *tracepb.Span) string {
	return "00-" + hex.EncodeToString(s.TraceId) + "-" + hex.EncodeToString(s.SpanId) + "-01"
}

func open(t *testing.T, o traces.Options) *traces.Exporter {
	t.Helper()
	e, err := traces.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}
