package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/config"
	"waggle/internal/authority"
	"waggle/store/memory"
	"waggle/swarm"
)

func TestHealthAsksTheTrackerThatRuns(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	for _, scheme := range []string{"http", "udp"} {
		if out, _, err := output(t.Context(), newHealthCommand(), s.url(t, scheme), "--timeout", "2m"); out != "ok\n" || err != nil {
			t.Errorf("%s: %q, %v", scheme, out, err)
		}
	}
	address := s.url(t, "http")[len("http://") : len(s.url(t, "http"))-len("/announce")]
	if out, _, err := output(t.Context(), newHealthCommand(), "--listen-http", address, "--live", "--timeout", "2m"); out != "ok\n" || err != nil {
		t.Errorf("by the address that is set: %q, %v", out, err)
	}
}

// TestHealthIsAskedOverTLSWherePlainHTTPIsTurnedOff asks a tracker by its address, for which it has no certificate, and
// by its name.
func TestHealthIsAskedOverTLSWherePlainHTTPIsTurnedOff(t *testing.T) {
	a, folder := authority.New(t), t.TempDir()
	certificate, key := a.Write(t, folder, "localhost")
	ca := filepath.Join(folder, "ca.pem")
	if err := os.WriteFile(ca, a.Certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, "--store", "memory:", "--listen-https", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key)
	named := strings.TrimSuffix(s.url(t, "https"), "/announce")
	address := strings.Replace(strings.TrimPrefix(named, "https://"), "localhost", "127.0.0.1", 1)
	if out, _, err := output(t.Context(), newHealthCommand(), "--listen-http", "", "--listen-https", address, "--tls-certificate", certificate, "--tls-key", key, "--timeout", "2m"); out != "ok\n" || err != nil {
		t.Errorf("by the address that is set: %q, %v", out, err)
	}
	_, _, err := output(t.Context(), newHealthCommand(), named, "--timeout", "2m")
	if err == nil || !strings.Contains(err.Error(), "--ca-file") {
		t.Errorf("nobody vouches for it: %v", err)
	}
	if out, _, err := output(t.Context(), newHealthCommand(), named, "--timeout", "2m", "--ca-file", ca); out != "ok\n" || err != nil {
		t.Errorf("by its name: %q, %v", out, err)
	}
	if _, _, err := output(t.Context(), newHealthCommand(), named, "--ca-file", key); err == nil || !strings.Contains(err.Error(), "has no certificate in PEM") {
		t.Errorf("a file of something else: %v", err)
	}
}

func TestHealthFailsWhereTheStoreIsAwayUnlessAskedForLifeAlone(t *testing.T) {
	tracker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			http.Error(w, "unavailable: redis is away", http.StatusServiceUnavailable)
		}
	}))
	defer tracker.Close()
	_, _, err := output(t.Context(), newHealthCommand(), tracker.URL, "--timeout", "2m")
	if err == nil || !strings.HasSuffix(err.Error(), "503 Service Unavailable: unavailable: redis is away") || exitCode(err) != exitFailed {
		t.Errorf("%v", err)
	}
	if _, _, err := output(t.Context(), newHealthCommand(), tracker.URL, "--timeout", "2m", "--live"); err != nil {
		t.Errorf("alive: %v", err)
	}
}

// TestHealthWaitsUntilTheTrackerIsWell counts seconds that nobody waits for.
func TestHealthWaitsUntilTheTrackerIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		starting := func(context.Context) (string, error) {
			if time.Since(start) < 5*time.Second {
				return "", errors.New("connection refused")
			}
			return "ok", nil
		}
		if said, err := askUntilWell(t.Context(), 10*time.Second, starting); said != "ok" || err != nil {
			t.Errorf("%q, %v", said, err)
		}
		if waited := time.Since(start); waited < 5*time.Second || waited > 6*time.Second {
			t.Errorf("it was well after 5 s, and found so after %v", waited)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		start, asked := time.Now(), 0
		unwell := func(ctx context.Context) (string, error) {
			asked++
			if asked < 3 {
				return "", errors.New("connection refused")
			}
			<-ctx.Done()
			return "", ctx.Err()
		}
		if _, err := askUntilWell(t.Context(), 10*time.Second, unwell); err == nil || err.Error() != "connection refused" {
			t.Errorf("%v", err)
		}
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("it was asked for %v", waited)
		}
	})
}

// Who has waited for a tracker asks its console next.
func TestTrackerIsNotWellBeforeAllOfItListens(t *testing.T) {
	s := &service{store: memory.New(memory.Options{})}
	if err := s.ready(); !errors.Is(err, swarm.ErrBusy) {
		t.Errorf("while it opens: %v", err)
	}
	s.listens.Store(true)
	if err := s.ready(); err != nil {
		t.Error(err)
	}
}

func TestHealthThatDoesNotWaitAsksOnce(t *testing.T) {
	asked := 0
	_, err := askUntilWell(t.Context(), 0, func(context.Context) (string, error) {
		asked++
		return "", errors.New("connection refused")
	})
	if err == nil || asked != 1 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	if _, _, err := output(t.Context(), newHealthCommand(), "--wait", "-1s"); !errors.As(err, new(usageError)) {
		t.Errorf("%v", err)
	}
}

func TestHealthFollowsNobodyElsewhere(t *testing.T) {
	tracker := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	defer tracker.Close()
	if _, _, err := output(t.Context(), newHealthCommand(), tracker.URL, "--timeout", "2m"); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("%v", err)
	}
}

// TestHealthOfATrackerThatIsSilentEnds asks one that reads and does not answer.
func TestHealthOfATrackerThatIsSilentEnds(t *testing.T) {
	deaf, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = deaf.Close() }()
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	for _, target := range []string{"udp://" + deaf.LocalAddr().String(), "http://" + held.Addr().String()} {
		_, _, err := output(t.Context(), newHealthCommand(), target, "--timeout", "50ms")
		if err == nil || err.Error() != target+": no answer in time" {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestHealthKeepsPasskeysOutOfItsErrors(t *testing.T) {
	_, _, err := output(t.Context(), newHealthCommand(), "http://user:word@127.0.0.1:1/secret/announce?key=secret")
	if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "word") {
		t.Errorf("%v", err)
	}
}

func TestHealthAsksWhereServeListens(t *testing.T) {
	for _, test := range []struct {
		http, https, udp string
		want             string
	}{
		{":6969", ":443", ":6969", "http://127.0.0.1:6969"},
		{"0.0.0.0:80", "", "", "http://127.0.0.1:80"},
		{"[::]:80", "", "", "http://[::1]:80"},
		{"192.0.2.1:80", "", "", "http://192.0.2.1:80"},
		{"", ":443", ":6969", "https://127.0.0.1:443"},
		{"", "", "[2001:db8::1]:6969", "udp://[2001:db8::1]:6969"},
	} {
		var l config.Listen
		if test.http != "" {
			l.HTTP = []config.Address{config.Address(test.http)}
		}
		if test.https != "" {
			l.HTTPS = []config.Address{config.Address(test.https)}
		}
		if test.udp != "" {
			l.UDP = []config.Address{config.Address(test.udp)}
		}
		if got, err := ownTracker(l); err != nil || got.String() != test.want {
			t.Errorf("%q, %q, %q: %v, %v; want %s", test.http, test.https, test.udp, got, err, test.want)
		}
	}
	for _, l := range []config.Listen{{}, {HTTP: []config.Address{":0"}}} {
		if got, err := ownTracker(l); err == nil {
			t.Errorf("%v: %v", l, got)
		}
	}
}

func TestHealthRefusesWhatIsNoTracker(t *testing.T) {
	for _, target := range []string{"tracker.example", "ws://tracker.example", "udp://tracker.example", "http://", "127.0.0.1:6969"} {
		if _, _, err := output(t.Context(), newHealthCommand(), target); !errors.As(err, new(usageError)) {
			t.Errorf("%s: %v", target, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := askHealth(ended, &url.URL{Scheme: "udp", Host: "127.0.0.1:1"}, nil, false); err == nil {
		t.Error("asked after the end")
	}
}
