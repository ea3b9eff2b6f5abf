package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/frontend/lambda/lambdatest"
)

// startFunction starts waggle as Lambda does: without a command, with settings in its
// environment. When the test ends, it has to stop within the time that Lambda gives.
func startFunction(t testing.TB, api *lambdatest.Server, settings ...string) *process {
	t.Helper()
	enter := slices.Concat([]string{"env", "AWS_LAMBDA_RUNTIME_API=" + api.Address(), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256"}, settings)
	p := start(t, host{enter: enter}, "waggle", waggle(t))
	t.Cleanup(func() {
		began := time.Now()
		if err := p.stop(); err != nil {
			t.Errorf("waggle after SIGTERM: %v; want exit status 0", err)
		}
		if took := time.Since(began); took > 20*time.Second { // half a second, and a busy machine
			t.Errorf("waggle took %v to stop", took)
		}
		for _, line := range p.stderr.lines() {
			if !json.Valid([]byte(line)) {
				t.Errorf("waggle logs what is no JSON: %s", line)
			}
		}
	})
	return p
}

// serveFunction starts a function with a Function URL, and its store in memory unless a
// setting says otherwise.
func serveFunction(t *testing.T, settings ...string) (*lambdatest.Server, *tracker) {
	t.Helper()
	api := lambdatest.New()
	t.Cleanup(api.Close)
	url := httptest.NewServer(api.FunctionURL())
	t.Cleanup(url.Close)
	p := startFunction(t, api, append([]string{"WAGGLE_STORE=memory:"}, settings...)...)
	return api, &tracker{process: p, urls: []string{url.URL + "/announce"}, http: http.Client{Timeout: patience}}
}

func TestLibtorrentTransfersThroughAFunction(t *testing.T) {
	t.Parallel()
	_, tr := serveFunction(t)
	processes := transfer{
		tracker:  tr,
		announce: tr.urls[0],
		create:   mktorrent,
		seeder:   placed{startLibtorrent, loopback4},
		fetchers: []placed{{startLibtorrent, loopback4}},
	}.run(t)
	for _, p := range processes {
		checkTrackerReplies(t, p, tr.urls[0])
	}
}

// functionQuery is that of an announce of a peer whose id and info hash are no UTF-8.
func functionQuery(port int) string {
	return "/announce?info_hash=%ff%fe%80%00%01%c3%28abcdefghijk%f0%9f&peer_id=-XX0000-%ff%fe%fd%fc%fb%fa%f9%f8%f7%f6%f5%f4&left=1&compact=1&port=" + fmt.Sprint(port)
}

func TestScheduledEventForgetsSilentPeers(t *testing.T) {
	t.Parallel()
	api, tr := serveFunction(t, "WAGGLE_ANNOUNCE_INTERVAL=1s", "WAGGLE_ANNOUNCE_MIN_INTERVAL=1s", "WAGGLE_ANNOUNCE_PEER_LIFETIME=2s")
	for port := range 3 {
		if _, err := tr.get(functionQuery(1000 + port)); err != nil {
			t.Fatal(err)
		}
	}
	const event = `{"version":"0","id":"53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa","detail-type":"Scheduled Event","source":"aws.events","account":"123456789012",` +
		`"time":"2015-10-08T16:53:06Z","region":"us-east-1","resources":["arn:aws:events:us-east-1:123456789012:rule/MyScheduledRule"],"detail":{}}`
	forgotten := 0
	eventually(t, patience, "the silent peers are forgotten", func() error {
		answer, err := api.Invoke(t.Context(), []byte(event))
		if err != nil {
			return fatal{err}
		}
		var got struct{ Forgotten int }
		if err := json.Unmarshal(answer, &got); err != nil {
			return fatal{err}
		}
		if forgotten += got.Forgotten; forgotten < 3 {
			return fmt.Errorf("%d were forgotten", forgotten)
		}
		return nil
	})
	if body, err := tr.get(functionQuery(1)); err != nil || !strings.Contains(body, "10:incompletei1e") {
		t.Errorf("afterwards an announce is answered %q, %v", body, err)
	}
}

func TestFunctionAnswersAfterEventsThatAreNone(t *testing.T) {
	t.Parallel()
	api, tr := serveFunction(t)
	for _, event := range []string{
		"", "{", "null", "[]", `{"Records":[{"eventSource":"aws:s3"}]}`, `{"detail-type":"EC2 Instance State-change Notification"}`,
		`{"httpMethod":7}`, strings.Repeat("[", 100_000), `{"body":"` + strings.Repeat("a", 6<<20) + `"}`,
	} {
		if answer, err := api.Invoke(t.Context(), []byte(event)); err == nil || !strings.Contains(err.Error(), "event") {
			t.Errorf("%.40q is answered %.200q, %v", event, answer, err)
		}
	}
	if body, err := tr.get(functionQuery(1)); err != nil || !strings.HasPrefix(body, "d8:complete") {
		t.Errorf("afterwards an announce is answered %q, %v", body, err)
	}
	if body, err := tr.get("/health"); err != nil || body != "ok\n" {
		t.Errorf("health is %q, %v", body, err)
	}
}
