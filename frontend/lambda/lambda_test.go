package lambda_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/frontend/lambda"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// read returns an event of testdata.
func read(t testing.TB, name string) []byte {
	t.Helper()
	event, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return event
}

// heard keeps the last request, and answers it.
type heard struct {
	request *http.Request
	body    []byte
	answer  func(http.ResponseWriter)
}

func (h *heard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.request = r
	h.body, _ = io.ReadAll(r.Body)
	if h.answer != nil {
		h.answer(w)
	}
}

// invoke returns the answer to an event.
func invoke(t *testing.T, h http.Handler, event string) map[string]any {
	t.Helper()
	answer, err := lambda.New(lambda.Options{Handler: h}).Invoke(t.Context(), []byte(event))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	return got
}

var (
	infoHash = bittorrent.InfoHash([]byte("\xff\xfe\x80\x00\x01\xc3(abcdefghijk\xf0\x9f"))
	peerID   = bittorrent.PeerID([]byte("-XX0000-\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xf4"))
)

func TestAnnounceArrivesByteByByteFromEverySource(t *testing.T) {
	for _, name := range []string{"function-url.json", "http-api-2.0.json", "rest-api.json", "balancer.json", "balancer-lists.json"} {
		t.Run(name, func(t *testing.T) {
			var h heard
			invoke(t, &h, string(read(t, name)))
			checkAnnounce(t, h.request)
		})
	}
}

// checkAnnounce checks what the events of testdata say.
func checkAnnounce(t *testing.T, r *http.Request) {
	t.Helper()
	if r == nil {
		t.Fatal("nothing arrived")
	}
	var a bittorrent.AnnounceRequest
	if err := bittorrent.ParseHTTPAnnounce(r.URL.RawQuery, &a); err != nil {
		t.Fatalf("%v: %s", err, r.URL.RawQuery)
	}
	if a.InfoHash != infoHash || a.PeerID != peerID || a.Port != 6881 || a.Left != 0 {
		t.Errorf("%+v", a)
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || from.Addr() != netip.MustParseAddr("203.0.113.7") {
		t.Errorf("it comes from %s", r.RemoteAddr)
	}
	if r.Method != http.MethodGet || r.URL.Path != "/announce" || r.Host == "" || !r.ProtoAtLeast(1, 1) {
		t.Errorf("%s %s of %s", r.Method, r.URL, r.Host)
	}
	if r.Header.Get("Via") == "" {
		t.Error("it passes for a request of this machine")
	}
	if https := r.Header.Get("X-Forwarded-Proto") == "https"; https != (r.TLS != nil) {
		t.Errorf("it came over TLS: %t", r.TLS != nil)
	}
}

func TestLoadBalancerLeavesWhatProxiesBeforeItSaid(t *testing.T) {
	for _, name := range []string{"balancer.json", "balancer-lists.json"} {
		var h heard
		invoke(t, &h, string(read(t, name)))
		if got := h.request.Header.Values("X-Forwarded-For"); !slices.Equal(got, []string{"198.51.100.1"}) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// payload1 is an event of a REST API whose gateway has decoded the info hash to a text.
func payload1(hash string) string {
	text, _ := json.Marshal(hash)
	return fmt.Sprintf(`{"httpMethod":"GET","path":"/announce","queryStringParameters":{"info_hash":%s},"requestContext":{"identity":{"sourceIp":"203.0.113.7"}}}`, text)
}

func TestDecodedInfoHashIsKnownAgainWhateverItsBytes(t *testing.T) {
	for _, hash := range []string{
		"abcdefghijklmnopqrst", "a&b=c+d e%f#g/h?i;j,k", "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13",
		strings.Repeat("é", 10), strings.Repeat("🐝", 5), strings.Repeat("\u00c3\u00a9", 5),
		strings.Repeat("\u00ff", 20), "é" + strings.Repeat("x", 18), // 19 characters are 20 bytes
	} {
		if len(hash) > 20 && hash != strings.Repeat("\u00ff", 20) {
			hash = hash[:20]
		}
		want := []byte(hash)
		if len(hash) == 40 { // each byte has become a character
			want = []byte(strings.Repeat("\xff", 20))
		}
		var h heard
		invoke(t, &h, payload1(hash))
		hashes, err := bittorrent.AppendHTTPScrapeHashes(nil, h.request.URL.RawQuery, 1)
		if err != nil || string(hashes[0][:]) != string(want) {
			t.Errorf("%q became %q, %v", hash, hashes, err)
		}
	}
}

func TestInfoHashThatTheGatewayReplacedIsRefusedInWords(t *testing.T) {
	var h heard
	got := invoke(t, &h, payload1("\ufffd\ufffd\ufffdabc"))
	if h.request != nil {
		t.Errorf("it was handed on: %s", h.request.URL)
	}
	if body := got["body"].(string); got["statusCode"] != 200.0 || !strings.HasPrefix(body, "d14:failure reason") || !strings.Contains(body, "Function URL") {
		t.Errorf("%v", got)
	}
}

func TestScrapeOfSeveralTorrentsKeepsAll(t *testing.T) {
	for _, event := range []string{
		`{"httpMethod":"GET","path":"/scrape","multiValueHeaders":{},"multiValueQueryStringParameters":{"info_hash":["%ffbcdefghijklmnopqrst","%febcdefghijklmnopqrst"]},"requestContext":{"elb":{}}}`,
		`{"httpMethod":"GET","path":"/scrape","multiValueQueryStringParameters":{"info_hash":["\u00ffbcdefghijklmnopqrs\u00fe","bbcdefghijklmnopqrst"]},"requestContext":{"identity":{}}}`,
		`{"rawPath":"/scrape","rawQueryString":"info_hash=%ffbcdefghijklmnopqrst&info_hash=%febcdefghijklmnopqrst","requestContext":{"http":{"method":"GET"}}}`,
	} {
		var h heard
		invoke(t, &h, event)
		if hashes, err := bittorrent.AppendHTTPScrapeHashes(nil, h.request.URL.RawQuery, 5); err != nil || len(hashes) != 2 {
			t.Errorf("%s: %q, %v", event, hashes, err)
		}
	}
}

func TestQueryThatWasNotDecodedStaysOneQuery(t *testing.T) {
	var h heard
	invoke(t, &h, `{"httpMethod":"GET","path":"/announce","queryStringParameters":{"a b":"c&d#e ü","f":""},"requestContext":{"elb":{}}}`)
	if got, want := h.request.URL.RawQuery, "a%20b=c%26d%23e%20%C3%BC&f="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDecodedTextStaysText(t *testing.T) {
	const search = "Müller & Söhne: löß?" // 20 characters below 256, as an id might be
	text, _ := json.Marshal(search)
	var h heard
	invoke(t, &h, fmt.Sprintf(`{"httpMethod":"GET","path":"/torrents","queryStringParameters":{"q":%s},"requestContext":{"identity":{}}}`, text))
	if got := h.request.URL.Query().Get("q"); got != search {
		t.Errorf("%q became %q, of %s", search, got, h.request.URL.RawQuery)
	}
}

func TestAddressThatCannotBeReadIsNobodys(t *testing.T) {
	for from, want := range map[string]string{
		"": "", "unknown": "", "1.2.3": "", "::ffff:1.2.3.4": "1.2.3.4:0", "2001:db8::1": "[2001:db8::1]:0", "[2001:db8::1]:80": "[2001:db8::1]:0",
		"fe80::1%eth0": "[fe80::1]:0", "1.2.3.4:5": "1.2.3.4:0",
	} {
		var h heard
		invoke(t, &h, `{"requestContext":{"http":{"method":"GET","sourceIp":"`+from+`"}}}`)
		if h.request.RemoteAddr != want {
			t.Errorf("%q became %q, want %q", from, h.request.RemoteAddr, want)
		}
		invoke(t, &h, `{"httpMethod":"GET","path":"/","headers":{"x-forwarded-for":"1.1.1.1, `+from+`"},"requestContext":{"elb":{}}}`)
		if h.request.RemoteAddr != want {
			t.Errorf("of a load balancer %q became %q, want %q", from, h.request.RemoteAddr, want)
		}
	}
}

func TestRequestHasBodyCookiesAndPathOfItsEvent(t *testing.T) {
	var h heard
	invoke(t, &h, `{"rawPath":"/api/v1/torrents/a%20b.torrent","requestContext":{"http":{"method":"POST","sourceIp":"1.2.3.4"},"stage":"$default","domainName":"d.example"},
		"headers":{"content-type":"application/x-bittorrent"},"cookies":["a=1","b=2"],"body":"`+base64.StdEncoding.EncodeToString([]byte("\xff\x00"))+`","isBase64Encoded":true}`)
	r := h.request
	if string(h.body) != "\xff\x00" || r.ContentLength != 2 || r.Header.Get("Content-Type") != "application/x-bittorrent" {
		t.Errorf("body %q of %d bytes, %v", h.body, r.ContentLength, r.Header)
	}
	if r.Header.Get("Cookie") != "a=1; b=2" || r.URL.Path != "/api/v1/torrents/a b.torrent" || r.Host != "d.example" || r.Method != http.MethodPost {
		t.Errorf("%s %s of %s, %v", r.Method, r.URL.Path, r.Host, r.Header)
	}
	invoke(t, &h, `{"httpMethod":"PUT","path":"","body":"text","requestContext":{"stage":"prod","identity":{}},"headers":{"Host":"h.example"}}`)
	if r := h.request; string(h.body) != "text" || r.URL.Path != "/" || r.Host != "h.example" || r.RequestURI != "/" {
		t.Errorf("%q, %s of %s", h.body, r.URL.Path, r.Host)
	}
	for path, want := range map[string]string{"/prod/announce": "/announce", "/prod": "/", "/production": "/production", "/%zz": "/%zz"} {
		invoke(t, &h, `{"httpMethod":"GET","path":"`+path+`","requestContext":{"stage":"prod"}}`)
		if h.request.URL.Path != want {
			t.Errorf("%s became %s, want %s", path, h.request.URL.Path, want)
		}
	}
}

// binary answers bytes that are no text, with two cookies.
func binary(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", "3")
	w.Header().Set("Connection", "close")
	w.Header().Add("Set-Cookie", "a=1")
	w.Header().Add("Set-Cookie", "b=2")
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write([]byte("\xff\x00x"))
}

func TestAnswerIsOfTheShapeThatItsSourceTakes(t *testing.T) {
	const bytes = "/wB4"
	front := lambda.New(lambda.Options{Handler: &heard{answer: binary}})
	answer := func(name string, into any) {
		t.Helper()
		got, err := front.Invoke(t.Context(), read(t, name))
		if err == nil {
			err = json.Unmarshal(got, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var url events.LambdaFunctionURLResponse
	answer("function-url.json", &url)
	if url.StatusCode != 202 || !url.IsBase64Encoded || url.Body != bytes || !slices.Equal(url.Cookies, []string{"a=1", "b=2"}) || len(url.Headers) != 1 || url.Headers["Content-Type"] != "text/plain" {
		t.Errorf("Function URL: %+v", url)
	}
	var rest events.APIGatewayProxyResponse
	answer("rest-api.json", &rest)
	if rest.StatusCode != 202 || !rest.IsBase64Encoded || rest.Body != bytes || !slices.Equal(rest.MultiValueHeaders["Set-Cookie"], []string{"a=1", "b=2"}) || len(rest.Headers) != 0 {
		t.Errorf("REST API: %+v", rest)
	}
	var single, lists events.ALBTargetGroupResponse
	answer("balancer.json", &single)
	if single.StatusCode != 202 || single.StatusDescription != "202 Accepted" || !single.IsBase64Encoded || single.Body != bytes || single.Headers["Set-Cookie"] != "a=1" || single.MultiValueHeaders != nil {
		t.Errorf("load balancer: %+v", single)
	}
	answer("balancer-lists.json", &lists)
	if lists.StatusDescription != "202 Accepted" || lists.Body != bytes || !slices.Equal(lists.MultiValueHeaders["Set-Cookie"], []string{"a=1", "b=2"}) || lists.Headers != nil {
		t.Errorf("load balancer with lists: %+v", lists)
	}
}

func TestAnswerIsWhatAServerOnASocketWouldSend(t *testing.T) {
	const get = `{"rawPath":"/","requestContext":{"http":{"method":"GET"}}}`
	for _, test := range []struct {
		event  string
		answer func(http.ResponseWriter)
		status float64
		body   string
		media  any
	}{
		{get, nil, 200, "", nil},
		{get, func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>ü")) }, 200, "<html>ü", "text/html; charset=utf-8"},
		{get, func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
			w.WriteHeader(http.StatusOK)
		}, 404, "", nil},
		{strings.Replace(get, "GET", "HEAD", 1), func(w http.ResponseWriter) { _, _ = w.Write([]byte("text")) }, 200, "", "text/plain; charset=utf-8"},
		{get, func(http.ResponseWriter) { panic("a fault") }, 500, "the tracker made a mistake; its log tells the operator more\n", "text/plain; charset=utf-8"},
	} {
		got := invoke(t, &heard{answer: test.answer}, test.event)
		headers, _ := got["headers"].(map[string]any)
		if got["statusCode"] != test.status || got["body"] != test.body || headers["Content-Type"] != test.media {
			t.Errorf("%v, want %v %q %v", got, test.status, test.body, test.media)
		}
	}
}

func TestAnswerThatDoesNotGetThroughIsSaidToBeTooLarge(t *testing.T) {
	var wrote error
	much := func(n int) *heard {
		return &heard{answer: func(w http.ResponseWriter) {
			for range n {
				if _, wrote = w.Write(make([]byte, 100<<10)); wrote != nil {
					return
				}
			}
		}}
	}
	if got := invoke(t, much(40), `{"requestContext":{"http":{"method":"GET"}}}`); got["statusCode"] != 200.0 || wrote != nil {
		t.Errorf("4 MB: %v, %v", got["statusCode"], wrote)
	}
	for _, event := range []string{`{"requestContext":{"http":{"method":"GET"}}}`, `{"httpMethod":"GET","requestContext":{"elb":{}}}`} {
		got := invoke(t, much(50), event)
		if got["statusCode"] != 507.0 || wrote == nil || !strings.Contains(got["body"].(string), "ask for less") {
			t.Errorf("%v %v, %v", got["statusCode"], got["body"], wrote)
		}
	}
	if got := invoke(t, much(8), `{"httpMethod":"GET","requestContext":{"elb":{}}}`); got["statusCode"] != 507.0 {
		t.Errorf("a load balancer got 800 KB: %v", got["statusCode"])
	}
}

// page answers so many bytes of a text, of a type.
func page(media, text string, bytes int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", media)
		_, _ = io.WriteString(w, strings.Repeat(text, bytes/len(text)))
	}
}

func TestTextThatJSONMakesLongerGetsThrough(t *testing.T) {
	for _, text := range []string{"<p>&amp;</p>", `{"a":""},`, "\n\"", "\x01", "\u2028"} {
		for source, event := range map[string]struct {
			text        string
			bytes, most int
		}{
			"Function URL":  {`{"requestContext":{"http":{"method":"GET"}}}`, 4400 << 10, 6 << 20},
			"load balancer": {`{"httpMethod":"GET","requestContext":{"elb":{}}}`, 700 << 10, 1 << 20},
		} {
			answer, err := lambda.New(lambda.Options{Handler: &heard{answer: page("text/html", text, event.bytes)}}).Invoke(t.Context(), []byte(event.text))
			if err != nil {
				t.Fatal(err)
			}
			var got events.ALBTargetGroupResponse // of which the others have the same fields
			if err := json.Unmarshal(answer, &got); err != nil {
				t.Fatal(err)
			}
			body := []byte(got.Body)
			if got.IsBase64Encoded {
				body, err = base64.StdEncoding.DecodeString(got.Body)
			}
			if err != nil || got.StatusCode != http.StatusOK || len(body) < event.bytes-len(text) || !strings.HasPrefix(string(body), text) {
				t.Errorf("%s, %q: status %d, %d bytes, %v", source, text, got.StatusCode, len(body), err)
			}
			if len(answer) > event.most {
				t.Errorf("%s, %q: the event has %d bytes, and %d get through", source, text, len(answer), event.most)
			}
		}
	}
}

func TestScheduledEventForgetsSilentPeers(t *testing.T) {
	var called int
	var fault error
	front := lambda.New(lambda.Options{Tidy: func(context.Context) (int, error) {
		called++
		return 7, fault
	}})
	for _, name := range []string{"schedule.json", "scheduler.json"} {
		if got, err := front.Invoke(t.Context(), read(t, name)); err != nil || string(got) != `{"forgotten":7}` {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	fault = errors.New("the table is gone")
	if got, err := front.Invoke(t.Context(), read(t, "schedule.json")); !errors.Is(err, fault) || got != nil || called != 3 {
		t.Errorf("%s, %v, called %d times", got, err, called)
	}
	if _, err := lambda.New(lambda.Options{}).Invoke(t.Context(), read(t, "schedule.json")); err == nil {
		t.Error("without anything to do, it was answered")
	}
}

func TestEventThatIsNoneIsAnErrorInWords(t *testing.T) {
	front := lambda.New(lambda.Options{Handler: &heard{}})
	for _, event := range []string{
		"", "{", "null", "[]", "7", `"text"`, `{}`, `{"Records":[{"eventSource":"aws:sqs"}]}`, `{"detail-type":"EC2 Instance State-change Notification"}`,
		`{"httpMethod":7}`, `{"requestContext":{"http":{}}}`, `{"requestContext":[]}`, `{"version":"2.0","rawPath":"/"}`,
		strings.Repeat(`{"a":`, 20_000), `{"requestContext":{"http":{"method":"GET"}},"body":"%","isBase64Encoded":true}`,
		`{"requestContext":{"eventType":"CONNECT","connectionId":"L0SM9cOFvHcCIhw="}}`,
		`{"body":"` + strings.Repeat("a", 7<<20) + `"}`,
	} {
		if got, err := front.Invoke(t.Context(), []byte(event)); err == nil || got != nil || !strings.Contains(err.Error(), "event") {
			t.Errorf("%.60s: %s, %v", event, got, err)
		}
	}
}

func TestCloseWaitsForWhatIsUnderWay(t *testing.T) {
	arrived, leave := make(chan struct{}), make(chan struct{})
	front := lambda.New(lambda.Options{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-leave
	})})
	answered := make(chan error, 1)
	go func() {
		_, err := front.Invoke(context.Background(), read(t, "function-url.json"))
		answered <- err
	}()
	<-arrived
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if err := front.Close(late); !errors.Is(err, context.Canceled) {
		t.Errorf("it did not wait: %v", err)
	}
	if _, err := front.Invoke(t.Context(), read(t, "function-url.json")); !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("an event after Close: %v", err)
	}
	close(leave)
	if err := errors.Join(<-answered, front.Close(t.Context())); err != nil {
		t.Error(err)
	}
}
