package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"waggle/bittorrent"
	"waggle/config"
	"waggle/frontend/lambda/lambdatest"
	"waggle/store/memory"
	"waggle/tracker"
)

// functionFlags are those of a command that serves events, none of them given.
func functionFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("lambda", pflag.ContinueOnError)
	config.AddFlags(flags)
	return flags
}

// startFunction opens a function with settings. Without WAGGLE_STORE its store is memory.
func startFunction(t *testing.T, settings ...string) *function {
	t.Helper()
	if !slices.ContainsFunc(settings, func(s string) bool { return strings.HasPrefix(s, "WAGGLE_STORE=") }) {
		settings = append(settings, "WAGGLE_STORE=memory:")
	}
	log := new(syncBuffer)
	f, err := openFunction(t.Context(), functionFlags(), settings, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.closeInTime(10 * time.Second); err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(log.String()) {
			if !json.Valid([]byte(line)) {
				t.Errorf("the log is no JSON: %s", line)
			}
		}
	})
	return f
}

// ask returns what a function answers to a request that comes from elsewhere.
func (f *function) ask(t *testing.T, method, target string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "https://example.lambda-url.us-east-1.on.aws"+target, nil)
	r.RemoteAddr = "203.0.113.7:1"
	if change != nil {
		change(r)
	}
	event, err := lambdatest.Event(r)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := f.front.Invoke(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := lambdatest.WriteAnswer(w, answer); err != nil {
		t.Fatal(err)
	}
	return w
}

// withToken makes a request one of who has a token.
func withToken(secret string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secret) }
}

const functionAnnounce = "/announce?info_hash=%ff%fe%80%00%01%c3%28abcdefghijk%f0%9f&peer_id=-XX0000-%ff%fe%fd%fc%fb%fa%f9%f8%f7%f6%f5%f4&left=0&compact=1&port=1"

func TestFunctionAnswersAnnouncesAndScrapes(t *testing.T) {
	f := startFunction(t)
	f.ask(t, "GET", functionAnnounce, func(r *http.Request) { r.RemoteAddr = "198.51.100.1:1" })
	if got := f.ask(t, "GET", strings.NewReplacer("left=0", "left=1", "-XX0000-", "-YY0000-").Replace(functionAnnounce), nil); !bytes.Contains(got.Body.Bytes(), []byte("5:peers6:\xc6\x33\x64\x01\x00\x01")) {
		t.Errorf("a leecher is answered %q", got.Body)
	}
	if got := f.ask(t, "GET", "/scrape?info_hash=%ff%fe%80%00%01%c3%28abcdefghijk%f0%9f", nil); !strings.Contains(got.Body.String(), "8:completei1e") {
		t.Errorf("a scrape is answered %q", got.Body)
	}
	if got := f.ask(t, "GET", "/health", nil); got.Body.String() != "ok\n" {
		t.Errorf("health is %q", got.Body)
	}
	if n := len(f.udp.Addrs()) + len(f.http.Addrs()); n != 0 {
		t.Errorf("%d sockets are open", n)
	}
}

func TestFunctionShowsStrangersThePublicPagesAndNothingOfTheConsole(t *testing.T) {
	f := startFunction(t, "WAGGLE_CONSOLE_PUBLIC=true")
	if got := f.ask(t, "GET", "/", nil); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), "<html") || !strings.Contains(got.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("the home page is %d %.200s", got.Code, got.Body)
	}
	for _, path := range []string{"/api/v1/transfers", "/figures", "/debug/pprof/heap", "/api/v1/configuration"} {
		for name, change := range map[string]func(*http.Request){
			"a stranger":                         nil,
			"who says to be of this machine":     func(r *http.Request) { r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1" },
			"who has a token that is not known":  func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") },
			"who says that no proxy is in front": func(r *http.Request) { r.RemoteAddr = "127.0.0.1:1"; r.Header.Set("X-Forwarded-For", "127.0.0.1") },
		} {
			if got := f.ask(t, "GET", path, change); got.Code != http.StatusForbidden && got.Code != http.StatusUnauthorized {
				t.Errorf("%s, %s: %d %.200s", path, name, got.Code, got.Body)
			}
		}
	}
}

func TestFunctionHasTheConsoleForWhoHasACredential(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	const secret = "0123456789abcdef0123456789abcdef"
	if err := os.WriteFile(token, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := startFunction(t, "WAGGLE_CONSOLE_PUBLIC=true", "WAGGLE_CONSOLE_TOKEN_FILE="+token)
	f.ask(t, "GET", functionAnnounce, nil)
	as := withToken(secret)
	if got := f.ask(t, "GET", "/api/v1/swarms", as); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), "fffe800001c328") {
		t.Errorf("swarms: %d %s", got.Code, got.Body)
	}
	if got := f.ask(t, "GET", "/api/v1/overview", as); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `"peers"`) {
		t.Errorf("overview: %d %s", got.Code, got.Body)
	}
	if got := f.ask(t, "GET", "/", as); strings.Contains(got.Header().Get("Content-Security-Policy"), "default-src 'none'; style-src") || got.Code != http.StatusOK {
		t.Errorf("the overview's page: %d %.200s", got.Code, got.Body)
	}
	if got := f.ask(t, "GET", "/api/v1/overview", nil); got.Code != http.StatusUnauthorized {
		t.Errorf("a stranger gets the overview: %d", got.Code)
	}
	if got := f.ask(t, "GET", "/live?page=/", as); got.Code != http.StatusNoContent {
		t.Errorf("a stream: %d", got.Code)
	}
	if got := f.ask(t, "GET", "/metrics", as); got.Code != http.StatusNotFound || !strings.Contains(got.Body.String(), "environments") {
		t.Errorf("metrics: %d %s", got.Code, got.Body)
	}
}

func TestFunctionWithoutPagesSaysWhatItIs(t *testing.T) {
	f := startFunction(t, "WAGGLE_LISTEN_CONSOLE=off")
	if got := f.ask(t, "GET", "/", nil); got.Code != http.StatusNotFound || !strings.Contains(got.Body.String(), "BitTorrent tracker") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

func TestFunctionWhoseConsoleCannotBeOpenedStillTracks(t *testing.T) {
	f := startFunction(t, "WAGGLE_CONSOLE_TOKEN_FILE="+filepath.Join(t.TempDir(), "none"))
	if got := f.ask(t, "GET", "/", nil); got.Code != http.StatusServiceUnavailable {
		t.Errorf("the console: %d %s", got.Code, got.Body)
	}
	if got := f.ask(t, "GET", functionAnnounce, nil); !strings.Contains(got.Body.String(), "8:completei1e") {
		t.Errorf("an announce is answered %q", got.Body)
	}
}

func TestConsoleThatCouldNotBeOpenedIsOpenedLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	f := startFunction(t, "WAGGLE_CONSOLE_TOKEN_FILE="+path)
	c := &lateConsole{f: f}
	if c.opened() != nil || f.accounts != nil || f.timeline != nil {
		t.Fatalf("it is open without its token: accounts %v, timeline %v", f.accounts, f.timeline)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("0123456789abcdef", 2)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c.opened() != nil {
		t.Error("it is opened again at each request")
	}
	c.next = time.Now() // that time has passed
	if c.opened() == nil {
		t.Error("it stays closed for good")
	}
}

// failing is a store that fails, and not because it is busy.
type failing struct{ *memory.Store }

func (failing) Scrape(context.Context, []bittorrent.InfoHash, []bittorrent.ScrapeCounts) error {
	return errors.New("no right to read")
}

func TestFunctionLogsWhatItsStoreFailedAtOnceAMinute(t *testing.T) {
	log := new(bytes.Buffer)
	tr := tracker.New(failing{memory.New(memory.Options{})}, tracker.Settings{}, tracker.Options{})
	f := &function{service: &service{tracker: tr, log: slog.New(slog.NewJSONHandler(log, nil))}}
	fails := f.settled(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = tr.Scrape(r.Context(), []bittorrent.InfoHash{{1}}, make([]bittorrent.ScrapeCounts, 1)) // which is counted
	}))
	works := f.settled(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	request := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	if works.ServeHTTP(nil, request); log.Len() > 0 {
		t.Errorf("nothing failed, and it says %s", log)
	}
	for range 3 {
		fails.ServeHTTP(nil, request)
	}
	if n := strings.Count(log.String(), "no right to read"); n != 1 {
		t.Errorf("%d lines, want 1:\n%s", n, log)
	}
}

func TestFunctionSendsTracesBeforeItAnswers(t *testing.T) {
	c := newCollector(t)
	f := startFunction(t, "WAGGLE_LOCALITY_SOURCES=rest: "+rackService(t), "WAGGLE_TRACES_ENDPOINT="+c.URL, "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20hush")
	for range 2 { // of which the first alone leaves the machine
		if got := f.ask(t, "GET", functionAnnounce, nil); !strings.Contains(got.Body.String(), "8:completei1e") {
			t.Errorf("an announce is answered %q", got.Body)
		}
		c.mu.Lock()
		if got := strings.Join(c.names, ", "); got != "ask rest, locate, announce" || !slices.Equal(c.tokens, []string{"Bearer hush"}) {
			t.Errorf("when it is answered, there are the spans %q, with %q", got, c.tokens)
		}
		c.mu.Unlock()
	}
}

func TestFunctionAnswersWhereNobodyTakesItsTraces(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	f := startFunction(t, "WAGGLE_LOCALITY_SOURCES=rest: "+rackService(t), "WAGGLE_TRACES_ENDPOINT="+gone.URL)
	began := time.Now()
	for _, address := range []string{"203.0.113.1:1", "203.0.113.2:1", "203.0.113.3:1"} {
		if got := f.ask(t, "GET", functionAnnounce, func(r *http.Request) { r.RemoteAddr = address }); !strings.HasPrefix(got.Body.String(), "d8:complete") {
			t.Errorf("an announce is answered %q", got.Body)
		}
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("three announces took %v", took)
	}
}

func TestFunctionRefusesHeadersOfTracesThatItCannotRead(t *testing.T) {
	environ := []string{"WAGGLE_STORE=memory:", "WAGGLE_TRACES_ENDPOINT=http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_HEADERS=hush"}
	if _, err := openFunction(t.Context(), functionFlags(), environ, new(syncBuffer)); err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_HEADERS") || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
}

func TestFunctionRefusesAStoreThatIsAFile(t *testing.T) {
	for _, environ := range [][]string{nil, {"WAGGLE_STORE=sqlite:///tmp/waggle.db"}} {
		_, err := openFunction(t.Context(), functionFlags(), environ, new(syncBuffer))
		if err == nil || !strings.Contains(err.Error(), "WAGGLE_STORE") {
			t.Errorf("%q: %v", environ, err)
		}
	}
}

func TestLambdaOutsideOfLambdaSaysWhatToDo(t *testing.T) {
	t.Setenv(runtimeAPI, "")
	err := serveLambda(t.Context(), functionFlags(), nil, new(syncBuffer))
	if exitCode(err) != exitUsage || !strings.Contains(err.Error(), "waggle serve") {
		t.Errorf("%v", err)
	}
}
