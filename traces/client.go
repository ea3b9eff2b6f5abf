package traces

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// path is where a receiver takes traces (OTLP specification, OTLP/HTTP request).
const path = "/v1/traces"

const (
	maxHeader = 64 << 10 // bytes of the header of an answer
	maxAnswer = 64 << 10 // bytes of an answer that are read, so that its connection can be kept
)

// client posts spans. It is an otlptrace.Client: the library's own, otlptracehttp, brings
// gRPC along, and prints headers that it cannot read (docs/decisions/0018-traces.md).
type client struct {
	http    *http.Client
	url     string
	headers http.Header
}

// newClient makes a client of a receiver. It fails on an endpoint that is no URL.
func newClient(endpoint string, headers http.Header) (*client, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("traces: the endpoint is no URL such as http://127.0.0.1:4318")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 1
	transport.MaxResponseHeaderBytes = maxHeader
	return &client{
		url:     strings.TrimRight(endpoint, "/") + path,
		headers: headers,
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the headers are for this receiver alone
		}},
	}, nil
}

// Start is of otlptrace.Client.
func (c *client) Start(context.Context) error { return nil }

// Stop is of otlptrace.Client.
func (c *client) Stop(context.Context) error { return nil }

// UploadTraces posts spans, and waits until the receiver has them, or ctx ends.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// It has the bytes of the ExportTraceServiceRequest that the specification wants, whose
	// package brings gRPC along.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if c.headers != nil {
		request.Header = c.headers.Clone()
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s answers %d %s%s", c.url, response.StatusCode, http.StatusText(response.StatusCode), remedy(response.StatusCode))
	}
	return nil
}

// remedy is what to do about a status.
func remedy(status int) string {
	switch {
	case status == http.StatusNotFound || status/100 == 3:
		return "; correct traces.endpoint"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "; correct the headers in OTEL_EXPORTER_OTLP_HEADERS"
	}
	return ""
}

func (c *client) close() { c.http.CloseIdleConnections() }
