package interop

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waggle/bittorrent"
	"waggle/internal/authority"
	"waggle/internal/freeport"
)

// haproxyConfig hands connections on, with headers of version 2, and of version 1, and asks itself
// whether the tracker is there.
const haproxyConfig = `global
  maxconn 100
  stats socket %s
defaults
  mode tcp
  timeout connect 10s
  timeout client 60s
  timeout server 60s
listen plain
  bind %s
  option httpchk GET /health
  server tracker %s send-proxy-v2 check inter 100ms
listen secure
  bind %s
  server tracker %s send-proxy-v2-ssl-cn
listen old
  bind %s
  server tracker %s send-proxy
`

func TestClientsBehindHAProxyAreKnownByTheirAddresses(t *testing.T) {
	a, dir := authority.New(t), t.TempDir()
	certificate, key := a.Write(t, dir, "127.0.0.1")
	tr := startTracker(t, loopback4, "--listen-https", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key, "--access-proxy-protocol", "127.0.0.1/32")
	at := func(scheme string) string {
		return strings.TrimSuffix(strings.TrimPrefix(tr.url(t, scheme, ipv4Loopback), scheme+"://"), "/announce")
	}
	plain, secure, old := freeport.Address(t), freeport.Address(t), freeport.Address(t)
	path, stats := filepath.Join(dir, "haproxy.cfg"), filepath.Join(dir, "stats")
	if err := os.WriteFile(path, fmt.Appendf(nil, haproxyConfig, stats, plain, at("http"), secure, at("https"), old, at("http")), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := start(t, loopback, "haproxy", program(t, "/usr/sbin/haproxy", makeTest), "-db", "-f", path)
	for _, address := range []string{plain, secure, old} {
		listens(t, proxy, address)
	}

	client := netip.MustParseAddr("127.0.0.55")
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: client.AsSlice()}}
	announce := func(url string, http2 bool) (r bittorrent.AnnounceResponse, proto string, err error) {
		transport := &http.Transport{
			DialContext:     dialer.DialContext,
			TLSClientConfig: &tls.Config{RootCAs: a.Roots}, ForceAttemptHTTP2: http2, DisableKeepAlives: true,
		}
		c := http.Client{Timeout: patience, Transport: transport}
		q := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, PeerID: bittorrent.PeerID{2}, Port: 1, Left: 1, NumWant: -1}
		response, err := c.Get(url + "/announce?" + string(bittorrent.AppendHTTPAnnounce(nil, &q)))
		if err != nil {
			return r, "", err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err == nil {
			err = bittorrent.ParseHTTPAnnounceResponse(body, &r)
		}
		return r, response.Proto, err
	}
	for _, test := range []struct {
		url   string
		http2 bool
		proto string
	}{{"http://" + plain, false, "HTTP/1.1"}, {"https://" + secure, false, "HTTP/1.1"}, {"https://" + secure, true, "HTTP/2.0"}} {
		if r, proto, err := announce(test.url, test.http2); err != nil || r.ExternalIP != client || proto != test.proto {
			t.Errorf("%s by %s: %v by %s, %v; want %v", test.url, test.proto, r.ExternalIP, proto, err, client)
		}
	}
	if r, _, err := announce("http://"+old, false); err == nil {
		t.Errorf("a header of version 1 is taken: %+v", r)
	}
	if r, _, err := announce("http://"+at("http"), false); err != nil || r.ExternalIP != client {
		t.Errorf("directly, from an address that is no balancer's: %v, %v", r.ExternalIP, err)
	}
	eventually(t, patience, "haproxy's own question, with a header that names nobody, is answered", func() error {
		conn, err := net.Dial("unix", stats)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, "show stat\n"); err != nil {
			return err
		}
		table, err := io.ReadAll(conn)
		if err == nil && !strings.Contains(string(table), ",L7OK,") {
			err = fmt.Errorf("no L7OK in %s", table)
		}
		return err
	})
	if log := strings.Join(tr.stderr.lines(), "\n"); !strings.Contains(log, "version 1") {
		t.Errorf("the log does not say that a header was of version 1:\n%s", log)
	}
}
