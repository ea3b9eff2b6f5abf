package lambda

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bytes of a body that sources let through as base64. Lambda takes 6 MB of JSON from a
// function; a load balancer and OpenWhisk (as it is set up by default) take 1 MB.
const (
	maxBody         = 4400 << 10
	maxBalancerBody = 700 << 10
	maxActionBody   = 700 << 10
)

// errLarge is what a handler is told that writes more.
var errLarge = errors.New("the answer is larger than Lambda lets through")

// answer keeps what a handler answers. It is an [http.ResponseWriter].
type answer struct {
	header http.Header
	status int // 0: none yet
	body   []byte
	limit  int // of body, in bytes
	large  bool
}

func newAnswer(limit int) *answer { return &answer{header: http.Header{}, limit: limit} }

// Header is of [http.ResponseWriter].
func (a *answer) Header() http.Header { return a.header }

// WriteHeader is of [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

// Write is of [http.ResponseWriter].
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.large || len(a.body)+len(p) > a.limit {
		a.large = true
		return 0, errLarge
	}
	a.body = append(a.body, p...)
	return len(p), nil
}

// replace answers with a text instead.
func (a *answer) replace(status int, text string) {
	a.header = http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	a.status, a.body, a.large = status, []byte(text+"\n"), false
}

// refuseLarge says that the answer does not get through.
func (a *answer) refuseLarge() {
	a.replace(http.StatusInsufficientStorage, "this answer has more than the "+strconv.Itoa(a.limit)+
		" bytes that get through here: ask for less at a time")
}

// end settles what a server on a socket would.
func (a *answer) end(method string) {
	if a.large {
		a.refuseLarge()
	}
	a.WriteHeader(http.StatusOK)
	if a.header.Get("Content-Type") == "" && len(a.body) > 0 {
		a.header.Set("Content-Type", http.DetectContentType(a.body))
	}
	if method == http.MethodHead {
		a.body = nil
	}
	for _, name := range []string{"Connection", "Content-Length", "Transfer-Encoding"} {
		a.header.Del(name) // of the connection, which is not ours
	}
}

// text returns the body as it stands in JSON: as it is where that is text, and gets
// through as such, else as base64.
func (a *answer) text() (body string, isBase64 bool) {
	if utf8.Valid(a.body) && a.fitsAsText() {
		return string(a.body), false
	}
	return base64.StdEncoding.EncodeToString(a.body), true
}

// fitsAsText reports whether the body, a text, takes no more of JSON than the longest
// one takes as base64: quotes and control characters grow.
func (a *answer) fitsAsText() bool {
	return mostInJSON(a.body) <= base64.StdEncoding.EncodedLen(a.limit)
}

// mostInJSON returns how many bytes a text takes of what marshal makes, at most.
func mostInJSON(text []byte) (n int) {
	for _, c := range text {
		switch {
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t':
			n += 2
		case c < ' ':
			n += 6
		case c == 0xe2: // begins U+2028 and U+2029, of which three bytes become six
			n += 4
		default:
			n++
		}
	}
	return n
}

// marshal is json.Marshal, but that <, > and & stay what they are. Six bytes for each
// would take more of what sources let through than a page has.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return out.Bytes(), err
}

// single returns the headers with one value each. Cookies cannot be joined.
func single(h http.Header) map[string]string {
	headers := make(map[string]string, len(h))
	for name, values := range h {
		if name == setCookie {
			headers[name] = values[0]
		} else {
			headers[name] = strings.Join(values, ", ")
		}
	}
	return headers
}

const setCookie = "Set-Cookie"

// answerEvent is what a source takes for an answer.
type answerEvent struct {
	StatusCode        int                 `json:"statusCode"`
	StatusDescription string              `json:"statusDescription,omitempty"` // load balancer
	Headers           map[string]string   `json:"headers,omitempty"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders,omitempty"` // payload 1.0, load balancer with lists
	Cookies           []string            `json:"cookies,omitempty"`           // payload 2.0
	Body              string              `json:"body"`
	IsBase64Encoded   bool                `json:"isBase64Encoded"`
}

// event returns the answer for a source.
func (a *answer) event(k kind) *answerEvent {
	e := &answerEvent{StatusCode: a.status}
	e.Body, e.IsBase64Encoded = a.text()
	switch k {
	case payload2:
		e.Cookies = a.header[setCookie]
		a.header.Del(setCookie)
		e.Headers = single(a.header)
	case payload1, balancerLists:
		e.MultiValueHeaders = a.header
	default:
		e.Headers = single(a.header)
	}
	if k == balancer || k == balancerLists {
		e.StatusDescription = strings.TrimSpace(strconv.Itoa(a.status) + " " + http.StatusText(a.status))
	}
	return e
}
