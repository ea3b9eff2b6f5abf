package attack

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
)

// Secrets that a tracker is given, each of which is a word that is nowhere else.
const (
	adminToken     = "admintokenthatnobodymaysee0123456789"
	storePassword  = "storepasswordthatnobodymaysee"
	cloudKey       = "cloudkeythatnobodymaysee"
	traceKey       = "tracekeythatnobodymaysee"
	restToken      = "resttokenthatnobodymaysee"
	restKey        = "restkeythatnobodymaysee"
	wrongToken     = "wrongtokenthatnobodymaysee0123456789"
	loginPassword  = "loginpasswordthatnobodymaysee"
	goodPasskey    = "goodpasskeythatnobodymaysee00000"
	wrongPasskey   = "wrongpasskeythatnobodymaysee0000"
	hookPassword   = "hookpasswordthatnobodymaysee"
	hookKey        = "hookkeythatnobodymaysee"
	hookSecret     = "hooksecretthatnobodymaysee"
	brokerPassword = "brokerpasswordthatnobodymaysee"
)

// secrets returns what a tracker of these tests knows and nobody may see, by what it is.
func secrets(t *testing.T, more map[string]string) map[string]string {
	t.Helper()
	all := map[string]string{
		"the admin's token": adminToken, "the password of the store": storePassword, "the key of a cloud": cloudKey, "the key of traces": traceKey,
		"the token of a source": restToken, "the key in the URL of a source": restKey, "a token that was wrong": wrongToken,
		"the password of an account": loginPassword, "a passkey": goodPasskey, "a passkey that was wrong": wrongPasskey,
		"the password of a webhook": hookPassword, "the key in the URL of a webhook": hookKey, "the secret of events": hookSecret, "the password of a NATS": brokerPassword,
	}
	for name, secret := range more {
		if len(secret) < 16 {
			t.Fatalf("%s is no secret: %q", name, secret)
		}
		all[name] = secret
	}
	return all
}

// discreet is a tracker that knows secrets of all kinds, and what it showed of itself.
type discreet struct {
	*tracker
	dir   string
	known map[string]string
	shown strings.Builder
}

// newDiscreet starts one in dir. It reaches nobody whom it tells something, which it logs.
func newDiscreet(t *testing.T) *discreet {
	t.Helper()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	issuer, good, bad := newIssuer(t)
	certificate, key, private := newCertificate(t)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "not you") // a receiver that says what it was sent says so to its own
	}))
	t.Cleanup(refusing.Close)
	settings := file("waggle.yaml", fmt.Sprintf(`
log: {level: debug}
listen: {https: ["127.0.0.1:0"]}
tls: {certificate: %s, key: %s}
torrents: {directory: .}
console: {token_file: %s}
traces: {endpoint: "http://127.0.0.1:9/", share: 1}
link: {listen: "127.0.0.1:0", addresses: ["127.0.0.1:6971"], name: hub}
access: {passkeys: optional, tokens_jwks: %s, tokens_issuer: "https://login.example", tokens_audience: waggle}
events: {secret_file: %s, every: 100ms}
locality:
  levels: [rack]
  sources:
    - rest: {url: "http://127.0.0.1:9/{ip}?key=%s", path: "{/rack}", token_file: %s}
`, file("certificate.pem", certificate), file("key.pem", key), file("admin.token", adminToken+"\n"), issuer,
		file("events.secret", hookSecret+"\n"), restKey, file("rest.token", restToken+"\n")))
	environ := []string{
		"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20" + traceKey,
		"WAGGLE_EVENTS_WEBHOOK=" + strings.Replace(refusing.URL, "http://", "http://user:"+hookPassword+"@", 1) + "/hook?key=" + hookKey,
		"WAGGLE_EVENTS_NATS=nats://user:" + brokerPassword + "@127.0.0.1:9",
	}
	d := &discreet{tracker: startTracker(t, dir, environ, "--config", settings), dir: dir}
	d.token = adminToken
	line := regexp.MustCompile(`waggle-link-1[^\s"]+`).FindString(invite(t, d.tracker))
	post(t, d.tracker, "/api/v1/accounts", `{"name": "anna", "role": "admin", "password": "`+loginPassword+`"}`)
	post(t, d.tracker, "/api/v1/passkeys", `{"passkeys": [{"name": "anna", "key": "`+goodPasskey+`"}]}`)
	d.known = secrets(t, map[string]string{"an invitation": line[max(0, len(line)-20):], "the key of a certificate": private, "a JSON Web Token": good, "one that was forged": bad})
	d.announceWithAll(t, good, bad)
	return d
}

// announceWithAll announces with credentials of each kind, good and bad, over all there is.
func (d *discreet) announceWithAll(t *testing.T, good, bad string) {
	t.Helper()
	a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1, 2, 3}, PeerID: bittorrent.PeerID{1}, Port: 6881, Left: 1, NumWant: -1}
	query := string(bittorrent.AppendHTTPAnnounce(nil, &a))
	until(t, "the keys of tokens are there", func() bool {
		_, body := get(t, d.http+"/"+goodPasskey+"/announce?"+query+"&jwt="+good, "")
		return strings.Contains(string(body), "8:interval")
	})
	for _, passkey := range []string{"", "/" + goodPasskey, "/" + wrongPasskey} {
		for _, token := range []string{"", good, bad, good[:len(good)-4] + "AAAA"} {
			for _, path := range []string{passkey + "/announce?" + query, passkey + "/scrape?" + query, passkey + "/nothing?" + query} {
				_, body := get(t, d.http+path+"&jwt="+token, "")
				fmt.Fprintf(&d.shown, "over HTTP: %s\n", body)
			}
			c := dialUDP(t, "127.0.0.2", d.udp)
			c.ask(t, bittorrent.AppendUDPAnnounce(nil, c.connection, 8, &a, passkey+"/announce?jwt="+token))
			fmt.Fprintf(&d.shown, "over UDP: %q\n", c.in)
		}
	}
}

// look shows a page to somebody.
func (d *discreet) look(t *testing.T, path, token string) {
	t.Helper()
	status, body := get(t, d.console+path, token)
	if status == http.StatusNotFound {
		t.Errorf("%s is not there any more: what is looked at must be changed", path)
	}
	fmt.Fprintf(&d.shown, "%s with a token %v: %d\n%s\n", path, token != "", status, body)
}

// keeps checks that none of the secrets is in a text, but for those that it may have.
func (d *discreet) keeps(t *testing.T, text string) {
	t.Helper()
	for name, secret := range d.known {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("%s is in:\n%s", name, text[max(0, at-300):at+len(secret)])
		}
	}
}

func TestSecretsAreInNothingThatIsWrittenOrShown(t *testing.T) {
	t.Parallel()
	d := newDiscreet(t)
	for _, token := range []string{adminToken, wrongToken, ""} {
		for _, path := range []string{
			"/metrics", "/figures", "/api/v1/figures", "/api/v1/configuration", "/api/v1/links", "/api/v1/accounts", "/api/v1/audit", "/api/v1/locality", "/api/v1/locality/127.0.0.9",
			"/api/v1/overview", "/api/v1/requests", "/api/v1/peers", "/settings", "/settings/audit", "/settings/accounts", "/links", "/about", "/login",
			"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/debug/pprof/goroutine?debug=1", "/debug/pprof/heap?debug=1",
			"/debug/pprof/allocs?debug=1", "/debug/pprof/block?debug=1", "/debug/pprof/mutex?debug=1", "/debug/pprof/threadcreate?debug=1", "/debug/pprof/trace?seconds=0.1",
		} {
			d.look(t, path, token)
		}
	}
	d.look(t, "/passkeys", "") // as a viewer; who makes passkeys sees them
	d.look(t, "/api/v1/passkeys", "")
	until(t, "it says that events are not taken", func() bool {
		return strings.Contains(d.output.String(), "not you") && strings.Contains(d.output.String(), "127.0.0.1:9")
	})
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "it reloads", func() bool { return strings.Contains(d.output.String(), "configuration reloaded") })
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d.keeps(t, d.shown.String()+string(command)+d.output.String()+refusals(t, d.dir))
	d.keepsFiles(t)
}

// keepsFiles checks that others may not read a file that has a secret, wherever it lies.
func (d *discreet) keepsFiles(t *testing.T) {
	t.Helper()
	holding := 0
	err := filepath.WalkDir(d.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for name, secret := range d.known {
			if path == filepath.Join(d.dir, "waggle.yaml") || !strings.Contains(string(text), secret) {
				continue
			}
			if holding++; info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s is in %s, which has the permissions %v", name, path, info.Mode())
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if holding < 5 {
		t.Errorf("only %d secrets lie in files: this test does not find them", holding)
	}
}

func TestTracesOfAProcessThatIsKilledHaveNoSecrets(t *testing.T) {
	t.Parallel()
	d := newDiscreet(t)
	if err := d.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if err := <-d.exited; err == nil {
		t.Error("it ends as if it had been told to stop")
	}
	d.exited <- nil // for whoever stops it
	if said := d.output.String(); !strings.Contains(said, "SIGQUIT") || strings.Count(said, "goroutine ") < 10 {
		t.Errorf("no traces of goroutines:\n%s", said)
	}
	d.keeps(t, d.output.String())
}

// newIssuer returns the URL of keys, a token that is signed by them, and one that is not.
func newIssuer(t *testing.T) (url, good, bad string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": %q}]}`, encode(public))
	}))
	t.Cleanup(server.Close)
	sign := func(key ed25519.PrivateKey) string {
		signed := encode([]byte(`{"alg":"EdDSA","kid":"a"}`)) + "." + encode(fmt.Appendf(nil, `{"iss":"https://login.example","aud":"waggle","exp":%d}`, time.Now().Add(time.Hour).Unix()))
		return signed + "." + encode(ed25519.Sign(key, []byte(signed)))
	}
	return server.URL, sign(private), sign(stranger)
}

// newCertificate returns one for loopback, with its key, in PEM, and a line of that.
func newCertificate(t *testing.T) (certificate, key, line string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(nil, &template, &template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), key, strings.Split(key, "\n")[1]
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
		"s3://bucket?region=eu-central-1&endpoint=http://127.0.0.1:1", "s3://bucket?endpoint=http://key:" + storePassword + "@127.0.0.1:1",
		"dynamodb://table?region=eu-central-1&endpoint=http://127.0.0.1:1", "dynamodb://" + storePassword + "@table?region=nowhere",
	} {
		for _, command := range [][]string{{"serve", "--listen-http", "127.0.0.1:0", "--listen-udp", "127.0.0.1:0"}, {"config", "print"}} {
			cmd := exec.CommandContext(t.Context(), waggle(t), command...)
			cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "WAGGLE_STORE=" + store, "AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=" + cloudKey, "AWS_SESSION_TOKEN=" + cloudKey}
			said, err := cmd.CombinedOutput()
			if err == nil && command[0] == "serve" {
				t.Errorf("it serves from a store that is not there: %s", said)
			}
			out.Write(said)
		}
	}
	return out.String()
}
