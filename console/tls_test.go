package console_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"waggle/account"
	"waggle/console"
	"waggle/internal/authority"
)

// overTLS makes a world's console speak TLS, and a client that trusts it.
func overTLS(t *testing.T, change func(*console.Options)) (*world, *http.Client) {
	t.Helper()
	a := authority.New(t)
	w := newWorld(t, func(o *console.Options) {
		o.TLS = a.Config(t, "127.0.0.1", "localhost")
		if change != nil {
			change(o)
		}
	})
	w.url = "https://" + w.console.Addr().String()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.Roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return w, &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// over returns an answer whose body was read.
func over(t *testing.T, c *http.Client, method, address string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func TestConsoleSpeaksHTTP2OverTLSAndKnowsThisMachine(t *testing.T) {
	w, c := overTLS(t, nil)
	response, body := over(t, c, http.MethodGet, w.url+"/api/v1/self", nil)
	if response.ProtoMajor != 2 || response.StatusCode != http.StatusOK || !strings.Contains(body, account.NameLoopback) {
		t.Errorf("%s %d: %s", response.Proto, response.StatusCode, body)
	}
	// By a name that was made to mean this machine nobody is on it.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/v1/self", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "evil.example"
	if response, err = c.Do(request); err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("by another name: %d", response.StatusCode)
	}
}

func TestSessionOverTLSHasACookieForTLSAloneAndIsProtectedFromOtherSites(t *testing.T) {
	w, c := overTLS(t, func(o *console.Options) {
		accounts, err := account.Open(t.Context(), account.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = accounts.Close() })
		if _, _, err := accounts.Create(t.Context(), account.New{Name: "ada", Role: account.Admin, Password: "correct horse battery"}); err != nil {
			t.Fatal(err)
		}
		o.Accounts = accounts
	})
	form := url.Values{"name": {"ada"}, "password": {"correct horse battery"}}.Encode()
	response, body := over(t, c, http.MethodPost, w.url+"/login", strings.NewReader(form), "Content-Type", "application/x-www-form-urlencoded", "Origin", w.url, "Sec-Fetch-Site", "same-origin")
	var session *http.Cookie
	for _, cookie := range response.Cookies() {
		if cookie.Name == account.Cookie {
			session = cookie
		}
	}
	if session == nil || !session.Secure || !session.HttpOnly || session.SameSite != http.SameSiteLaxMode {
		t.Fatalf("%d, cookie %v: %s", response.StatusCode, session, body)
	}
	cookie := session.Name + "=" + session.Value
	if response, body := over(t, c, http.MethodGet, w.url+"/api/v1/self", nil, "Cookie", cookie); !strings.Contains(body, "ada") {
		t.Errorf("the session: %d, %s", response.StatusCode, body)
	}
	change := w.url + "/api/v1/transfers/" + w.add(t, "a").InfoHash.String() + "/activate"
	for name, header := range map[string][]string{
		"without the token of the session": {"Cookie", cookie},
		"from the page without TLS":        {"Cookie", cookie, "Origin", strings.Replace(w.url, "https", "http", 1), "Sec-Fetch-Site", "cross-site"},
		"from another site":                {"Cookie", cookie, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"},
	} {
		if response, body := over(t, c, http.MethodPost, change, nil, header...); response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d, %s", name, response.StatusCode, body)
		}
	}
}

func TestLiveUpdatesComeOverHTTP2(t *testing.T) {
	w, c := overTLS(t, nil)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/live?page=/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	first := make([]byte, 1)
	if _, err := io.ReadFull(response.Body, first); err != nil || response.ProtoMajor != 2 || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		t.Errorf("%s %d, %v: %v", response.Proto, response.StatusCode, response.Header, err)
	}
}

func TestUploadsAreTakenOverTLS(t *testing.T) {
	w, c := overTLS(t, nil)
	response, body := over(t, c, http.MethodPost, w.url+"/api/v1/torrents?file=b.torrent", bytes.NewReader(metainfo("b")), "Content-Type", "application/x-bittorrent")
	if response.StatusCode != http.StatusCreated {
		t.Errorf("%d: %s", response.StatusCode, body)
	}
}

func TestWhoSpeaksHTTPToAConsoleOfTLSIsToldSo(t *testing.T) {
	w, _ := overTLS(t, nil)
	conn, err := net.Dial("tcp", w.console.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", w.console.Addr())
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), "400") || !strings.Contains(string(answer), "HTTPS") {
		t.Errorf("%q, %v", answer, err)
	}
}
