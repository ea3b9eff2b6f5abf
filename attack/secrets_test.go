package attack

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// Secrets that a tracker is given, each of which is a word that is nowhere else.
const (
	adminToken    = "admintokenthatnobodymaysee0123456789"
	storePassword = "storepasswordthatnobodymaysee"
	traceKey      = "tracekeythatnobodymaysee"
	restToken     = "resttokenthatnobodymaysee"
	wrongToken    = "wrongtokenthatnobodymaysee0123456789"
	loginPassword = "loginpasswordthatnobodymaysee"
)

func TestSecretsAreInNothingThatIsWrittenOrShown(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	settings := file("waggle.yaml", fmt.Sprintf(`
log: {level: debug}
torrents: {directory: .}
console: {token_file: %s}
traces: {endpoint: "http://127.0.0.1:9/", share: 1}
link: {listen: "127.0.0.1:0", addresses: ["127.0.0.1:6971"], name: hub}
locality:
  levels: [rack]
  sources:
    - rest: {url: "http://127.0.0.1:9/{ip}", path: "{/rack}", token_file: %s}
`, file("admin.token", adminToken+"\n"), file("rest.token", restToken+"\n")))
	environ := []string{"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20" + traceKey}
	tr := startTracker(t, dir, environ, "--config", settings)

	tr.token = adminToken
	var shown strings.Builder
	look := func(path, token string) {
		t.Helper()
		status, body := get(t, tr.console+path, token)
		if status == http.StatusNotFound {
			t.Errorf("%s is not there any more: what is looked at must be changed", path)
		}
		fmt.Fprintf(&shown, "%s with a token %v: %d\n%s\n", path, token != "", status, body)
	}
	line := invite(t, tr)
	post(t, tr, "/api/v1/accounts", `{"name": "anna", "role": "admin", "password": "`+loginPassword+`"}`)
	for _, token := range []string{adminToken, wrongToken, ""} {
		for _, path := range []string{
			"/metrics", "/api/v1/configuration", "/api/v1/links", "/api/v1/accounts", "/api/v1/audit", "/api/v1/locality", "/api/v1/locality/127.0.0.9",
			"/api/v1/overview", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1", "/settings", "/settings/audit",
		} {
			look(path, token)
		}
	}
	wantServed(t, tr) // and locates, and traces, in vain
	if err := tr.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "it reloads", func() bool { return strings.Contains(tr.output.String(), "configuration reloaded") })
	if err := tr.stop(); err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimPrefix(regexp.MustCompile(`waggle-link-1[^\s"]+`).FindString(line), "waggle-link-1")
	if len(secret) < 20 {
		t.Fatalf("no invitation in %q", line)
	}
	everything := shown.String() + tr.output.String() + refusals(t, dir)
	for name, secret := range map[string]string{
		"the admin's token": adminToken, "the password of the store": storePassword, "the key of traces": traceKey,
		"the token of a source": restToken, "a token that was wrong": wrongToken, "the password of an account": loginPassword, "an invitation": secret[len(secret)-20:],
	} {
		if at := strings.Index(everything, secret); at >= 0 {
			t.Errorf("%s is in:\n%s", name, everything[max(0, at-300):at+len(secret)])
		}
	}
}

// invite returns what the API says of a new invitation.
func invite(t *testing.T, tr *tracker) string {
	t.Helper()
	return post(t, tr, "/api/v1/links/invitations", `{"name": "leaf", "rights": {"receive": true, "send": true}}`)
}

func post(t *testing.T, tr *tracker, path, body string) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, tr.console+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+tr.token)
	request.Header.Set("Content-Type", "application/json")
	status, answer := do(t, request)
	if status != http.StatusCreated {
		t.Fatalf("%s: %d %s", path, status, answer)
	}
	return string(answer)
}

// refusals returns what waggle says as it does not start, and as it prints its
// configuration.
func refusals(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	for _, store := range []string{
		"redis://:" + storePassword + "@127.0.0.1:1/0", "redis://user:" + storePassword + "@127.0.0.1:1/notanumber",
		"redis://:" + storePassword + "@", "redis:://user:" + storePassword + "@127.0.0.1", "redis//:" + storePassword + "@127.0.0.1",
	} {
		for _, command := range [][]string{{"serve", "--listen-http", "127.0.0.1:0", "--listen-udp", "127.0.0.1:0"}, {"config", "print"}} {
			cmd := exec.CommandContext(t.Context(), waggle(t), command...)
			cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "WAGGLE_STORE=" + store}
			said, err := cmd.CombinedOutput()
			if err == nil && command[0] == "serve" {
				t.Errorf("it serves from a store that is not there: %s", said)
			}
			out.Write(said)
		}
	}
	return out.String()
}
