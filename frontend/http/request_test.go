package http

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// fixed returns options under which two servers answer the same to the same.
func fixed() Options {
	return Options{
		Tracker: tracker.New(memory.New(memory.Options{}), tracker.Settings{
			Interval: time.Minute, MinInterval: 30 * time.Second, NumWant: 50, MaxNumWant: 200,
		}, tracker.Options{
			Now:    func() time.Time { return time.Unix(1_700_000_000, 0) },
			Random: func() float64 { return 0.5 },
			Doors:  []tracker.Door{echo{}},
		}),
		Timeout: time.Hour,
	}
}

// echo refuses clients that want to know what they are taken for.
type echo struct{}

func (echo) Enter(a *swarm.Announce) error {
	if c := &a.Credentials; strings.HasPrefix(c.Agent, "echo") || strings.HasPrefix(c.Token, "echo") {
		return bittorrent.Error(fmt.Sprintf("agent %q, token %q", c.Agent, c.Token))
	}
	return nil
}

var local = netip.MustParseAddr("127.0.0.1")

// get returns a plain request for the n-th peer's announce.
func get(n int, headers ...string) string {
	a := bittorrent.AnnounceRequest{
		InfoHash: bittorrent.InfoHash{7}, PeerID: bittorrent.PeerID{byte(n)}, Port: uint16(1000 + n), Left: 1, NumWant: -1,
	}
	return plainRequest("/announce?"+string(bittorrent.AppendHTTPAnnounce(nil, &a)), headers...)
}

func getScrape(headers ...string) string {
	return plainRequest("/scrape?"+string(bittorrent.AppendHTTPScrape(nil, []bittorrent.InfoHash{{7}, {8}})), headers...)
}

func plainRequest(target string, headers ...string) string {
	lines := append([]string{"GET " + target + " HTTP/1.1", "Host: tracker.example:6969"}, headers...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func TestPlainRequestsAreReadInPlace(t *testing.T) {
	for in, want := range map[string]request{
		plainRequest("/announce?a=%zz\xff&b"):                         {action: announce, query: "a=%zz\xff&b"},
		plainRequest("/announce"):                                     {action: announce},
		plainRequest("/scrape?"):                                      {action: scrape},
		plainRequest("/scrape?a?b#c"):                                 {action: scrape, query: "a?b#c"},
		plainRequest("/announce?x", "connection:CLOSE"):               {action: announce, query: "x", close: true},
		plainRequest("/announce?x", "Connection: \t keep-alive \t"):   {action: announce, query: "x"},
		plainRequest("/announce?x", "X-FORWARDED-FOR: a", "X-A: b\t"): {action: announce, query: "x", forwarded: []string{"a"}},
		plainRequest("/announce?x", "x-forwarded-for: a, b", "X-Forwarded-For:c", "Connection: close", "Connection: close"): {action: announce, query: "x", forwarded: []string{"a, b", "c"}, close: true},
		"GET /announce?x HTTP/1.0\r\n\r\n":                                     {action: announce, query: "x", http10: true, close: true},
		"GET /announce?x HTTP/1.0\r\nHost:\r\nConnection: Keep-Alive\r\n\r\n":  {action: announce, query: "x", http10: true},
		"GET /announce?x HTTP/1.1\r\nHost: [::1]:6969\r\nAccept: */*\r\n\r\n":  {action: announce, query: "x"},
		"GET /scrape HTTP/1.1\r\nHost: a\r\nUser-Agent: \xe9 (x; y)/1\r\n\r\n": {action: scrape},
	} {
		var r request
		length, is := r.parse(in + "GET")
		if is != whole || length != len(in) {
			t.Errorf("%q: %d, %d bytes of %d, want a whole request", in, is, length, len(in))
		}
		if r.action != want.action || r.query != want.query || r.http10 != want.http10 || r.close != want.close || !slices.Equal(r.forwarded, want.forwarded) {
			t.Errorf("%q: read as %+v, want %+v", in, r, want)
		}
	}
}

func TestRequestIsPartialUntilItsLastByte(t *testing.T) {
	var r request
	for _, in := range []string{get(1, "Connection: close", "X-Forwarded-For: a"), getScrape()} {
		for i := range len(in) {
			if length, is := r.parse(in[:i]); is != partial || length != 0 {
				t.Fatalf("%q: %d, want partial", in[:i], is)
			}
		}
	}
}

func TestWhatIsNotAPlainRequestIsForeign(t *testing.T) {
	const rest = "Host: x\r\n\r\n"
	for _, in := range []string{
		"\r\n" + get(1),
		"\n\n\n\n",
		"HEAD /announce?x HTTP/1.1\r\n" + rest,
		"POST /announce?x HTTP/1.1\r\n" + rest,
		"get /announce?x HTTP/1.1\r\n" + rest,
		"GET  /announce?x HTTP/1.1\r\n" + rest,
		"GET /announce?x  HTTP/1.1\r\n" + rest,
		"GET /announce?x y HTTP/1.1\r\n" + rest,
		"GET /announce?x\ty HTTP/1.1\r\n" + rest,
		"GET /announce?x\x00 HTTP/1.1\r\n" + rest,
		"GET /announce?x\x7f HTTP/1.1\r\n" + rest,
		"GET /announce?x\r HTTP/1.1\r\n" + rest,
		"GET /announce?x HTTP/1.2\r\n" + rest,
		"GET /announce?x HTTP/2.0\r\n" + rest,
		"GET /announce?x http/1.1\r\n" + rest,
		"GET /announce?x HTTP/1.1 \r\n" + rest,
		"GET /announce?x\r\n" + rest,
		"GET /announce?x HTTP/1.1\n" + rest,
		"GET /announce/?x HTTP/1.1\r\n" + rest,
		"GET //announce?x HTTP/1.1\r\n" + rest,
		"GET /Announce?x HTTP/1.1\r\n" + rest,
		"GET /%61nnounce?x HTTP/1.1\r\n" + rest,
		"GET announce?x HTTP/1.1\r\n" + rest,
		"GET http://x/announce?x HTTP/1.1\r\n" + rest,
		"GET /health HTTP/1.1\r\n" + rest,
		"GET / HTTP/1.1\r\n" + rest,
		"GET /announce?x HTTP/1.1\r\n\r\n",
		plainRequest("/announce?x", "Host: y"),
		"GET /announce?x HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET /announce?x HTTP/1.1\r\nHost: a/b\r\n\r\n",
		"GET /announce?x HTTP/1.1\r\nHost: x\n\r\n",
		"GET /announce?x HTTP/1.1\r\nHost: x\r\n\n",
		plainRequest("/announce?x", "A: b", " folded"),
		plainRequest("/announce?x", "A: b", "\tfolded"),
		plainRequest("/announce?x", "A : b"),
		plainRequest("/announce?x", ": b"),
		plainRequest("/announce?x", "A"),
		plainRequest("/announce?x", "A: b\rC: d"),
		plainRequest("/announce?x", "A: \x00"),
		plainRequest("/announce?x", "\xc3\xa4: b"),
		plainRequest("/announce?x", "Content-Length: 0"),
		plainRequest("/announce?x", "content-length: 5"),
		plainRequest("/announce?x", "Transfer-Encoding: chunked"),
		plainRequest("/announce?x", "TRANSFER-ENCODING: identity"),
		plainRequest("/announce?x", "Expect: 100-continue"),
		plainRequest("/announce?x", "Upgrade: websocket"),
		plainRequest("/announce?x", "Connection: Upgrade"),
		plainRequest("/announce?x", "Connection: keep-alive, close"),
		plainRequest("/announce?x", "Connection:"),
		plainRequest("/announce?x", "Connection: close", "Connection: keep-alive"),
	} {
		var r request
		if length, is := r.parse(in); is != foreign || length != 0 {
			t.Errorf("%q: %d, want foreign", in, is)
		}
	}
}

// feed appends to what b has read.
func (b *buffers) feed(in string) {
	b.makeRoom()
	b.end += copy(b.in[b.end:], in)
}

func newBuffers(s *Server) *buffers {
	b := s.newBuffers()
	b.now = s.options.Tracker.Now()
	return b
}

func TestPipelinedRequestsAreAnsweredAlikeWhereverTheyAreSplit(t *testing.T) {
	pipeline := get(1) + get(2, "X-A: b") + getScrape() + get(3, "Connection: close") + get(4)
	pipeline = strings.ReplaceAll(pipeline, "&left=1", "&left=1&numwant=0") // peers would come in any order
	s := newServer(nil, fixed())
	for n := range 4 {
		b := newBuffers(s)
		b.feed(get(n))
		s.answer(b, local)
	}
	var want string
	for i := range len(pipeline) + 1 {
		b := newBuffers(s)
		b.feed(pipeline[:i])
		then := s.answer(b, local)
		if then == readMore {
			b.feed(pipeline[i:])
			then = s.answer(b, local)
		}
		if then != hangUp {
			t.Fatalf("split at %d: %d, want to hang up after the fourth", i, then)
		}
		if want == "" {
			want = string(b.out)
		}
		if string(b.out) != want || strings.Count(want, "HTTP/1.1 200 OK\r\n") != 4 {
			t.Fatalf("split at %d: answered\n%s\nwant\n%s", i, b.out, want)
		}
	}
}

func TestManyLongAnswersAreWrittenInBetween(t *testing.T) {
	s := newServer(nil, fixed())
	b := newBuffers(s)
	for n := range 250 {
		b.feed(get(n))
		s.answer(b, local)
		b.out = b.out[:0]
	}
	request := plainRequest(strings.Fields(get(1))[1] + "&numwant=200")
	answered, writes, longest := 0, 0, 0
	for range 20 {
		b.feed(strings.Repeat(request, readSize/len(request)))
		for then := writeFirst; then == writeFirst; writes++ {
			then = s.answer(b, local)
			answered += strings.Count(string(b.out), "HTTP/1.1 200 OK\r\n")
			longest = max(longest, len(b.out))
			b.out = b.out[:0]
		}
	}
	if want := 20 * (readSize / len(request)); answered != want || writes <= 20 || longest > flushSize+2_000 {
		t.Errorf("%d of %d answered in %d writes of up to %d bytes", answered, want, writes, longest)
	}
}

func TestAnsweringAllocatesNothing(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for name, in := range map[string]string{
		"announce":             get(1),
		"announce, to close":   get(1, "Connection: close"),
		"announce, with ids":   plainRequest(strings.Replace(strings.Fields(get(1))[1], "compact=1", "compact=0", 1)),
		"announce, by a proxy": get(1, "X-Forwarded-For: 6.6.6.6, 192.0.2.1", "X-Forwarded-For: 127.0.0.9"),
		"scrape":               getScrape(),
		"refused announce":     plainRequest("/announce"),
		"announce, who says":   strings.Replace(get(1, "User-Agent: Transmission/4.0.5"), " HTTP", "&jwt=a.b.c HTTP", 1),
		"pipeline":             strings.Repeat(get(1)+getScrape(), 4),
	} {
		s := newServer(proxies, fixed())
		b := newBuffers(s)
		for n := range 60 {
			b.feed(get(n))
			s.answer(b, local)
		}
		answer := func() {
			b.start, b.end, b.out = 0, 0, b.out[:0]
			b.feed(in)
			s.answer(b, local)
			s.count(b)
		}
		if n := testing.AllocsPerRun(1000, answer); n != 0 || len(b.out) == 0 {
			t.Errorf("%s: %v allocations, %d bytes answered", name, n, len(b.out))
		}
	}
}

func TestDateFollowsTheClock(t *testing.T) {
	s := newServer(nil, fixed())
	b := newBuffers(s)
	for range 3 {
		b.now = b.now.Add(time.Second)
		b.feed(get(1))
		b.out = b.out[:0]
		s.answer(b, local)
		want := fmt.Sprintf("\r\nDate: %s\r\n", b.now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
		if !strings.Contains(string(b.out), want) {
			t.Errorf("answered %q, want %q in it", b.out, want)
		}
	}
}

func TestAcceptingIsTriedAgainUntilClose(t *testing.T) {
	s := newServer(nil, fixed())
	for range 3 {
		if !s.retry(errors.New("no file descriptors left")) {
			t.Error("given up")
		}
	}
	if pause := time.Duration(s.retries.pause.Load()); pause != 4*firstPause {
		t.Errorf("waited %v at last, want %v", pause, 4*firstPause)
	}
	s.retries.accepted()
	s.retries.pause.Store(int64(time.Hour))
	close(s.closing)
	if s.retry(errors.New("no file descriptors left")) {
		t.Error("tried again after Close")
	}
}
