package http_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	frontend "waggle/frontend/http"
	"waggle/internal/authority"
)

// secure is a frontend that speaks TLS beside.
type secure struct {
	*server
	trust *tls.Config // of clients
}

func listenSecurely(t *testing.T, change func(*frontend.Options)) *secure {
	t.Helper()
	a := authority.New(t)
	s := &secure{trust: &tls.Config{RootCAs: a.Roots}}
	s.server = listen(t, func(o *frontend.Options) {
		o.Secure, o.TLS = []string{"127.0.0.1:0"}, a.Config(t, "127.0.0.1")
		if change != nil {
			change(o)
		}
	})
	s.client.Transport.(*http.Transport).TLSClientConfig = s.trust.Clone()
	return s
}

func (s *secure) address() string { return s.SecureAddrs()[0].String() }

// dialTLS connects, and says first what a proxy would.
func (s *secure) dialTLS(t *testing.T, header []byte, protocols ...string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write(header); err != nil {
		t.Fatal(err)
	}
	c := tls.Client(conn, &tls.Config{RootCAs: s.trust.RootCAs, ServerName: "127.0.0.1", NextProtos: protocols})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return &wire{t, c, bufio.NewReader(c)}
}

// retry connects until do is content: where a test gives clients little time, a busy machine may need
// more for one that does nothing wrong.
func (s *secure) retry(t *testing.T, header []byte, do func(*tls.Conn) error) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; {
		err := s.attempt(header, do)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func (s *secure) attempt(header []byte, do func(*tls.Conn) error) error {
	conn, err := net.Dial("tcp", s.address())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(header); err != nil {
		return err
	}
	c := tls.Client(conn, &tls.Config{RootCAs: s.trust.RootCAs, ServerName: "127.0.0.1"})
	if err := c.Handshake(); err != nil {
		return err
	}
	return do(c)
}

// announceOnce announces, and reads to the end.
func announceOnce(c *tls.Conn) error {
	if _, err := io.WriteString(c, plain(1, "Connection: close")); err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if err == nil && !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n") {
		err = fmt.Errorf("the answer is %q", answer)
	}
	return err
}

func TestAnnouncesOverTLSAreAnsweredAsOverTCP(t *testing.T) {
	s := listenSecurely(t, nil)
	for name, protocols := range map[string][]string{"HTTP/1.1": {"http/1.1"}, "no ALPN": nil} {
		t.Run(name, func(t *testing.T) {
			w := s.dialTLS(t, nil, protocols...)
			for range 3 { // on one connection
				w.send(plain(1))
				var r bittorrent.AnnounceResponse
				if err := bittorrent.ParseHTTPAnnounceResponse([]byte(w.answer(http.StatusOK)), &r); err != nil || r.Incomplete != 1 {
					t.Errorf("%+v, %v", r, err)
				}
			}
			w.send(strings.Repeat(plain(1), 9) + plain(1, "Connection: close"))
			wantAnswers(t, w.rest(), 10)
		})
	}
	if f := s.Figures(); f.Handshakes != 2 || f.HandedOver != 0 {
		t.Errorf("%+v", f)
	}
}

func TestRequestsThatComeByteForByteOverTLSAreAnswered(t *testing.T) {
	s := listenSecurely(t, nil)
	w := s.dialTLS(t, nil)
	for _, b := range []byte(plain(1)) {
		w.send(string(b))
	}
	w.answer(http.StatusOK)
}

// echo answers with what a page can know of a request.
func echo(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, "%s TLS %t from %s", r.Proto, r.TLS != nil && r.TLS.HandshakeComplete, r.RemoteAddr)
}

func TestPagesAreServedByHTTP2AndHTTP1OverTLS(t *testing.T) {
	s := listenSecurely(t, func(o *frontend.Options) { o.Pages = http.HandlerFunc(echo) })
	for _, proto := range []string{"HTTP/2.0", "HTTP/1.1"} {
		s.client.Transport = &http.Transport{TLSClientConfig: s.trust.Clone(), ForceAttemptHTTP2: proto == "HTTP/2.0"}
		if got := string(s.get(t, "https://"+s.address()+"/page")); !strings.HasPrefix(got, proto+" TLS true from 127.0.0.1:") {
			t.Errorf("%s: %q", proto, got)
		}
		if r := s.announce(t, "https://"+s.address()+query(1, "")); r.Incomplete != 1 {
			t.Errorf("%s: %+v", proto, r)
		}
		if got := string(s.get(t, s.v4()+"/page")); !strings.HasPrefix(got, "HTTP/1.1 TLS false") {
			t.Errorf("without TLS: %q", got)
		}
		s.client.CloseIdleConnections()
	}
}

// TestConnectionThatIsTakenOverSpeaksTLS is what WebSocket over TLS needs.
func TestConnectionThatIsTakenOverSpeaksTLS(t *testing.T) {
	var taken sync.WaitGroup
	defer taken.Wait()
	s := listenSecurely(t, func(o *frontend.Options) {
		o.Pages = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, both, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			taken.Go(func() {
				defer func() { _ = conn.Close() }()
				_, _ = io.CopyN(conn, both, 4)
			})
		})
	})
	w := s.dialTLS(t, nil, "http/1.1")
	w.send(plain(1)) // first what is answered in place
	w.answer(http.StatusOK)
	w.send("GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	w.answer(http.StatusSwitchingProtocols)
	w.send("ping")
	if got := w.rest(); got != "ping" {
		t.Errorf("%q", got)
	}
}

func TestWhoSpeaksHTTPToAnAddressOfTLSIsToldSo(t *testing.T) {
	s := listenSecurely(t, nil)
	response, err := s.client.Get("http://" + s.address() + query(1, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "https://") {
		t.Errorf("%d, %q, %v", response.StatusCode, body, err)
	}
	if f := s.Figures(); f.FailedHandshakes != 1 || f.Handshakes != 0 {
		t.Errorf("%+v", f)
	}
}

func TestHandshakeThatDoesNotComeTakesItsPlaceForSoLongAlone(t *testing.T) {
	s := listenSecurely(t, func(o *frontend.Options) { o.MaxConnections, o.Timeout = 1, 100*time.Millisecond })
	for _, first := range []string{"", "\x16\x03\x01\x02\x00\x01"} {
		silent, err := net.Dial("tcp", s.address())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = silent.Close() }()
		if _, err := io.WriteString(silent, first); err != nil {
			t.Fatal(err)
		}
		s.retry(t, nil, announceOnce) // waits for the place
	}
	if f := s.Figures(); f.FailedHandshakes < 2 || f.Handshakes < 2 {
		t.Errorf("%+v", f)
	}
}

func TestClientThatIsSilentAfterItsHandshakeIsCutOff(t *testing.T) {
	s := listenSecurely(t, func(o *frontend.Options) { o.Timeout = 100 * time.Millisecond })
	s.retry(t, nil, func(c *tls.Conn) error {
		got, err := io.ReadAll(c)
		if len(got) > 0 {
			t.Errorf("%q", got)
		}
		return err
	})
}

func TestCloseEndsWhatIsOverTLS(t *testing.T) {
	s := listenSecurely(t, nil)
	idle := s.dialTLS(t, nil)
	idle.send(plain(1))
	idle.answer(http.StatusOK)
	silent, err := net.Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	s.client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	s.announce(t, "https://"+s.address()+query(2, ""))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := idle.rest(); got != "" {
		t.Errorf("%q", got)
	}
}

func TestConnectionThatLeavesItsPlaceGoesOn(t *testing.T) {
	s := listenSecurely(t, func(o *frontend.Options) {
		o.MaxConnections = 1
		o.TLS.NextProtos = []string{"http/1.1"}
		o.TLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			hello.Conn.(interface{ LeavePlace() }).LeavePlace()
			return nil, nil
		}
	})
	first, second := s.dialTLS(t, nil), s.dialTLS(t, nil)
	for _, w := range []*wire{second, first} {
		w.send(plain(1, "Connection: close"))
		wantAnswers(t, w.rest(), 1)
	}
}

// introduction is the header of a balancer that hands on a connection from an address.
func introduction(from string) []byte {
	client := netip.MustParseAddrPort(from)
	header, family := []byte("\r\n\r\n\x00\r\nQUIT\n\x21"), byte(0x11)
	if client.Addr().Is6() {
		family = 0x21
	}
	body := append(client.Addr().AsSlice(), client.Addr().AsSlice()...)
	body = binary.BigEndian.AppendUint16(body, client.Port())
	body = binary.BigEndian.AppendUint16(body, 80)
	header = binary.BigEndian.AppendUint16(append(header, family), uint16(len(body)))
	return append(header, body...)
}

// behind has connections of this machine begin with a header.
func behind(o *frontend.Options) {
	o.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	o.Pages = http.HandlerFunc(echo)
}

func TestClientBehindABalancerIsKnownByItsOwnAddress(t *testing.T) {
	s := listenSecurely(t, behind)
	for n, from := range []string{"203.0.113.7:1000", "[2001:db8::7]:1000"} {
		for name, w := range map[string]*wire{"TCP": s.dial(t), "TLS": s.dialTLS(t, introduction(from))} {
			if name == "TCP" {
				w.send(string(introduction(from)))
			}
			w.send(plain(10 + n))
			w.answer(http.StatusOK)
			w.send(plain(20 + n)) // the header holds for all of the connection
			var r bittorrent.AnnounceResponse
			if err := bittorrent.ParseHTTPAnnounceResponse([]byte(w.answer(http.StatusOK)), &r); err != nil {
				t.Fatal(err)
			}
			if client := netip.MustParseAddrPort(from).Addr(); r.ExternalIP != client {
				t.Errorf("%s over %s counts as %v", from, name, r.ExternalIP)
			}
			w.send("GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if got := w.answer(http.StatusOK); !strings.HasSuffix(got, "from "+from) {
				t.Errorf("%s over %s: %q", from, name, got)
			}
		}
	}
}

func TestBalancerThatAsksForItselfIsKnownByItsAddress(t *testing.T) {
	s := listenSecurely(t, behind)
	for name, header := range map[string]string{"LOCAL": "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "nobody knows": "\r\n\r\n\x00\r\nQUIT\n\x21\x00\x00\x00"} {
		w := s.dial(t)
		w.send(header + "GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if got := w.answer(http.StatusOK); !strings.Contains(got, "from 127.0.0.1:") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestHTTP2BehindABalancerKnowsTheClient(t *testing.T) {
	s := listenSecurely(t, behind)
	s.client.Transport = &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		_, _ = conn.Write(introduction("203.0.113.7:1000"))
		return tls.Client(conn, &tls.Config{RootCAs: s.trust.RootCAs, ServerName: "127.0.0.1", NextProtos: []string{"h2"}}), nil
	}}
	if got := string(s.get(t, "https://"+s.address()+"/page")); got != "HTTP/2.0 TLS true from 203.0.113.7:1000" {
		t.Errorf("%q", got)
	}
	s.client.CloseIdleConnections()
}

func TestHeaderThatComesByteForByteIsRead(t *testing.T) {
	s := listenSecurely(t, behind)
	w := s.dial(t)
	for _, b := range string(introduction("203.0.113.7:1000")) + plain(1, "Connection: close") {
		w.send(string([]byte{byte(b)}))
	}
	wantAnswers(t, w.rest(), 1)
}

func TestConnectionWithAWrongHeaderIsRefused(t *testing.T) {
	log := new(syncLog)
	s := listenSecurely(t, func(o *frontend.Options) {
		behind(o)
		o.Log = slog.New(slog.NewTextHandler(log, nil))
	})
	for n, sent := range []string{plain(1), "PROXY TCP4 203.0.113.7 192.0.2.1 51413 80\r\n" + plain(1), "\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x00" + plain(1)} {
		w := s.dial(t)
		w.send(sent)
		if got := w.answer(http.StatusBadRequest); !strings.Contains(got, "PROXY header of version 2 only") {
			t.Errorf("%q: %q", sent, got)
		}
		secure, err := net.Dial("tcp", s.address())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(secure, sent)
		if got, _ := io.ReadAll(secure); len(got) > 0 { // it may be reset
			t.Errorf("%q over TLS: %q", sent, got)
		}
		_ = secure.Close()
		if f := s.Figures(); f.RefusedHeaders != uint64(2*n+2) {
			t.Errorf("%q: %+v", sent, f)
		}
	}
	if f := s.Figures(); f.Announces != 0 {
		t.Errorf("%+v", f)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "send-proxy-v2") {
		t.Errorf("log: %s", got)
	}
}

func TestHeaderOfAStrangerIsRefused(t *testing.T) {
	s := listenSecurely(t, func(o *frontend.Options) { o.Pages = http.HandlerFunc(echo) })
	w := s.dial(t)
	w.send(string(introduction("203.0.113.7:1000")) + plain(1))
	w.answer(http.StatusBadRequest)
	conn, err := net.Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write(introduction("203.0.113.7:1000"))
	_, _ = io.ReadAll(conn) // until it is closed
	if f := s.Figures(); f.Announces != 0 || f.RefusedHeaders != 2 {
		t.Errorf("%+v", f)
	}
}

func TestHeaderThatDoesNotComeTakesItsPlaceForSoLongAlone(t *testing.T) {
	s := listenSecurely(t, func(o *frontend.Options) {
		behind(o)
		o.MaxConnections, o.Timeout = 1, 100*time.Millisecond
	})
	for _, address := range []string{s.Addrs()[0].String(), s.address()} {
		slow, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = slow.Close() }()
		_, _ = slow.Write(introduction("203.0.113.7:1000")[:20])
		if rest, _ := io.ReadAll(slow); len(rest) > 0 {
			t.Errorf("%q", rest)
		}
	}
	s.retry(t, introduction("203.0.113.7:1000"), announceOnce)
}

func TestWhoIsABalancerCanChange(t *testing.T) {
	s := listenSecurely(t, nil)
	s.announce(t, s.v4()+query(1, ""))
	s.ExpectHeaders([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")})
	w := s.dial(t)
	w.send(plain(1))
	w.answer(http.StatusBadRequest)
	s.ExpectHeaders(nil)
	w = s.dial(t)
	w.send(plain(1, "Connection: close"))
	wantAnswers(t, w.rest(), 1)
}

// syncLog is a log that is written and read at the same time.
type syncLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *syncLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *syncLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
