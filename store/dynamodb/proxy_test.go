package dynamodb_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"waggle/store/dynamodb"
	"waggle/swarm"
)

// fault is what a proxy does to a request.
type fault int

const (
	none     fault = iota
	throttle       // the service refuses it
	broken         // the server has an error of its own, and has not done it
	lose           // it is done, and the answer is lost
	hang           // nothing comes back
)

// proxy stands before dynalite and does to requests what a test wants.
type proxy struct {
	*httptest.Server
	gone   chan struct{} // closed at the end, for those who hang
	server string        // behind it

	mu    sync.Mutex
	fault func(operation, body string) fault
}

func newProxy(t *testing.T) *proxy {
	p := &proxy{gone: make(chan struct{})}
	p.Server = httptest.NewServer(p)
	t.Cleanup(func() { close(p.gone); p.CloseClientConnections(); p.Close() })
	return p
}

// do has requests fail from now on as a function says; nil: none does.
func (p *proxy) do(fault func(operation, body string) fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}

// all has all requests fail in a way.
func (p *proxy) all(f fault) { p.do(func(string, string) fault { return f }) }

// share has a share of requests fail in a way.
func (p *proxy) share(share float64, f fault) {
	random := rand.New(rand.NewPCG(1, 2))
	p.do(func(string, string) fault {
		if random.Float64() < share {
			return f
		}
		return none
	})
}

// countsAre has a fault befall all changes of counts.
func countsAre(f fault) func(operation, body string) fault {
	return func(operation, body string) fault {
		if operation == "UpdateItem" && strings.Contains(body, "ADD ") {
			return f
		}
		return none
	}
}

func (p *proxy) decide(operation, body string) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == nil {
		return none
	}
	return p.fault(operation, body)
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f := p.decide(operationOf(r), string(body))
	switch f {
	case throttle:
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"Rate of requests exceeds the allowed throughput."}`)
		return
	case broken:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case hang:
		select {
		case <-r.Context().Done():
		case <-p.gone:
		}
		panic(http.ErrAbortHandler)
	}
	p.forward(w, r, body, f == lose)
}

func (p *proxy) forward(w http.ResponseWriter, r *http.Request, body []byte, lose bool) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, p.server+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	out.Header = r.Header.Clone()
	answer, err := http.DefaultClient.Do(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil || lose {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(content)
}

// transport does what a function says in place of the network.
type transport func(*http.Request) (*http.Response, error)

// RoundTrip is of [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// operationOf returns what a request asks for.
func operationOf(r *http.Request) string {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return operation
}

// answer is one of the service.
func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Request: r, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
	}
}

// failure is the answer of an error that the service calls so.
func failure(r *http.Request, kind string) *http.Response {
	return answer(r, http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#`+kind+`","message":"no"}`)
}

// leaveUncounted has a tracker that reaches a table through a proxy write announces, and die
// before it counts any of them.
func leaveUncounted(t *testing.T, p *proxy, o dynamodb.Options, announces ...*swarm.Announce) {
	t.Helper()
	dying, err := dynamodb.Open(t.Context(), p.through(o))
	if err != nil {
		t.Fatal(err)
	}
	p.do(countsAre(throttle))
	for _, a := range announces {
		if err := dying.Announce(t.Context(), a, new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) {
			t.Errorf("%v", err)
		}
	}
	if err := dying.Close(); err != nil {
		t.Error(err)
	}
}

// through returns options by which a store reaches its table through a proxy.
func (p *proxy) through(o dynamodb.Options) dynamodb.Options {
	p.server, o.Endpoint = o.Endpoint, p.URL
	return o
}
