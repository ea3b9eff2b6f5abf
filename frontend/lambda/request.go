package lambda

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// parts are what a request is made of, wherever it came from.
type parts struct {
	method string
	path   string // as it was sent
	query  string // what follows the question mark
	header http.Header
	host   string     // where the header Host is missing
	from   netip.Addr // invalid: nobody knows
	body   []byte
}

// request returns the request of an event. The error is errMangled, or one of the
// event.
func (e *event) request(ctx context.Context, k kind) (*http.Request, error) {
	body, err := e.body()
	if err != nil {
		return nil, err
	}
	p := parts{method: e.HTTPMethod, path: e.Path, header: e.header(), host: e.RequestContext.DomainName, body: body}
	switch k {
	case payload2:
		p.method, p.path, p.query = e.RequestContext.HTTP.Method, withoutStage(e.RawPath, e.RequestContext.Stage), e.RawQueryString
		p.from = address(e.RequestContext.HTTP.SourceIP)
	case payload1:
		if p.query, err = encoded(e.MultiValueQueryStringParameters, e.QueryStringParameters); err != nil {
			return nil, err
		}
		p.path = withoutStage(p.path, e.RequestContext.Stage)
		p.from = address(e.RequestContext.Identity.SourceIP)
	default:
		p.query = joined(e.MultiValueQueryStringParameters, e.QueryStringParameters)
		p.from = takeLastHop(p.header)
	}
	return p.request(ctx), nil
}

// header returns the headers of an event, of which lists have all, where there are lists.
func (e *event) header() http.Header {
	h := http.Header{}
	for name, values := range e.MultiValueHeaders {
		for _, value := range values {
			h.Add(name, value)
		}
	}
	if len(e.MultiValueHeaders) == 0 {
		for name, value := range e.Headers {
			h.Add(name, value)
		}
	}
	if len(e.Cookies) > 0 {
		h.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	return h
}

// withoutStage cuts off the stage that the address of an API begins with, where it is
// not the default one.
func withoutStage(path, stage string) string {
	if stage == "" || stage == "$default" {
		return path
	}
	if rest, ok := strings.CutPrefix(path, "/"+stage); ok && (rest == "" || rest[0] == '/') {
		return rest
	}
	return path
}

func (p *parts) request(ctx context.Context) *http.Request {
	if !strings.HasPrefix(p.path, "/") {
		p.path = "/" + p.path
	}
	u := &url.URL{Path: p.path, RawQuery: p.query}
	if decoded, err := url.PathUnescape(p.path); err == nil {
		u.Path, u.RawPath = decoded, p.path
	}
	host := p.header.Get("Host")
	if host == "" {
		host = p.host
	}
	p.header.Del("Host") // as net/http has it
	p.header.Add("Via", "1.1 lambda")
	r := &http.Request{
		Method: p.method, URL: u, Host: host, Header: p.header, RequestURI: u.RequestURI(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: http.NoBody, ContentLength: int64(len(p.body)),
	}
	if len(p.body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(p.body))
	}
	if p.from.IsValid() {
		r.RemoteAddr = netip.AddrPortFrom(p.from, 0).String()
	}
	if strings.EqualFold(p.header.Get("X-Forwarded-Proto"), "https") {
		r.TLS = new(tls.ConnectionState)
	}
	return r.WithContext(ctx)
}

// address reads an address as platforms write it, with a port or without. It is invalid
// where there is none.
func address(text string) netip.Addr {
	text = strings.TrimSpace(text)
	if ip, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return ip.Unmap().WithZone("")
	}
	withPort, _ := netip.ParseAddrPort(text)
	return withPort.Addr().Unmap().WithZone("")
}

const forwardedFor = "X-Forwarded-For"

// takeLastHop returns who the last proxy heard, and leaves in X-Forwarded-For what was
// there before.
func takeLastHop(h http.Header) netip.Addr {
	all := strings.Join(h.Values(forwardedFor), ",")
	before, last := "", all
	if i := strings.LastIndexByte(all, ','); i >= 0 {
		before, last = all[:i], all[i+1:]
	}
	h.Del(forwardedFor)
	if before != "" {
		h.Set(forwardedFor, before)
	}
	return address(last)
}
