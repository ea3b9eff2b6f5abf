package traces_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	fronthttp "waggle/frontend/http"
	"waggle/frontend/udp"
	"waggle/locality"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/traces"
	"waggle/tracker"
)

// smdb is a web service of locations. It knows every address, and is broken below
// /broken.
type smdb struct {
	*httptest.Server

	mu     sync.Mutex
	parent map[string]string // traceparent by path
}

func newSMDB(t *testing.T) *smdb {
	t.Helper()
	s := &smdb{parent: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.parent[r.URL.Path] = r.Header.Get("traceparent")
		if strings.HasPrefix(r.URL.Path, "/broken/") {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprint(w, `{"server": {"cabinet": "r12"}}`)
	}))
	t.Cleanup(s.Close)
	return s
}

// site is a tracker with frontends, whose locations a web service knows.
type site struct {
	udp  netip.AddrPort
	http string
	stop func() // waits for what is under way
}

// serve starts a site whose announces are traced by e, or by nobody.
func serve(t *testing.T, e *traces.Exporter, store swarm.Store, urls ...string) site {
	t.Helper()
	o := tracker.Options{}
	if e != nil {
		o.Tracer = e.Tracer()
	}
	if len(urls) > 0 {
		o.Locator = newLocator(t, urls...)
	}
	strict, err := swarm.NewPolicy("strict", 15*time.Second, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	tr := tracker.New(store, tracker.Settings{
		Interval: time.Minute, PeerLifetime: time.Hour, NumWant: 50, MaxNumWant: 50, Policies: tracker.Policies{Default: &strict},
	}, o)
	u, err := udp.Listen(t.Context(), []string{"127.0.0.1:0"}, udp.Options{Tracker: tr, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	h, err := fronthttp.Listen(t.Context(), []string{"127.0.0.1:0"}, nil, fronthttp.Options{Tracker: tr})
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() { _, _ = u.Close(), h.Close() })
	t.Cleanup(stop)
	return site{u.Addrs()[0], "http://" + h.Addrs()[0].String() + "/announce?", stop}
}

func newLocator(t *testing.T, urls ...string) *locality.Locator {
	t.Helper()
	tree, err := locality.NewTree(100, "rack")
	if err != nil {
		t.Fatal(err)
	}
	var sources []locality.Source
	for _, url := range urls {
		rest, err := locality.NewREST(locality.RESTOptions{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, rest)
	}
	l, err := locality.New(tree, locality.Options{Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// peerID is of who announces in these tests.
var peerID = bittorrent.PeerID([]byte("-XX0000-whoeveritis1"))

func request(hash byte, port uint16) *bittorrent.AnnounceRequest {
	return &bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{hash}, PeerID: peerID, Port: port, Left: 1, NumWant: -1, Event: bittorrent.EventStarted}
}

// overUDP announces from an address, and returns the answer; nil: there was none.
func (s site) overUDP(t *testing.T, from string, a *bittorrent.AnnounceRequest) []byte {
	t.Helper()
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)}, net.UDPAddrFromAddrPort(s.udp))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	answer := make([]byte, 2048)
	exchange := func(packet []byte, patience time.Duration) []byte {
		if _, err := conn.Write(packet); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		n, err := conn.Read(answer)
		if err != nil {
			return nil
		}
		return answer[:n]
	}
	r, err := bittorrent.ParseUDPResponse(exchange(bittorrent.AppendUDPConnect(nil, 1), 5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	id, err := r.ConnectionID()
	if err != nil {
		t.Fatal(err)
	}
	patience := 5 * time.Second
	if a.InfoHash[0] == busy || a.InfoHash[0] == faulty {
		patience = 200 * time.Millisecond // nothing comes
	}
	return exchange(bittorrent.AppendUDPAnnounce(nil, id, 2, a, ""), patience)
}

// overHTTP announces from an address.
func (s site) overHTTP(t *testing.T, from string, a *bittorrent.AnnounceRequest) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext}}
	response, err := client.Get(s.http + string(bittorrent.AppendHTTPAnnounce(nil, a)))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
}

func TestAnnounceWhoseLocationIsAskedForIsTracedToEachSource(t *testing.T) {
	for protocol, announce := range map[string]func(s site, t *testing.T, from string, a *bittorrent.AnnounceRequest){
		"udp":  func(s site, t *testing.T, from string, a *bittorrent.AnnounceRequest) { s.overUDP(t, from, a) },
		"http": site.overHTTP,
	} {
		t.Run(protocol, func(t *testing.T) {
			r, web := newReceiver(t), newSMDB(t)
			e := open(t, traces.Options{Endpoint: r.URL, Share: 1})
			s := serve(t, e, memory.New(memory.Options{}), web.URL+"/broken/{ip}?key=hush", web.URL+"/good/{ip}")
			for range 3 { // of which the first alone leaves the machine
				announce(s, t, "127.0.0.77", request(1, 6881))
			}
			e.Close()
			r.wantManual(t)
			root, locate := r.one(t, "announce"), r.one(t, "locate")
			asked := r.named("ask rest")
			if len(asked) != 2 || len(r.spans) != 4 || len(root.ParentSpanId) != 0 {
				t.Fatalf("%d sources asked, %d spans, root below %x", len(asked), len(r.spans), root.ParentSpanId)
			}
			wantChild(t, locate, root)
			wantAttributes(t, root, map[string]string{
				"waggle.protocol": protocol, "waggle.event": "started", "waggle.outcome": "answered", "waggle.location": "r12",
				"waggle.info_hash": hex.EncodeToString(append([]byte{1}, make([]byte, 19)...)),
			})
			wantAttributes(t, locate, map[string]string{"waggle.cached": "false", "waggle.shared": "false", "waggle.location": "r12"})
			for i, want := range []map[string]string{
				{"waggle.source": "rest " + web.URL + "/broken/{ip}", "waggle.outcome": "failed", "waggle.cached": "false", "http.response.status_code": "500"},
				{"waggle.source": "rest " + web.URL + "/good/{ip}", "waggle.outcome": "known", "waggle.cached": "false", "http.response.status_code": "200"},
			} {
				wantChild(t, asked[i], locate)
				wantAttributes(t, asked[i], want)
			}
			for i, path := range []string{"/broken/127.0.0.77", "/good/127.0.0.77"} {
				if got := web.parent[path]; got != traceparent(asked[i]) {
					t.Errorf("%s was asked with traceparent %q, want %q", path, got, traceparent(asked[i]))
				}
			}
			for _, secret := range []string{"127.0.0.77", string(peerID[:]), hex.EncodeToString(peerID[:]), "hush", "6881"} {
				if strings.Contains(strings.Join(r.bodies, ""), secret) {
					t.Errorf("the receiver is told %q", secret)
				}
			}
		})
	}
}

func TestWithoutTracesSourcesAreAskedAsBefore(t *testing.T) {
	web := newSMDB(t)
	s := serve(t, nil, memory.New(memory.Options{}), web.URL+"/good/{ip}")
	if s.overUDP(t, "127.0.0.77", request(1, 6881)) == nil {
		t.Error("no answer")
	}
	if parent, asked := web.parent["/good/127.0.0.77"]; !asked || parent != "" {
		t.Errorf("asked: %v, with traceparent %q", asked, parent)
	}
}

func TestTraceThatIsNotInTheShareIsSaidToBeSo(t *testing.T) {
	r, web := newReceiver(t), newSMDB(t)
	e := open(t, traces.Options{Endpoint: r.URL, Share: 0})
	s := serve(t, e, memory.New(memory.Options{}), web.URL+"/good/{ip}")
	s.overHTTP(t, "127.0.0.77", request(1, 6881))
	e.Close()
	if parent := web.parent["/good/127.0.0.77"]; !strings.HasSuffix(parent, "-00") || len(r.spans) > 0 {
		t.Errorf("traceparent %q, %d spans", parent, len(r.spans))
	}
}

func TestAnnouncesAreAnsweredWhetherTheReceiverIsThereOrHangs(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	hanging, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hanging.Close() }()
	for _, endpoint := range []string{gone.URL, "http://" + hanging.Addr().String()} {
		web := newSMDB(t)
		e := open(t, traces.Options{Endpoint: endpoint, Share: 1, Gather: time.Millisecond})
		s := serve(t, e, memory.New(memory.Options{}), web.URL+"/good/{ip}")
		began := time.Now()
		for n := range 50 {
			if s.overUDP(t, fmt.Sprintf("127.0.1.%d", n+1), request(1, 6881)) == nil {
				t.Fatal("no answer")
			}
		}
		if took := time.Since(began); took > 40*time.Second {
			t.Errorf("50 announces took %v", took)
		}
	}
}

// What a remote store does with the torrent of a first byte.
const (
	good byte = iota + 1
	busy
	broken
	faulty
)

// remote is a store behind a network, which fails for some torrents.
type remote struct{ *memory.Store }

func (remote) Healthy() error { return nil }

func (s remote) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	switch a.InfoHash[0] {
	case busy:
		return fmt.Errorf("10.0.0.1: %w", swarm.ErrBusy)
	case broken:
		return errors.New("10.0.0.1: no such table")
	case faulty:
		panic("the test's fault")
	}
	return s.Store.Announce(ctx, a, r)
}

func TestAnnounceToARemoteStoreIsTracedWithItsOutcome(t *testing.T) {
	for protocol, announce := range map[string]func(s site, t *testing.T, from string, a *bittorrent.AnnounceRequest){
		"udp":  func(s site, t *testing.T, from string, a *bittorrent.AnnounceRequest) { s.overUDP(t, from, a) },
		"http": site.overHTTP,
	} {
		t.Run(protocol, func(t *testing.T) {
			r := newReceiver(t)
			e := open(t, traces.Options{Endpoint: r.URL, Share: 1})
			s := serve(t, e, remote{memory.New(memory.Options{})})
			announce(s, t, "127.0.0.77", request(good, 0)) // refused for its port, before the store is asked
			hashes := []byte{good, busy, broken, faulty}
			for _, hash := range hashes {
				announce(s, t, "127.0.0.77", request(hash, 6881))
			}
			s.stop()
			e.Close()
			roots, stores := r.named("announce"), r.named("store")
			if len(roots) != len(hashes) || len(stores) != len(roots) {
				t.Fatalf("%d announces, %d of the store", len(roots), len(stores))
			}
			for i, want := range []struct{ announce, store string }{{"answered", "stored"}, {"shed", "busy"}, {"refused", "failed"}, {"fault", ""}} {
				wantChild(t, stores[i], roots[i])
				wantAttributes(t, roots[i], map[string]string{"waggle.protocol": protocol, "waggle.outcome": want.announce})
				wantAttributes(t, stores[i], map[string]string{"waggle.outcome": want.store})
			}
			r.wantManual(t)
			if strings.Contains(strings.Join(r.bodies, ""), "10.0.0.1") {
				t.Error("the receiver is told what stands in errors")
			}
		})
	}
}
