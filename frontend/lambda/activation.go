package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// activation is what the platform sends to /run.
type activation struct {
	Value struct {
		Method  string            `json:"__ow_method"`
		Path    string            `json:"__ow_path"`
		Query   *string           `json:"__ow_query"`
		Headers map[string]string `json:"__ow_headers"`
		Body    string            `json:"__ow_body"`

		DetailType string `json:"detail-type"` // of a trigger that means the schedule
	} `json:"value"`
	Deadline json.Number `json:"deadline"` // milliseconds since 1970, as number or text
}

// Faults of activations, for whoever created the action.
var (
	errNoActivation = errors.New("this is no activation of OpenWhisk, which has the parameters in value")
	errNotWeb       = errors.New(`this is no request of a raw web action (wsk action create waggle --web raw), ` +
		`and no trigger with the parameter "detail-type": "Scheduled Event"`)
)

func parseActivation(payload []byte) (*activation, error) {
	a := new(activation)
	if err := json.Unmarshal(payload, a); err != nil {
		return nil, fmt.Errorf("%w (%w)", errNoActivation, err)
	}
	if a.isSchedule() || a.Value.Method != "" && a.Value.Query != nil {
		return a, nil
	}
	return nil, errNotWeb
}

// isSchedule reports whether a trigger fired, and nobody made a request: those always
// have a method, which nobody can take from them.
func (a *activation) isSchedule() bool {
	return a.Value.Method == "" && a.Value.DetailType == "Scheduled Event"
}

// until returns ctx with the deadline of the activation, if it has one.
func (a *activation) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ms, err := a.Deadline.Int64()
	if err != nil || ms <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, time.UnixMilli(ms))
}

// request returns the request of an activation. The error is errMangled.
func (a *activation) request(ctx context.Context) (*http.Request, error) {
	v := &a.Value
	p := parts{method: strings.ToUpper(v.Method), path: v.Path, query: *v.Query, header: http.Header{}}
	for name, value := range v.Headers {
		p.header.Add(name, value)
	}
	if query, ok := sentQuery(p.header); ok {
		p.query = query
	} else if isReplaced(p.query) {
		return nil, errMangled
	}
	p.from = takeLastHop(p.header)
	p.body = bodyOf(v.Body, p.header.Get("Content-Type"))
	return p.request(ctx), nil
}

// sentQuery returns the query as it was sent, of the first header that has the target
// of the request as it was sent: what proxies are told to set, and Akka HTTP sets where
// raw-request-uri-header is on.
func sentQuery(h http.Header) (query string, ok bool) {
	for _, name := range []string{"X-Forwarded-Uri", "X-Original-Uri", "Raw-Request-Uri"} {
		if target := h.Get(name); target != "" {
			_, query, _ = strings.Cut(target, "?")
			return query, true
		}
	}
	return "", false
}

// replaced is U+FFFD, escaped.
const replaced = "%EF%BF%BD"

// isReplaced reports whether bytes of an id were replaced.
func isReplaced(query string) bool {
	for parameter := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		if slices.Contains(ids, name) && strings.Contains(strings.ToUpper(value), replaced) {
			return true
		}
	}
	return false
}

// bodyOf returns a body. It came as base64 where its type is one of bytes, or JSON;
// nothing says so, and which types are of bytes the platform knows.
func bodyOf(text, contentType string) []byte {
	media, _, _ := mime.ParseMediaType(contentType)
	if strings.HasPrefix(media, "text/") || media == "application/x-www-form-urlencoded" {
		return []byte(text)
	}
	if body, err := base64.StdEncoding.Strict().DecodeString(text); err == nil {
		return body
	}
	return []byte(text)
}

// result is what the platform makes the answer of.
type result struct {
	StatusCode int                 `json:"statusCode"`
	Headers    map[string][]string `json:"headers"`
	Body       string              `json:"body"`
}

// result returns the answer for the platform, which takes a body for base64 where the
// type is one of bytes, and sends it as it is where it is one of text.
func (a *answer) result() *result {
	if isTextType(a.header.Get("Content-Type")) {
		switch {
		case utf8.Valid(a.body):
			if !a.fitsAsText() {
				a.refuseLarge()
			}
			return &result{a.status, a.header, string(a.body)}
		case len(a.body) > 0: // a bencoded answer
			a.header.Set("Content-Type", "application/octet-stream")
		}
	}
	return &result{a.status, a.header, base64.StdEncoding.EncodeToString(a.body)}
}

// isTextType reports whether Akka HTTP takes a media type for one of text: those that
// it knows as such, and unknown ones with a charset.
func isTextType(contentType string) bool {
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	switch media {
	case "application/json", "application/javascript", "application/xml", "application/atom+xml":
		return true
	}
	return strings.HasPrefix(media, "text/") || parameters["charset"] != ""
}
