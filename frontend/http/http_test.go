package http_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	frontend "waggle/frontend/http"
	"waggle/internal/freeport"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a frontend over an empty memory store, and a client of its own.
type server struct {
	*frontend.Server
	client *http.Client
}

func listen(t *testing.T, change func(*frontend.Options), trusted ...string) *server {
	t.Helper()
	o := frontend.Options{
		Tracker: tracker.New(memory.New(memory.Options{Details: true}), tracker.Settings{
			Interval: time.Minute, MinInterval: 30 * time.Second, NumWant: 50, MaxNumWant: 200,
		}, tracker.Options{}),
	}
	if change != nil {
		change(&o)
	}
	var prefixes []netip.Prefix
	for _, p := range trusted {
		prefixes = append(prefixes, netip.MustParsePrefix(p))
	}
	s, err := frontend.Listen(t.Context(), []string{"127.0.0.1:0", "[::1]:0"}, prefixes, o)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &server{s, &http.Client{Transport: transport}}
}

func (s *server) v4() string { return "http://" + s.Addrs()[0].String() }
func (s *server) v6() string { return "http://" + s.Addrs()[1].String() }

func (s *server) get(t *testing.T, address string, header ...string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %s: %s", address, response.Status, body)
	}
	return body
}

func query(n int, extra string) string {
	a := bittorrent.AnnounceRequest{
		InfoHash: bittorrent.InfoHash{7}, PeerID: bittorrent.PeerID{byte(n >> 8), byte(n)},
		Port: uint16(1000 + n), Left: 1, NumWant: -1,
	}
	return "/announce?" + strings.TrimSuffix(string(bittorrent.AppendHTTPAnnounce(nil, &a)), "&compact=1") + extra
}

func (s *server) announce(t *testing.T, address string, header ...string) bittorrent.AnnounceResponse {
	t.Helper()
	var out bittorrent.AnnounceResponse
	body := s.get(t, address, header...)
	if err := bittorrent.ParseHTTPAnnounceResponse(body, &out); err != nil {
		t.Fatalf("%s: %v in %q", address, err, body)
	}
	return out
}

func (s *server) failure(t *testing.T, address string, header ...string) error {
	t.Helper()
	return bittorrent.ParseHTTPAnnounceResponse(s.get(t, address, header...), new(bittorrent.AnnounceResponse))
}

func peers(r *bittorrent.AnnounceResponse) (list []string) {
	for addr, id := range r.Peers.All() {
		list = append(list, fmt.Sprintf("%v %d", addr, id[1]))
	}
	return list
}

func wantPeers(t *testing.T, r bittorrent.AnnounceResponse, want ...string) {
	t.Helper()
	got := strings.Join(peers(&r), ", ")
	if got != strings.Join(want, ", ") {
		t.Errorf("told of [%s], want %v", got, want)
	}
}

func TestOneAnswerHoldsPeersOfIPv4AndIPv6InEveryForm(t *testing.T) {
	s := listen(t, nil)
	s.announce(t, s.v4()+query(1, ""))
	s.announce(t, s.v6()+query(2, ""))
	wantPeers(t, s.announce(t, s.v4()+query(3, "&compact=1")), "127.0.0.1:1001 0", "[::1]:1002 0")
	wantPeers(t, s.announce(t, s.v4()+query(3, "")), "127.0.0.1:1001 0", "[::1]:1002 0")
	wantPeers(t, s.announce(t, s.v4()+query(3, "&compact=0")), "127.0.0.1:1001 1", "[::1]:1002 2")
	wantPeers(t, s.announce(t, s.v4()+query(3, "&compact=0&no_peer_id=1")), "127.0.0.1:1001 0", "[::1]:1002 0")
	r := s.announce(t, s.v6()+query(2, ""))
	if r.ExternalIP != netip.MustParseAddr("::1") || r.MinInterval != 30*time.Second || r.Incomplete != 3 {
		t.Errorf("got %+v", r)
	}
}

func TestNumWantIsKeptTo(t *testing.T) {
	s := listen(t, nil)
	for n := range 60 {
		s.announce(t, s.v4()+query(n, ""))
	}
	for extra, want := range map[string]int{"": 50, "&numwant=3": 3, "&numwant=0": 0, "&numwant=-1": 50, "&numwant=99999999999999": 59} {
		r := s.announce(t, s.v4()+query(0, extra))
		if got := r.Peers.Len(); got != want {
			t.Errorf("%q: %d peers, want %d", extra, got, want)
		}
	}
}

func TestScrapeOfSeveralTorrents(t *testing.T) {
	s := listen(t, func(o *frontend.Options) { o.MaxScrape = 2 })
	s.announce(t, s.v4()+query(1, ""))
	hashes := []bittorrent.InfoHash{{7}, {8}}
	body := s.get(t, s.v4()+"/scrape?"+string(bittorrent.AppendHTTPScrape(nil, hashes)))
	for h, want := range map[bittorrent.InfoHash]uint32{{7}: 1, {8}: 0} {
		if c, ok, err := bittorrent.ParseHTTPScrapeResponse(body, h); err != nil || !ok || c.Incomplete != want {
			t.Errorf("%v: %+v, %t, %v, want %d leechers", h, c, ok, err, want)
		}
	}
	three := "/scrape?" + string(bittorrent.AppendHTTPScrape(nil, append(hashes, bittorrent.InfoHash{9})))
	for path, want := range map[string]error{"/scrape": bittorrent.ErrScrapeEmpty, three: bittorrent.ErrScrapeLimit} {
		if err := s.failure(t, s.v4()+path); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}

func TestBadAnnounceGetsAFailureReasonAndAGoodOneFollowsOnTheSameConnection(t *testing.T) {
	s := listen(t, nil)
	conn, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for path, want := range map[string]error{
		"/announce":                  bittorrent.ErrInfoHashMissing,
		query(1, "&left=5"):          bittorrent.ErrRepeated,
		"/announce?info_hash=%ff%fe": bittorrent.ErrInfoHashLength,
		query(1, ""):                 nil,
		query(1, "&port=2"):          bittorrent.ErrRepeated,
		"/announce?\xff\xfe=\xff&info_hash=%00%zz":   bittorrent.ErrInfoHashLength,
		"/announce?" + strings.Repeat("x=y&", 2_000): bittorrent.ErrInfoHashMissing,
	} {
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		err = bittorrent.ParseHTTPAnnounceResponse(body, new(bittorrent.AnnounceResponse))
		if response.StatusCode != http.StatusOK || !errors.Is(err, want) {
			t.Errorf("%s: status %d, %v, want 200, %v", path, response.StatusCode, err, want)
		}
	}
}

func TestForwardedAddressCountsFromTrustedProxiesOnly(t *testing.T) {
	const header = "X-Forwarded-For"
	stranger := listen(t, nil)
	if r := stranger.announce(t, stranger.v4()+query(1, ""), header, "192.0.2.1"); r.ExternalIP != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("a stranger's header was believed: %v", r.ExternalIP)
	}
	s := listen(t, nil, "127.0.0.0/8", "10.0.0.0/8")
	for _, test := range []struct {
		headers []string
		want    string
	}{
		{nil, "127.0.0.1"},
		{[]string{header, "192.0.2.1"}, "192.0.2.1"},
		{[]string{header, "6.6.6.6, 192.0.2.1"}, "192.0.2.1"}, // the first is the client's own claim
		{[]string{header, "192.0.2.1, 10.1.1.1"}, "192.0.2.1"},
		{[]string{header, "6.6.6.6", header, "192.0.2.1,10.1.1.1"}, "192.0.2.1"},
		{[]string{header, "10.2.2.2"}, "10.2.2.2"},
		{[]string{header, "[2001:db8::1]:4711"}, "2001:db8::1"},
		{[]string{header, "192.0.2.1:4711"}, "192.0.2.1"},
		{[]string{header, "::ffff:192.0.2.1"}, "192.0.2.1"},
	} {
		if r := s.announce(t, s.v4()+query(1, ""), test.headers...); r.ExternalIP.String() != test.want {
			t.Errorf("%v: taken for %v, want %s", test.headers, r.ExternalIP, test.want)
		}
	}
	if err := s.failure(t, s.v4()+query(1, ""), header, "192.0.2.1, unknown"); err == nil {
		t.Error("a header that is no address was passed over")
	}
	s.Trust(nil)
	if r := s.announce(t, s.v4()+query(1, ""), header, "192.0.2.1"); r.ExternalIP.String() != "127.0.0.1" {
		t.Errorf("a proxy that is trusted no more was believed: %v", r.ExternalIP)
	}
}

func TestHealthSaysWhatIsWrong(t *testing.T) {
	for text, wrong := range map[string]error{
		"200 ok\n":                  nil,
		"200 degraded: disk full\n": errors.New("disk full"),
		"503 unavailable: " + swarm.ErrBusy.Error() + "\n": swarm.ErrBusy, // and announces are refused
	} {
		s := listen(t, func(o *frontend.Options) { o.Health = func() error { return wrong } })
		answer, err := http.Get(s.v4() + "/health")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if got := fmt.Sprint(answer.StatusCode, " ", string(body)); got != text || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, text)
		}
		_ = answer.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	}
}

func TestTrackerWithoutItsStoreIsAliveAllTheSame(t *testing.T) {
	s := listen(t, func(o *frontend.Options) { o.Health = func() error { return swarm.ErrBusy } })
	answer, err := s.client.Get(s.v4() + "/health/live")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if body, err := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK || string(body) != "ok\n" || err != nil {
		t.Errorf("%d %q, %v", answer.StatusCode, body, err)
	}
}

// TestHealthTellsOthersThatSomethingIsWrongAndNotWhat asks as a proxy on this machine does
// for somebody else.
func TestHealthTellsOthersThatSomethingIsWrongAndNotWhat(t *testing.T) {
	s := listen(t, func(o *frontend.Options) { o.Health = func() error { return errors.New("redis at 10.1.2.3 is away") } })
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.v4()+"/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", "203.0.113.7")
	answer, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if want := "degraded: the tracker's log and console say why\n"; string(body) != want || err != nil {
		t.Errorf("%q, %v; want %q", body, err, want)
	}
}

func TestOtherPathsAndMethodsAreRefused(t *testing.T) {
	s := listen(t, nil)
	for path, want := range map[string]int{"/": 404, "/announce/x": 404, "/stats": 404} {
		response, err := s.client.Get(s.v4() + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, response.StatusCode, want)
		}
	}
	for _, post := range []func() (*http.Response, error){
		func() (*http.Response, error) { return s.client.PostForm(s.v4()+query(1, ""), url.Values{}) },
		func() (*http.Response, error) { return s.client.Head(s.v4() + query(1, "")) },
	} {
		response, err := post()
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("status %d, want 405", response.StatusCode)
		}
	}
}

func TestRequestLineOf10MBIsCutOff(t *testing.T) {
	s := listen(t, nil)
	conn, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	chunk := bytes.Repeat([]byte("x"), 1<<16)
	_, err = conn.Write([]byte("GET /announce?"))
	sent := 0
	for ; err == nil && sent < 10<<20; sent += len(chunk) {
		_, err = conn.Write(chunk)
	}
	answer, _ := io.ReadAll(conn)
	if err == nil {
		t.Errorf("all of %d bytes were taken", sent)
	}
	if len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.1 431 ")) {
		t.Errorf("answered %q, want 431", answer)
	}
	if r := s.announce(t, s.v4()+query(1, "")); r.Incomplete != 1 {
		t.Errorf("the tracker does not answer after it: %+v", r)
	}
}

func TestSlowClientIsCutOffAndKeepsNobodyWaiting(t *testing.T) {
	s := listen(t, func(o *frontend.Options) { o.MaxConnections, o.Timeout = 3, 2*time.Second })
	var slow []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", s.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Write([]byte("GET /announce?info_hash=")); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
	}
	if r := s.announce(t, s.v4()+query(1, "")); r.Incomplete != 1 {
		t.Errorf("got %+v", r)
	}
	for _, conn := range slow {
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want the server to have closed", err)
		}
	}
}

func TestCloseEndsRequestsUnderWayAndDoesNotWaitForClientsThatNeverFinish(t *testing.T) {
	t.Parallel() // it takes as long as Close waits
	entered, leave := make(chan struct{}), make(chan struct{})
	s := listen(t, func(o *frontend.Options) {
		o.Timeout = time.Hour
		o.Health = func() error {
			close(entered)
			<-leave
			return nil
		}
	})
	stuck, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stuck.Close() }()
	if _, err := stuck.Write([]byte("GET /announce?info_hash=")); err != nil {
		t.Fatal(err)
	}
	body := make(chan string)
	go func() { body <- string(s.get(t, s.v4()+"/health")) }()
	<-entered
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	close(leave)
	if got := <-body; got != "ok\n" {
		t.Errorf("the request under way was answered %q", got)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestAddressInUseIsNamedAndNothingIsKept(t *testing.T) {
	taken := listen(t, nil).Addrs()[0].String()
	first := freeport.Address(t)
	_, err := frontend.Listen(t.Context(), []string{first, taken}, nil, frontend.Options{})
	if err == nil || !strings.Contains(err.Error(), taken) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v, want an error that names %s", err, taken)
	}
	again, err := net.Listen("tcp", first)
	if err != nil {
		t.Fatalf("the first address was kept: %v", err)
	}
	_ = again.Close()
}
