package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector takes traces, and remembers the names of their spans.
type collector struct {
	*httptest.Server

	mu     sync.Mutex
	names  []string
	tokens []string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := new(collector)
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var data tracepb.TracesData
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(body, &data)
		}
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tokens = append(c.tokens, r.Header.Get("Authorization"))
		for _, of := range data.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				for _, s := range scope.Spans {
					c.names = append(c.names, s.Name)
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// rackService is a web service that has every address in one rack.
func rackService(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"server": {"cabinet": "r1"}}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestServeSendsTracesBeforeItEnds(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hush")
	c := newCollector(t)
	s := startServe(t, "--store", "memory:", "--locality-sources", "rest: "+rackService(t), "--traces-endpoint", c.URL)
	s.announceFrom(t, "127.0.0.77", 100)
	s.announceFrom(t, "127.0.0.77", 90)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.names, ", "); got != "ask rest, locate, announce" {
		t.Errorf("spans: %s", got)
	}
	if len(c.tokens) != 1 || c.tokens[0] != "Bearer hush" || strings.Contains(s.log.String(), "hush") {
		t.Errorf("headers %q\n%s", c.tokens, s.log)
	}
}

func TestWithoutReceiverNothingOfTracesRuns(t *testing.T) {
	s := startServe(t, "--store", "memory:", "--locality-sources", "rest: "+rackService(t))
	s.announceFrom(t, "127.0.0.77", 100)
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if strings.Contains(string(stacks), "opentelemetry") || strings.Contains(string(stacks), "waggle/traces") {
		t.Errorf("%s", stacks)
	}
}

func TestServeRefusesWrongReceiversAndHeadersOfTraces(t *testing.T) {
	for name, c := range map[string]struct{ endpoint, headers, want string }{
		"endpoint": {"127.0.0.1:4318", "", `--traces-endpoint: traces.endpoint wants the URL of a receiver such as http://127.0.0.1:4318, not "127.0.0.1:4318"`},
		"headers":  {"http://127.0.0.1:4318", "hush", "OTEL_EXPORTER_OTLP_HEADERS: header 1 is not written name=value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", c.headers)
			root := newRootCommand()
			root.SetArgs([]string{"serve", "--store", "memory:", "--listen-udp", "127.0.0.1:0", "--listen-http", "127.0.0.1:0", "--listen-console", "off", "--traces-endpoint", c.endpoint})
			root.SetOut(io.Discard)
			root.SetErr(io.Discard)
			err := root.ExecuteContext(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}
