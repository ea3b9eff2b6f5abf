package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/acme"

	"waggle/internal/authority"
)

// unreachable is an authority that answers each request with a fault.
func unreachable(t *testing.T) (directory string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "not today", http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func TestHandshakesNeverAskTheAuthority(t *testing.T) {
	a := authority.New(t)
	directory, asked := unreachable(t)
	log := new(written)
	c, err := Open(Options{
		Pairs: []Pair{write(t, a, t.TempDir(), "one.example")},
		ACME:  ACME{Directory: directory, Hosts: []string{"Two.example"}, Cache: t.TempDir(), Agree: true},
		Log:   slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{c, log}
	for _, name := range []string{"two.example", "TWO.example", "three.example", ""} {
		if got := r.shown(t, name); got != "one.example" {
			t.Errorf("%q gets %s", name, got)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the authority is asked %d times", n)
	}
	if f := c.Figures(); f.Healthy {
		t.Error("it is healthy without the certificate of a name")
	}
	if names := c.Names(); strings.Join(names, " ") != "one.example two.example" {
		t.Errorf("names: %q", names)
	}
	if protocols := c.Config().NextProtos; protocols[len(protocols)-1] != acme.ALPNProto {
		t.Errorf("protocols: %q", protocols)
	}
}

func TestAttemptThatFailsIsToldOfAndEndsWithTheTracker(t *testing.T) {
	directory, _ := unreachable(t)
	log := new(written)
	c, err := Open(Options{ACME: ACME{Directory: directory, Hosts: []string{"one.example"}, Cache: t.TempDir(), Agree: true}, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.get(&tls.ClientHelloInfo{ServerName: "one.example"}); err == nil || !strings.Contains(err.Error(), "no certificate was issued yet") {
		t.Errorf("a handshake before: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() { c.Run(ctx) })
	until(t, "it is told of", func() bool {
		return strings.Contains(log.String(), "no certificate was issued") && strings.Contains(log.String(), "host=one.example") && c.Figures().Failures == 1
	})
	cancel()
	keeping.Wait()
}

func TestAuthoritysWordsAboutAFailedProofAreLoggedAndStillRead(t *testing.T) {
	log := new(written)
	e := newEnding(http.DefaultTransport.(*http.Transport), slog.New(slog.NewTextHandler(log, nil)))
	const proofs = `{"status":"invalid","identifier":{"type":"dns","value":"one.example"},"challenges":[
		{"type":"http-01","status":"invalid","error":{"detail":"connection refused"}}, {"type":"dns-01","status":"pending"}]}`
	for _, body := range []string{proofs, "-----BEGIN CERTIFICATE-----", "", `{"challenges":7}`, strings.Repeat(proofs, 1000)} {
		response := &http.Response{Body: io.NopCloser(strings.NewReader(body))}
		e.tell(response)
		if got, err := io.ReadAll(response.Body); err != nil || string(got) != body {
			t.Errorf("%.40q is read as %.40q, %v", body, got, err)
		}
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "host=one.example how=http-01 error=\"connection refused\"") {
		t.Errorf("log: %s", got)
	}
}

func TestACMEIsNotBegunWithAMistake(t *testing.T) {
	rubbish := filepath.Join(t.TempDir(), "rubbish.pem")
	writeFile(t, rubbish, []byte("rubbish"))
	for want, a := range map[string]ACME{
		"terms":                     {Hosts: []string{"one.example"}, Cache: t.TempDir()},
		"missing.pem":               {Hosts: []string{"one.example"}, Cache: t.TempDir(), Agree: true, Roots: "missing.pem"},
		"has no certificate in PEM": {Hosts: []string{"one.example"}, Cache: t.TempDir(), Agree: true, Roots: rubbish},
	} {
		if _, err := Open(Options{ACME: a}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestChallengesAreAnsweredForNamesOfOursAlone(t *testing.T) {
	directory, _ := unreachable(t)
	c, err := Open(Options{ACME: ACME{Directory: directory, Hosts: []string{"one.example"}, Cache: t.TempDir(), Agree: true}})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{"one.example": http.StatusNotFound, "one.example:8080": http.StatusNotFound, "two.example": http.StatusForbidden} {
		request := httptest.NewRequest(http.MethodGet, "http://"+host+"/.well-known/acme-challenge/abc", bytes.NewReader(nil))
		answer := httptest.NewRecorder()
		c.Challenges().ServeHTTP(answer, request)
		if answer.Code != want {
			t.Errorf("%s: %d, want %d", host, answer.Code, want)
		}
	}
}
