package interop

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"waggle/internal/authority"
	"waggle/internal/freeport"
)

// trackerName is what a name server of the test's own says is this machine.
const trackerName = "tracker.waggle.example"

// nameServer answers every question for an address over TCP with loopback's of IPv4, and returns where
// it is.
func nameServer(t *testing.T) string {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{
		Listener: socket, NotifyStartedFunc: func() { close(started) },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			answer := new(dns.Msg).SetReply(q)
			if q.Question[0].Qtype == dns.TypeA {
				answer.Answer = append(answer.Answer, &dns.A{
					Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: ipv4Loopback.AsSlice(),
				})
			}
			_ = w.WriteMsg(answer)
		}),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(), <-ended); err != nil {
			t.Error(err)
		}
	})
	return socket.Addr().String()
}

// pebble is an authority that speaks ACME.
type pebble struct {
	*process
	directory string // URL
	vouches   string // file of who vouches for the directory
	roots     *x509.CertPool
	tlsPort   uint16 // at which it looks whether a name is the asker's
	httpPort  uint16
}

func startPebble(t *testing.T) *pebble {
	t.Helper()
	dir, own := t.TempDir(), authority.New(t)
	certificate, key := own.Write(t, dir, "127.0.0.1")
	p := &pebble{vouches: filepath.Join(dir, "ca.pem"), roots: x509.NewCertPool(), tlsPort: freeport.For(t), httpPort: freeport.For(t)}
	api, management := freeport.Address(t), freeport.Address(t)
	p.directory = "https://" + api + "/dir"
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": api, "managementListenAddress": management, "certificate": certificate, "privateKey": key,
		"tlsPort": p.tlsPort, "httpPort": p.httpPort, "retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{"description": "of the test", "validityPeriod": 7776000}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pebble.json")
	if err := errors.Join(os.WriteFile(path, config, 0o600), os.WriteFile(p.vouches, own.Certificate, 0o600)); err != nil {
		t.Fatal(err)
	}
	p.process = start(t, loopback, "pebble", "env", "PEBBLE_VA_NOSLEEP=1", program(t, "pebble", makeTest), "-config", path, "-dnsserver", nameServer(t))
	listens(t, p.process, api)
	listens(t, p.process, management)
	client := http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: own.Roots}, DisableKeepAlives: true}}
	response, err := client.Get("https://" + management + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	root, err := io.ReadAll(response.Body)
	if err != nil || !p.roots.AppendCertsFromPEM(root) {
		t.Fatalf("%v: %q is no certificate", err, root)
	}
	return p
}

// flags has a tracker get certificates from the authority, and keep them in a folder.
func (p *pebble) flags(cache string) []string {
	return []string{"--tls-acme-hosts", trackerName, "--tls-acme-directory", p.directory, "--tls-acme-roots", p.vouches, "--tls-acme-agree", "true", "--tls-acme-cache", cache}
}

// proven returns the serial number of the certificate by which a tracker proves its name.
func (p *pebble) proven(address string) (string, error) {
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: p.roots, ServerName: trackerName})
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

func TestCertificatesAreIssuedByACMEAndKept(t *testing.T) {
	p := startPebble(t)
	for name, test := range map[string]struct{ port, other uint16 }{
		"TLS-ALPN-01": {port: p.tlsPort},
		"HTTP-01":     {other: p.httpPort},
	} {
		t.Run(name, func(t *testing.T) {
			cache := t.TempDir()
			address := fmt.Sprintf("127.0.0.1:%d", test.port)
			if test.port == 0 {
				address = freeport.Address(t)
			}
			flags := append(p.flags(cache), "--listen-https", address)
			if test.other != 0 {
				flags = append(flags, "--listen-http", fmt.Sprintf("127.0.0.1:%d", test.other))
			}
			tr := startTracker(t, loopback4, flags...)
			var first string
			eventually(t, patience, "a certificate is issued", func() (err error) {
				if err := tr.alive(); err != nil {
					return err
				}
				first, err = p.proven(address)
				return err
			})
			if !slices.ContainsFunc(tr.urls, func(url string) bool { return strings.HasPrefix(url, "https://"+trackerName+":") }) {
				t.Errorf("it prints %q", tr.urls)
			}
			if err := tr.stop(); err != nil {
				t.Fatal(err)
			}
			// The next start has it without the authority.
			tr = startTracker(t, loopback4, append([]string{"--tls-acme-hosts", trackerName, "--tls-acme-directory", "https://127.0.0.1:1/dir", "--tls-acme-agree", "true", "--tls-acme-cache", cache}, "--listen-https", address)...)
			if again, err := p.proven(address); err != nil || again != first {
				t.Errorf("after a restart it shows %s, %v; want %s", again, err, first)
			}
		})
	}
}
