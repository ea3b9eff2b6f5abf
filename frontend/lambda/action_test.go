package lambda_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/frontend/lambda"
)

// platform is OpenWhisk, as it speaks to one action over loopback.
type platform struct {
	url            string
	stdout, stderr stream
	environment    map[string]string // that the action was opened with
	opened         int
	fault          error // of opening
}

// stream is a stream of the container.
type stream struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// marks returns how many activations have ended there, and forgets them.
func (s *stream) marks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := strings.Count(s.text.String(), "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n")
	s.text.Reset()
	return n
}

func startAction(t *testing.T, o lambda.Options) *platform {
	t.Helper()
	p := new(platform)
	action := lambda.NewAction(lambda.ActionOptions{
		Open: func(ctx context.Context, environment map[string]string) (*lambda.Front, error) {
			p.environment = environment
			p.opened++
			return lambda.New(o), errors.Join(p.fault, ctx.Err())
		},
		Stdout: &p.stdout, Stderr: &p.stderr,
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.url = "http://" + l.Addr().String()
	server := lambda.ActionServer(action)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return p
}

// post returns the status and the answer, and checks that both streams are marked.
func (p *platform) post(t *testing.T, path, body string) (status int, got map[string]any) {
	t.Helper()
	response, err := http.Post(p.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatalf("%s is answered %s: %v", path, answer, err)
	}
	if out, err := p.stdout.marks(), p.stderr.marks(); out != 1 || err != 1 {
		t.Errorf("%d and %d marks on the streams", out, err)
	}
	return response.StatusCode, got
}

const initiation = `{"value":{"name":"waggle","main":"main","code":"","binary":false,"env":{"WAGGLE_STORE":"memory:","NUMBER":7}}}`

// startedAction is one that was initialised.
func startedAction(t *testing.T, o lambda.Options) *platform {
	t.Helper()
	p := startAction(t, o)
	if status, got := p.post(t, "/init", initiation); status != http.StatusOK {
		t.Fatalf("/init: %d %v", status, got)
	}
	return p
}

func TestActionIsInitialisedOnceBeforeItRuns(t *testing.T) {
	p := startAction(t, lambda.Options{Handler: &heard{}})
	if status, got := p.post(t, "/run", string(read(t, "openwhisk.json"))); status != http.StatusForbidden || got["error"] == nil {
		t.Errorf("/run before /init: %d %v", status, got)
	}
	for _, body := range []string{"", "{", "[]", "{}", `{"value":null}`, `{"value":{"env":[]}}`} {
		if status, got := p.post(t, "/init", body); status != http.StatusBadRequest || got["error"] == nil {
			t.Errorf("/init with %s: %d %v", body, status, got)
		}
	}
	p.fault = errors.New("no such table")
	if status, got := p.post(t, "/init", initiation); status != http.StatusBadGateway || !strings.Contains(got["error"].(string), "no such table") {
		t.Errorf("/init without a store: %d %v", status, got)
	}
	p.fault = nil
	if status, _ := p.post(t, "/init", initiation); status != http.StatusOK || p.environment["WAGGLE_STORE"] != "memory:" || p.environment["NUMBER"] != "7" {
		t.Errorf("/init: %d, %v", status, p.environment)
	}
	if status, got := p.post(t, "/init", initiation); status != http.StatusForbidden || got["error"] == nil || p.opened != 2 {
		t.Errorf("/init once more: %d %v", status, got)
	}
	if status, _ := p.post(t, "/run", string(read(t, "openwhisk.json"))); status != http.StatusOK {
		t.Errorf("/run: %d", status)
	}
}

func TestAnnounceArrivesByteByByteFromOpenWhisk(t *testing.T) {
	h := heard{answer: binary}
	p := startedAction(t, lambda.Options{Handler: &h})
	status, got := p.post(t, "/run", string(read(t, "openwhisk.json")))
	checkAnnounce(t, h.request)
	if forwarded := h.request.Header.Get("X-Forwarded-For"); forwarded != "198.51.100.1" {
		t.Errorf("before the last proxy: %q", forwarded)
	}
	if until, ok := h.request.Context().Deadline(); !ok || until.Unix() != 4102444800 {
		t.Errorf("the deadline is %v", until)
	}
	headers := got["headers"].(map[string]any)
	if status != http.StatusOK || got["statusCode"] != 202.0 || got["body"] != "/wB4" || headers["Content-Type"].([]any)[0] != "application/octet-stream" || len(headers["Set-Cookie"].([]any)) != 2 {
		t.Errorf("%d %v", status, got)
	}
}

// activation is one of a web request with a query and headers.
func activation(query, headers, body string) string {
	return `{"value":{"__ow_method":"post","__ow_path":"/announce","__ow_query":"` + query + `","__ow_headers":{` + headers + `},"__ow_body":"` + body + `"}}`
}

func TestInfoHashThatOpenWhiskReplacedIsRefusedInWords(t *testing.T) {
	var h heard
	p := startedAction(t, lambda.Options{Handler: &h})
	_, got := p.post(t, "/run", activation("port=1&info_hash=%ef%bf%bdabc", "", ""))
	if h.request != nil || got["statusCode"] != 200.0 || !strings.HasPrefix(got["body"].(string), "d14:failure reason") {
		t.Errorf("%v", got)
	}
	hash := "abcdefghijklmnopqrst"
	p.post(t, "/run", activation("info_hash="+hash, `"x-forwarded-for":"1.2.3.4"`, ""))
	if hashes, err := bittorrent.AppendHTTPScrapeHashes(nil, h.request.URL.RawQuery, 1); err != nil || string(hashes[0][:]) != hash || h.request.RemoteAddr != "1.2.3.4:0" {
		t.Errorf("an info hash that is a text: %q, %v", hashes, err)
	}
}

func TestBodyOfAnActivationIsDecodedWhereItIsEncoded(t *testing.T) {
	var h heard
	p := startedAction(t, lambda.Options{Handler: &h})
	for _, test := range []struct{ media, body, want string }{
		{"application/json", base64.StdEncoding.EncodeToString([]byte(`{"a":1}`)), `{"a":1}`},
		{"application/x-bittorrent", "/wB4", "\xff\x00x"},
		{"text/plain", "abcd", "abcd"},
		{"application/x-www-form-urlencoded", "csrf=1&a=b", "csrf=1&a=b"},
		{"application/xml", "<a/>", "<a/>"},
		{"", "", ""},
	} {
		p.post(t, "/run", activation("", `"content-type":"`+test.media+`"`, test.body))
		if string(h.body) != test.want || h.request.Method != http.MethodPost {
			t.Errorf("%s: %q", test.media, h.body)
		}
	}
}

func TestAnswerIsOfTheShapeThatOpenWhiskTakes(t *testing.T) {
	for _, test := range []struct{ media, body, wantMedia, wantBody string }{
		{"text/html; charset=utf-8", "<p>ü", "text/html; charset=utf-8", "<p>ü"},
		{"application/json", `{"a":1}`, "application/json", `{"a":1}`},
		{"application/problem+json", "{}", "application/problem+json", "e30="},
		{"application/x-bittorrent", "d1:a0:e", "application/x-bittorrent", "ZDE6YTA6ZQ=="},
		{"text/plain", "\xff", "application/octet-stream", "/w=="},
		{"image/svg+xml", "<svg/>", "image/svg+xml", "PHN2Zy8+"},
	} {
		p := startedAction(t, lambda.Options{Handler: &heard{answer: func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", test.media)
			_, _ = io.WriteString(w, test.body)
		}}})
		_, got := p.post(t, "/run", activation("", "", ""))
		if media := got["headers"].(map[string]any)["Content-Type"].([]any)[0]; got["body"] != test.wantBody || media != test.wantMedia || got["statusCode"] != 200.0 {
			t.Errorf("%s: %v", test.media, got)
		}
	}
}

func TestTextThatJSONMakesLongerThanOpenWhiskTakesIsSaidToBeTooLarge(t *testing.T) {
	for text, want := range map[string]float64{"<p>&amp;</p>\n": http.StatusOK, "\n": http.StatusInsufficientStorage} {
		p := startedAction(t, lambda.Options{Handler: &heard{answer: page("text/html", text, 700<<10)}})
		_, got := p.post(t, "/run", activation("", "", ""))
		whole := got["body"] == strings.Repeat(text, (700<<10)/len(text))
		if got["statusCode"] != want || whole != (want == http.StatusOK) {
			t.Errorf("%q: %v, whole: %t", text, got["statusCode"], whole)
		}
	}
}

func TestTriggerForgetsSilentPeersAndARequestCannot(t *testing.T) {
	var h heard
	tidied := 0
	p := startedAction(t, lambda.Options{Handler: &h, Tidy: func(context.Context) (int, error) {
		tidied++
		return 3, nil
	}})
	if status, got := p.post(t, "/run", `{"value":{"detail-type":"Scheduled Event"},"deadline":`+"4102444800000"+`}`); status != http.StatusOK || got["forgotten"] != 3.0 || tidied != 1 {
		t.Errorf("%d %v", status, got)
	}
	p.post(t, "/run", `{"value":{"detail-type":"Scheduled Event","__ow_method":"get","__ow_query":"","__ow_path":"/announce"}}`)
	if h.request == nil || tidied != 1 {
		t.Error("a request was taken for the trigger")
	}
}

func TestActivationThatIsNoneIsAnErrorInWords(t *testing.T) {
	p := startedAction(t, lambda.Options{Handler: &heard{}})
	for _, body := range []string{"", "{", "null", "[]", "{}", `{"value":7}`, `{"value":{}}`, `{"value":{"__ow_method":"get","name":"of no raw action"}}`, `{"deadline":"soon"}`} {
		if status, got := p.post(t, "/run", body); status != http.StatusBadRequest || got["error"] == nil {
			t.Errorf("%s: %d %v", body, status, got)
		}
	}
	if status, got := p.post(t, "/run", `{"value":{"__ow_body":"`+strings.Repeat("a", 7<<20)+`"}}`); status != http.StatusRequestEntityTooLarge || got["error"] == nil {
		t.Errorf("7 MB: %d %v", status, got)
	}
	if status, got := p.post(t, "/run", `{"value":{"detail-type":"Scheduled Event"}}`); status != http.StatusBadGateway || got["error"] == nil {
		t.Errorf("nothing to do: %d %v", status, got)
	}
}

func TestActivationPastItsDeadlineIsTold(t *testing.T) {
	h := heard{answer: func(http.ResponseWriter) {}}
	p := startedAction(t, lambda.Options{Handler: &h})
	p.post(t, "/run", strings.Replace(activation("", "", ""), `{"value"`, `{"deadline":"1000","value"`, 1))
	if !errors.Is(h.request.Context().Err(), context.DeadlineExceeded) {
		t.Errorf("%v after %v", h.request.Context().Err(), time.UnixMilli(1000))
	}
}
