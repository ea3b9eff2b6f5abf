package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/internal/authority"
)

// startSecurely serves localhost over TLS, with files in a folder. It announces by those who trust an
// authority.
func startSecurely(t *testing.T, a *authority.Authority, folder string, args ...string) *serving {
	t.Helper()
	certificate, key := a.Write(t, folder, "localhost", "127.0.0.1")
	return startServe(t, append([]string{"--store", "memory:", "--listen-https", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key}, args...)...)
}

// asker asks a tracker over TLS, from kept connections or, with fresh, by a new handshake each time.
type asker struct {
	http.Client
	query string
}

func newAsker(t *testing.T, roots *x509.CertPool, fresh, http2 bool) *asker {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: fresh, ForceAttemptHTTP2: http2}
	t.Cleanup(transport.CloseIdleConnections)
	a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, PeerID: bittorrent.PeerID{2}, Port: 1, Left: 1, NumWant: -1}
	return &asker{http.Client{Transport: transport}, "?" + string(bittorrent.AppendHTTPAnnounce(nil, &a))}
}

// announce returns the serial number of the certificate that it saw.
func (a *asker) announce(url string) (serial string, err error) {
	response, err := a.Get(url + a.query)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	var r bittorrent.AnnounceResponse
	if err := bittorrent.ParseHTTPAnnounceResponse(body, &r); err != nil {
		return "", fmt.Errorf("%w: %q", err, body)
	}
	return response.TLS.PeerCertificates[0].SerialNumber.String(), nil
}

func TestServeAnswersOverTLSAndSaysWhere(t *testing.T) {
	a := authority.New(t)
	s := startSecurely(t, a, t.TempDir())
	url := s.url(t, "https")
	if !strings.HasPrefix(url, "https://localhost:") {
		t.Errorf("it prints %s", url)
	}
	for _, http2 := range []bool{false, true} {
		if _, err := newAsker(t, a.Roots, false, http2).announce(url); err != nil {
			t.Errorf("HTTP/2 %t: %v", http2, err)
		}
	}
	text := s.scrape(t, `waggle_announces_total{protocol="http"} 2`)
	for _, want := range []string{`waggle_tls_handshakes_total{result="done"} 2`, `waggle_tls_certificates_healthy 1`, `waggle_tls_certificate_expires_seconds{name="localhost",source=`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// TestNoAnnounceFailsWhileCertificatesAreReplaced replaces them in the ways that there are, while
// clients announce over connections that they keep and over new ones.
func TestNoAnnounceFailsWhileCertificatesAreReplaced(t *testing.T) {
	a, folder := authority.New(t), t.TempDir()
	s := startSecurely(t, a, folder)
	url := s.url(t, "https")
	var failed, answered atomic.Int64
	var stop atomic.Bool
	var clients sync.WaitGroup
	for n := range 6 {
		client := newAsker(t, a.Roots, n%2 == 0, n%3 == 0)
		clients.Go(func() {
			for !stop.Load() {
				if _, err := client.announce(url); err != nil {
					failed.Add(1)
					t.Error(err)
				}
				answered.Add(1)
			}
		})
	}
	replace := map[string]func(certificate, key []byte) error{
		"in place": func(certificate, key []byte) error {
			return errors.Join(os.WriteFile(filepath.Join(folder, "fullchain.pem"), certificate, 0o600), os.WriteFile(filepath.Join(folder, "privkey.pem"), key, 0o600))
		},
		"by renaming": func(certificate, key []byte) error {
			for name, data := range map[string][]byte{"fullchain.pem": certificate, "privkey.pem": key} {
				path := filepath.Join(folder, name)
				if err := errors.Join(os.WriteFile(path+".new", data, 0o600), os.Rename(path+".new", path)); err != nil {
					return err
				}
			}
			return nil
		},
		"with SIGHUP": func(certificate, key []byte) error {
			return errors.Join(os.WriteFile(filepath.Join(folder, "fullchain.pem"), certificate, 0o600), os.WriteFile(filepath.Join(folder, "privkey.pem"), key, 0o600),
				syscall.Kill(os.Getpid(), syscall.SIGHUP))
		},
	}
	fresh := newAsker(t, a.Roots, true, false)
	for range 2 {
		for how, replace := range replace {
			before, err := fresh.announce(url)
			if err != nil {
				t.Fatal(err)
			}
			if err := replace(a.Today(t, "localhost", "127.0.0.1")); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(patience); ; {
				now, err := fresh.announce(url)
				if err != nil {
					t.Fatal(err)
				}
				if now != before {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("%s: no new certificate is shown\n%s", how, s.log)
				}
			}
		}
	}
	// A broken one changes nothing.
	if err := os.WriteFile(filepath.Join(folder, "fullchain.pem"), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.scrape(t, "waggle_tls_certificates_healthy 0")
	if _, err := fresh.announce(url); err != nil {
		t.Error(err)
	}
	stop.Store(true)
	clients.Wait()
	if failed.Load() > 0 || answered.Load() == 0 {
		t.Errorf("%d of %d announces failed", failed.Load(), answered.Load())
	}
	if log := s.log.String(); !strings.Contains(log, "a certificate was not replaced") || !strings.Contains(log, "fullchain.pem") {
		t.Errorf("the log does not name the file:\n%s", log)
	}
}

func TestReloadTakesOtherFilesOrNone(t *testing.T) {
	a, folder, other := authority.New(t), t.TempDir(), t.TempDir()
	certificate, key := a.Write(t, folder, "localhost")
	file, secret := filepath.Join(t.TempDir(), "waggle.yaml"), filepath.Join(t.TempDir(), "events.secret")
	if err := os.WriteFile(secret, []byte("the-secret-of-a-test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	configure := func(certificate, key string) {
		if err := os.WriteFile(file, fmt.Appendf(nil, "listen: {https: ['127.0.0.1:0']}\ntls: {certificate: %q, key: %q}\n"+
			"events: {webhook: 'http://127.0.0.1:1', secret_file: %q, directory: ''}\n", certificate, key, secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reload := func(s *serving, says string) {
		before := strings.Count(s.log.String(), says)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(patience); strings.Count(s.log.String(), says) == before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never %q in\n%s", says, s.log)
			}
		}
	}
	configure(certificate, key)
	s := startServe(t, "--store", "memory:", "--config", file)
	url, client := s.url(t, "https"), newAsker(t, a.Roots, true, false)
	first, err := client.announce(url)
	if err != nil {
		t.Fatal(err)
	}
	configure(filepath.Join(other, "missing.pem"), key)
	reload(s, "missing.pem: no such file")
	if now, err := client.announce(url); err != nil || now != first {
		t.Errorf("after a mistake: %s, %v; want %s", now, err, first)
	}
	configure(a.Write(t, other, "localhost"))
	if err := os.Rename(secret, secret+".away"); err != nil {
		t.Fatal(err)
	}
	reload(s, "there is no "+secret)
	if now, err := client.announce(url); err != nil || now != first {
		t.Errorf("after a mistake elsewhere: %s, %v; want %s", now, err, first)
	}
	if err := os.Rename(secret+".away", secret); err != nil {
		t.Fatal(err)
	}
	reload(s, "configuration reloaded")
	if now, err := client.announce(url); err != nil || now == first {
		t.Errorf("with other files: %s, %v", now, err)
	}
	if strings.Contains(s.log.String(), "at the next start only") {
		t.Errorf("log: %s", s.log)
	}
}

func TestMissingCertificateKeepsATrackerFromStartingWithItsName(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pem")
	_, err := runWaggle(t, "serve", "--store", "memory:", "--listen-udp", "", "--listen-http", "", "--listen-https", "127.0.0.1:0", "--tls-certificate", missing, "--tls-key", missing)
	if err == nil || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), "tls") {
		t.Error(err)
	}
}

func TestCommandsAskAConsoleThatSpeaksTLS(t *testing.T) {
	a, folder := authority.New(t), t.TempDir()
	s := startSecurely(t, a, folder, "--tls-console", "true")
	console := s.console(t)
	if !strings.HasPrefix(console, "https://127.0.0.1:") {
		t.Fatalf("it prints %s", console)
	}
	ca := filepath.Join(folder, "ca.pem")
	if err := os.WriteFile(ca, a.Certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct {
		args []string
		want string // of the error; "": there is none
	}{
		"who trusts it":       {[]string{"--console", console, "--ca-file", ca}, ""},
		"who does not":        {[]string{"--console", console}, "--ca-file"},
		"without TLS":         {[]string{"--console", strings.Replace(console, "https", "http", 1)}, "write https:// in place of http://"},
		"TLS to another":      {[]string{"--console", "https://" + strings.TrimPrefix(s.url(t, "http"), "http://"), "--ca-file", ca}, "write http:// in place of https://"},
		"a file that is none": {[]string{"--console", console, "--ca-file", filepath.Join(folder, "privkey.pem")}, "has no certificate in PEM"},
		"a file that is not":  {[]string{"--console", console, "--ca-file", filepath.Join(folder, "missing.pem")}, "no such file"},
	} {
		_, err := runWaggle(t, append([]string{"transfers"}, test.args...)...)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", what, err, test.want)
		}
	}
}

func TestProxiesAreTakenFromTheConfiguration(t *testing.T) {
	s := startServe(t, "--store", "memory:", "--access-proxy-protocol", "127.0.0.0/8", "--access-proxy-protocol-udp", "127.0.0.0/8")
	address := strings.TrimSuffix(strings.TrimPrefix(s.url(t, "http"), "http://"), "/announce")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET /health HTTP/1.0\r\n\r\n")
	if answer, err := io.ReadAll(conn); err != nil || !strings.Contains(string(answer), "400 Bad Request") {
		t.Errorf("%q, %v", answer, err)
	}
	packet, err := net.Dial("udp", strings.TrimSuffix(strings.TrimPrefix(s.url(t, "udp"), "udp://"), "/announce"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = packet.Close() }()
	if _, err := packet.Write(bittorrent.AppendUDPConnect(nil, 1)); err != nil {
		t.Fatal(err)
	}
	s.scrape(t, `waggle_udp_dropped_total{reason="proxy"} 1`)
	s.scrape(t, `waggle_http_proxy_refused_total 1`)
}
