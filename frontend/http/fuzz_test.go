package http

import (
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// same is a server of this package and one of net/http alone over trackers in
// the same state.
type same struct{ ours, theirs string }

func newSame(t testing.TB) same {
	t.Helper()
	ours := newServer(nil, locked(false))
	if err := ours.listen(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ours.serve()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	theirs := newServer(nil, locked(false))
	served := make(chan error)
	go func() { served <- theirs.general.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(ours.Close(), theirs.general.Close()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return same{ours.Addrs()[0].String(), l.Addr().String()}
}

var date = regexp.MustCompile(`\r\nDate: [^\r]*\r\n`)

// ask sends all of raw, and nothing after it, and returns all that comes back,
// without the date.
func ask(address, raw string) (answer string, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, raw)
	err = errors.Join(err, conn.(*net.TCPConn).CloseWrite())
	all, readErr := io.ReadAll(conn)
	return date.ReplaceAllString(string(all), "\r\nDate:\r\n"), errors.Join(err, readErr)
}

// check compares the answers to raw, byte for byte.
func (s same) check(t *testing.T, raw string) {
	t.Helper()
	ours, err := ask(s.ours, raw)
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	theirs, err := ask(s.theirs, raw)
	if err != nil {
		t.Fatalf("%q: net/http: %v", raw, err)
	}
	if ours != theirs {
		t.Errorf("%q:\nanswered %q\nnet/http %q", raw, ours, theirs)
	}
}

// requests are plain and foreign ones, right and wrong.
func requests() []string {
	return []string{
		get(1), get(2, "Connection: close"), getScrape(), getScrape("connection: Keep-Alive"),
		get(1) + get(2) + getScrape() + get(3, "Connection: close") + get(4),
		get(1) + "GET /health HTTP/1.1\r\nHost: x\r\n\r\n" + get(2),
		get(1) + "\r\n" + get(2), get(1) + "\r\n", get(1) + "GET", get(1) + "GET ", "\r\n\r\n",
		get(1, "X-Forwarded-For: 192.0.2.1"),
		with("good", get(1)) + with("bad", get(2)) + get(3) + behind("good", getScrape()) + behind("bad", getScrape()),
		with("go%6fd", get(1)), with("good/", get(1)), with("a.b", get(1)), with("", get(1)), with("good", get(1, "Expect: x")), behind("announce", getScrape()),
		"HEAD /good/announce HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://y/good/announce?x=y HTTP/1.1\r\nHost: x\r\n\r\n" + with("good", get(1)),
		get(1, "Accept-Encoding: gzip", "User-Agent: x/1 (y; z)", "Cookie: \xe9"),
		get(1, "User-Agent: echo 1"), get(1, "user-agent:\techo (\xe9) ", "User-Agent: echo 2"), get(1, "User-Agent:", "User-Agent: echo 3") + get(2),
		get(1, "User-Agent: echo 4") + get(1) + strings.Replace(get(1), " HTTP", "&jwt=echo.5&jwt=6 HTTP", 1) + get(1),
		get(1, "Folded: a", "\tb"), get(1, "Folded: a", " b"), get(1, "Host: twice"), get(1, "A : b"), get(1, "nocolon"),
		get(1, "Content-Length: 0") + get(2), get(1, "Content-Length: 3") + "abc" + get(2), get(1, "Content-Length: -1"),
		get(1, "Content-Length: 3", "Content-Length: 4") + "abcd",
		get(1, "Content-Length: 3", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n" + get(2),
		get(1, "Transfer-Encoding: chunked") + "0\r\n\r\n" + get(2), get(1, "Transfer-Encoding: gzip"),
		get(1, "Expect: 100-continue"), get(1, "Expect: x"), get(1, "Upgrade: websocket", "Connection: Upgrade"),
		get(1, "Connection: close, keep-alive"), get(1, "Connection: keep-alive", "Connection: close") + get(2),
		"GET /announce HTTP/1.0\r\n\r\n", "GET /scrape HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" + get(1),
		"GET /announce HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n" + get(1),
		"GET /announce HTTP/1.1\r\n\r\n", "GET /announce HTTP/1.1\nHost: x\n\n", "GET /announce HTTP/1.1\r\nHost:\r\n\r\n",
		"GET /announce HTTP/1.1\r\nHost: \xff\r\n\r\n", "GET /announce HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET /announce HTTP/0.9\r\n\r\n", "GET /announce HTTP/2.0\r\nHost: x\r\n\r\n", "GET /announce\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"HEAD /announce HTTP/1.1\r\nHost: x\r\n\r\n" + get(1), "POST /announce HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na" + get(1),
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://y/announce?x=y HTTP/1.1\r\nHost: x\r\n\r\n" + get(1),
		plainRequest("/%61nnounce?x"), plainRequest("/announce?a?b#c"), plainRequest("/announce#a"), plainRequest("/announce??"),
		plainRequest("/announce? "), plainRequest("/announce?\x01"), plainRequest("/announce?\x80\xff"), plainRequest("//announce"),
		plainRequest("/announce/../scrape"), plainRequest("/"), plainRequest("*"), plainRequest(""),
		"", "\r\n", "G", "GET", "GET /announce?info", "GET /announce?x HTTP/1.1\r\n", "GET /announce?x HTTP/1.1\r\nHost: x\r\nUser",
		get(1) + "GET /announce?in", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", "d1:ad2:id20:",
	}
}

func TestAnswersAreThoseOfNetHTTPByteForByte(t *testing.T) {
	s := newSame(t)
	for _, raw := range requests() {
		s.check(t, raw)
	}
}

func TestLongRequestsAreAnsweredAsByNetHTTP(t *testing.T) {
	s := newSame(t)
	for _, size := range []int{readSize / 2, readSize - 40, readSize, readSize + 100, maxHeader - 100} {
		s.check(t, plainRequest("/announce?"+strings.Repeat("x=y&", size/4)))
		s.check(t, get(1)+get(2, "X-Long: "+strings.Repeat("a", size)))
	}
}

// maxFuzzed is what net/http reads at once. Of more it might leave something
// unread when it refuses, and the system may then drop the refusal.
const maxFuzzed = 4 << 10

// FuzzRequest sends bytes to a server of this package and to one of net/http:
// the answers must not differ, nor where one request ends and the next begins.
func FuzzRequest(f *testing.F) {
	for _, raw := range requests() {
		f.Add([]byte(raw))
	}
	s := newSame(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) < maxFuzzed {
			s.check(t, string(raw))
		}
	})
}
