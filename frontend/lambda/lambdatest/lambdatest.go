// Package lambdatest is a Lambda for tests: the runtime API that a function's process
// asks for events (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), and a
// Function URL that makes events of requests.
//
//	server := lambdatest.New()                  // its Address is AWS_LAMBDA_RUNTIME_API
//	answer, err := server.Invoke(ctx, event)    // waits until a process has answered
//	http.Serve(listener, server.FunctionURL())  // for clients
package lambdatest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Timeout is the time limit of the function.
const Timeout = 10 * time.Second

// Server is a runtime API on a loopback address. As many processes as want may ask it;
// each has one event at a time for each of its connections. All methods may be called
// concurrently.
type Server struct {
	server  *httptest.Server
	events  chan *invocation
	waiting sync.Map // *invocation, by id
	last    atomic.Uint64
	closing chan struct{}
}

type invocation struct {
	payload []byte
	answer  chan outcome // has room for one
}

type outcome struct {
	body []byte
	err  error
}

// New returns a server that answers until Close.
func New() *Server {
	s := &Server{events: make(chan *invocation), closing: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", s.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{result}", s.result)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	mux.HandleFunc("POST /2020-01-01/extension/register", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Lambda-Extension-Identifier", "1")
	})
	mux.HandleFunc("GET /2020-01-01/extension/event/next", func(_ http.ResponseWriter, r *http.Request) { s.end(r) })
	s.server = httptest.NewServer(mux)
	return s
}

// Address is where processes find the server: host and port.
func (s *Server) Address() string { return s.server.Listener.Addr().String() }

// Close ends the server. Processes that ask it fail.
func (s *Server) Close() {
	close(s.closing)
	s.server.CloseClientConnections()
	s.server.Close()
}

func (s *Server) end(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.closing:
	}
}

func (s *Server) next(w http.ResponseWriter, r *http.Request) {
	var i *invocation
	select {
	case i = <-s.events:
	case <-s.closing:
		return
	case <-r.Context().Done():
		return
	}
	id := strconv.FormatUint(s.last.Add(1), 10)
	s.waiting.Store(id, i)
	w.Header().Set("Lambda-Runtime-Aws-Request-Id", id)
	w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(Timeout).UnixMilli(), 10))
	w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:waggle")
	_, _ = w.Write(i.payload)
}

func (s *Server) result(w http.ResponseWriter, r *http.Request) {
	found, ok := s.waiting.LoadAndDelete(r.PathValue("id"))
	body, err := io.ReadAll(r.Body)
	if !ok || err != nil {
		http.Error(w, "no such invocation", http.StatusBadRequest)
		return
	}
	got := outcome{body: body}
	if r.PathValue("result") != "response" {
		got = outcome{err: fmt.Errorf("the function failed: %s", body)}
	}
	found.(*invocation).answer <- got
	w.WriteHeader(http.StatusAccepted)
}

// ErrEnded says that the server was closed.
var ErrEnded = errors.New("the runtime API has ended")

// Invoke hands an event to a process and returns its answer. The error is what the
// process reported, that of ctx, or [ErrEnded].
func (s *Server) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	i := &invocation{payload, make(chan outcome, 1)}
	select {
	case s.events <- i:
	case <-s.closing:
		return nil, ErrEnded
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case o := <-i.answer:
		return o.body, o.err
	case <-s.closing:
		return nil, ErrEnded
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Event returns the event of a request to a Function URL (payload 2.0).
func Event(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return nil, err
	}
	headers := map[string]string{"host": r.Host, "x-forwarded-for": host, "x-forwarded-proto": "http"}
	for name, values := range r.Header {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	var cookies []string
	for _, c := range r.Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	return json.Marshal(map[string]any{
		"version": "2.0", "routeKey": "$default", "rawPath": r.URL.EscapedPath(), "rawQueryString": r.URL.RawQuery,
		"headers": headers, "cookies": cookies, "body": base64.StdEncoding.EncodeToString(body), "isBase64Encoded": true,
		"requestContext": map[string]any{
			"accountId": "anonymous", "apiId": "waggle", "domainName": r.Host, "requestId": "1", "stage": "$default",
			"http": map[string]any{"method": r.Method, "path": r.URL.Path, "protocol": r.Proto, "sourceIp": host, "userAgent": r.UserAgent()},
		},
	})
}

// WriteAnswer answers a client with what a function answered.
func WriteAnswer(w http.ResponseWriter, answer []byte) error {
	var a struct {
		StatusCode      int
		Headers         map[string]string
		Cookies         []string
		Body            string
		IsBase64Encoded bool
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return err
	}
	body := []byte(a.Body)
	if a.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(a.Body); err != nil {
			return err
		}
	}
	for name, value := range a.Headers {
		w.Header().Set(name, value)
	}
	for _, cookie := range a.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	w.WriteHeader(a.StatusCode)
	if len(body) == 0 {
		return nil
	}
	_, err := w.Write(body)
	return err
}

// FunctionURL answers clients by way of the function; 502 where that fails.
func (s *Server) FunctionURL() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, err := Event(r)
		var answer []byte
		if err == nil {
			answer, err = s.Invoke(r.Context(), event)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		if err := WriteAnswer(w, answer); err != nil {
			panic(http.ErrAbortHandler) // cuts the client off: it must not take this for an answer
		}
	})
}
