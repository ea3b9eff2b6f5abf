package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Within returns a client of the API of this process: its requests are answered by a
// handler, which is the API's, and never leave the process. They carry the context that
// a method is called with, and so who asks. The handler runs on the goroutine of the
// caller; what it panics with, the caller gets.
func Within(h http.Handler) *Client {
	base := &url.URL{Scheme: "http", Host: "localhost", Path: "/api/v1"}
	return &Client{base: base, http: http.Client{Transport: within{h}}}
}

// within answers requests by a handler.
type within struct{ handler http.Handler }

func (t within) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	asked := r.Clone(r.Context())
	asked.RequestURI, asked.Host = r.URL.RequestURI(), r.URL.Host
	// A client may leave out a body; a handler always has one.
	if asked.Body == nil {
		asked.Body = http.NoBody
	}
	w := &answered{header: http.Header{}}
	t.handler.ServeHTTP(w, asked)
	_ = asked.Body.Close() // bytes in memory
	if w.tooLarge {
		return nil, fmt.Errorf("%s: its answer has more than %d MiB", r.URL.Path, maxAnswer>>20)
	}
	w.WriteHeader(http.StatusOK)
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// answered is what a handler writes, up to maxAnswer bytes.
type answered struct {
	header   http.Header
	sent     http.Header // the header as it was when the status was written
	status   int
	body     bytes.Buffer
	tooLarge bool
}

var errTooLarge = errors.New("the answer is too large")

func (w *answered) Header() http.Header { return w.header }

func (w *answered) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *answered) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.body.Len()+len(b) > maxAnswer {
		w.tooLarge = true
		return 0, errTooLarge
	}
	return w.body.Write(b)
}

// SetReadDeadline and SetWriteDeadline have no effect: nobody waits for a network here,
// and whoever asks has deadlines of its own.
func (*answered) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline has no effect: see SetReadDeadline.
func (*answered) SetWriteDeadline(time.Time) error { return nil }
