package locality

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// recorder keeps the spans of a test.
type recorder struct {
	*tracetest.SpanRecorder
	tracer trace.Tracer
}

func newRecorder() *recorder {
	r := &recorder{SpanRecorder: tracetest.NewSpanRecorder()}
	r.tracer = sdk.NewTracerProvider(sdk.WithSpanProcessor(r.SpanRecorder)).Tracer("test")
	return r
}

// ended returns the only span of a name that ended since the last call.
func (r *recorder) ended(t *testing.T, name string) sdk.ReadOnlySpan {
	t.Helper()
	var found []sdk.ReadOnlySpan
	for _, s := range r.Ended() {
		if s.Name() == name {
			found = append(found, s)
		}
	}
	r.Reset()
	if len(found) != 1 {
		t.Fatalf("%d spans %q, want 1", len(found), name)
	}
	return found[0]
}

func wantAttributes(t *testing.T, s sdk.ReadOnlySpan, want ...attribute.KeyValue) {
	t.Helper()
	for _, a := range want {
		set := attribute.NewSet(s.Attributes()...)
		if got, _ := set.Value(a.Key); got != a.Value {
			t.Errorf("%s is %v, want %v", a.Key, got.String(), a.Value.String())
		}
	}
}

// locateTraced looks an address up within a span "locate".
func (r *recorder) locateTraced(ctx context.Context, l *Locator, ip netip.Addr) *Group {
	ctx, span := r.tracer.Start(ctx, "locate")
	defer span.End()
	return l.Locate(ctx, ip)
}

func TestSpanOfASourceSaysHowAskingItWentAndWhetherWhatItHadSaidCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{name: "program locate"}
		tree, err := NewTree(100, "rack")
		if err != nil {
			t.Fatal(err)
		}
		l, err := New(tree, Options{Sources: []Source{source}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		r := newRecorder()
		for i, c := range []struct {
			path  string
			err   error
			delay time.Duration
			kept  bool
			want  outcome
		}{
			{path: "r1", want: knew},
			{want: knewNot},
			{path: "a/b/c", want: gotRubbish},
			{path: "r1", delay: time.Minute, want: tooLate},
			{err: errors.New("192.0.2.1 is no good"), want: failed},
			{err: errors.New("192.0.2.1 is no good"), kept: true, want: failed},
		} {
			ip := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
			ctx, span := r.tracer.Start(t.Context(), "locate")
			var kept *Group
			if c.kept {
				if kept, err = tree.Group("r1"); err != nil {
					t.Fatal(err)
				}
			}
			source.say(c.path, c.err, c.delay)
			asking, cancel := context.WithTimeout(ctx, 2*time.Second)
			_, _ = l.ask(asking, l.chain[0], ip, 1, kept)
			cancel()
			span.End()
			s := r.ended(t, "ask program")
			wantAttributes(t, s, attribute.String(attributeSource, "program locate"), attribute.String(attributeOutcome, string(c.want)), attribute.Bool(attributeCached, c.kept))
			if s.SpanKind() != trace.SpanKindClient || s.Parent().SpanID() != span.SpanContext().SpanID() {
				t.Errorf("%v below %v", s.SpanKind(), s.Parent())
			}
			status := sdk.Status{}
			if c.want != knew && c.want != knewNot {
				status = sdk.Status{Code: codes.Error, Description: string(c.want)}
			}
			if s.Status() != status {
				t.Errorf("status %v, want %v", s.Status(), status)
			}
		}
	})
}

func TestSourceThatIsLeftOutHasASpanThatSaysSo(t *testing.T) {
	source := &fake{name: "rest x", err: errors.New("broken")}
	tree, err := NewTree(100, "rack")
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(tree, Options{Sources: []Source{source}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	r := newRecorder()
	for n := range enoughFailures + 1 {
		r.Reset()
		r.locateTraced(t.Context(), l, netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}))
	}
	wantAttributes(t, r.ended(t, "ask rest"), attribute.String(attributeOutcome, string(leftOut)))
	source.wantAsked(t, enoughFailures)
}

func TestLookUpThatIsSharedIsLinkedToTheOneThatAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{name: "rest x", path: "r1", delay: time.Second}
		tree, err := NewTree(100, "rack")
		if err != nil {
			t.Fatal(err)
		}
		l, err := New(tree, Options{Sources: []Source{source}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ip := netip.MustParseAddr("192.0.2.1")
		first, second := newRecorder(), newRecorder()
		both := make(chan *Group)
		go func() { both <- first.locateTraced(t.Context(), l, ip) }()
		synctest.Wait()
		go func() { both <- second.locateTraced(t.Context(), l, ip) }()
		if a, b := <-both, <-both; a == nil || a != b {
			t.Errorf("%v and %v", a, b)
		}
		third := newRecorder()
		third.locateTraced(t.Context(), l, ip)
		source.wantAsked(t, 1)
		asker, joiner, late := first.Ended()[1], second.ended(t, "locate"), third.ended(t, "locate")
		wantAttributes(t, asker, attribute.Bool(attributeShared, false), attribute.Bool(attributeCached, false))
		wantAttributes(t, joiner, attribute.Bool(attributeShared, true), attribute.Bool(attributeCached, false))
		wantAttributes(t, late, attribute.Bool(attributeShared, false), attribute.Bool(attributeCached, true))
		if links := joiner.Links(); len(links) != 1 || links[0].SpanContext.SpanID() != asker.SpanContext().SpanID() {
			t.Errorf("it is linked to %v", links)
		}
	})
}
