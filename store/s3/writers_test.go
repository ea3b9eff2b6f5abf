package s3

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// writers is how many announce to one swarm at once.
const writers = 64

// announceAll lets many writers announce peers of their own, each complete and then one
// of three gone, through some stores in turn, as often as it takes.
func announceAll(t *testing.T, stores []*Store, each int) (refused int64) {
	t.Helper()
	var all sync.WaitGroup
	var busy atomic.Int64
	persist := func(s *Store, a *swarm.Announce) {
		for ctx, try := context.Background(), 0; ; try++ {
			err := s.Announce(ctx, a, new(swarm.Reply))
			if err == nil {
				return
			}
			if busy.Add(1); !errors.Is(err, swarm.ErrBusy) || try == 100 {
				t.Errorf("after %d attempts: %v", try, err)
				return
			}
			time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond) // a client that was told to come back
		}
	}
	for w := range writers {
		all.Go(func() {
			for n := range each {
				a := announced(1, w*each+n)
				a.Event = bittorrent.EventStarted
				persist(stores[w%len(stores)], a)
				a.Event, a.Left = bittorrent.EventCompleted, 0
				persist(stores[(w+n)%len(stores)], a)
				if n%3 == 0 {
					a.Event = bittorrent.EventStopped
					persist(stores[w%len(stores)], a)
				}
			}
		})
	}
	all.Wait()
	return busy.Load()
}

// wantWhole checks the counts by all that tell of them.
func wantWhole(t *testing.T, stores []*Store, each int) {
	t.Helper()
	left := 0
	for n := range each {
		if n%3 != 0 {
			left += writers
		}
	}
	h := announced(1, 0).InfoHash
	for _, s := range stores {
		c, ok, err := s.Counts(t.Context(), h)
		if want := (bittorrent.ScrapeCounts{Complete: uint32(left), Downloaded: uint32(writers * each)}); !ok || err != nil || c != want {
			t.Errorf("%+v, %v, %v, want %+v", c, ok, err, want)
		}
		shown := 0
		if whole, err := s.Walk(t.Context(), h, nil, func(some []swarm.Peer) bool { shown += len(some); return true }); !whole || err != nil || shown != left {
			t.Errorf("%d peers are shown, %v, %v, want %d", shown, whole, err, left)
		}
		if n, err := s.Totals(t.Context()); err != nil || n != (swarm.Totals{Torrents: 1, Peers: left, Seeders: left}) {
			t.Errorf("%+v, %v", n, err)
		}
	}
}

func TestWritersOfOneSwarmLoseNobody(t *testing.T) {
	for _, test := range []struct {
		server *testServer
		stores int
		split  int
	}{{versitygw, 1, 0}, {versitygw, 2, 4 << 10}, {versitygw, 4, 0}, {minio, 4, 4 << 10}} {
		t.Run(fmt.Sprintf("%s, %d trackers, %d bytes", test.server.name, test.stores, test.split), func(t *testing.T) {
			o := test.server.newPrefix()
			o.SplitBytes, o.PartAge = test.split, 0
			var stores []*Store
			for range test.stores {
				stores = append(stores, open(t, o))
			}
			const each = 9
			refused := announceAll(t, stores, each)
			wantWhole(t, stores, each)
			for _, s := range stores {
				t.Logf("refused %d; %+v", refused, s.Figures())
			}
		})
	}
}

// between is a proxy in front of a server, which lets fault answer instead of it.
func between(t *testing.T, to *testServer, fault func(w http.ResponseWriter, r *http.Request, pass func()) bool) string {
	t.Helper()
	target, err := url.Parse(to.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // which is signed
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fault(w, r, func() { proxy.ServeHTTP(httptest.NewRecorder(), r) }) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return server.URL
}

// refuse answers with an error of S3.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>made up by a test</Message></Error>`, code)
}

func TestServerThatRefusesAndForgetsToAnswerLosesNobody(t *testing.T) {
	t.Parallel() // it waits more than it does
	o := versitygw.newPrefix()
	open(t, o) // proved through the server itself
	var all, puts, slow, changed, lost atomic.Int64
	o.Endpoint = between(t, versitygw, func(w http.ResponseWriter, r *http.Request, pass func()) bool {
		const eachSlow, eachChanged, eachLost = 7, 9, 10
		if r.Method == http.MethodPut {
			puts.Add(1)
		}
		switch {
		case all.Add(1)%eachSlow == 0:
			slow.Add(1)
			refuse(w, http.StatusServiceUnavailable, "SlowDown")
		case r.Method == http.MethodPut && puts.Load()%eachChanged == 0:
			changed.Add(1)
			refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		case r.Method == http.MethodPut && puts.Load()%eachLost == 0: // it is done, and nobody hears of it
			lost.Add(1)
			pass()
			refuse(w, http.StatusInternalServerError, "InternalError")
		default:
			return false
		}
		return true
	})
	direct := versitygw.options(o.Prefix)
	direct.SplitBytes, o.SplitBytes = 4<<10, 4<<10
	// The proxy answers a probe at Open as badly: the mark says that it was proved already.
	stores := []*Store{open(t, direct)}
	for range 2 {
		stores = append(stores, openAnyhow(t, o))
	}
	const each = 6
	refused := announceAll(t, stores, each)
	wantWhole(t, stores[:1], each)
	var throttled, failed uint64
	for _, s := range stores {
		throttled, failed = throttled+s.Figures().Throttled, failed+s.Figures().Failed
		if err := s.Healthy(); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	}
	if throttled == 0 || failed == 0 || slow.Load() == 0 || changed.Load() == 0 || lost.Load() == 0 {
		t.Errorf("throttled %d, failed %d, of %d slow, %d changed, %d lost", throttled, failed, slow.Load(), changed.Load(), lost.Load())
	}
	t.Logf("%d announces were refused; %d SlowDown, %d made-up conflicts, %d lost answers", refused, slow.Load(), changed.Load(), lost.Load())
}

// openAnyhow opens a store without looking at what it opens.
func openAnyhow(t *testing.T, o Options) *Store {
	t.Helper()
	o = o.withDefaults()
	b, err := newAmazon(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(newServer(b, &o), &o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestServerThatIsAwayIsNoticedAndFoundAgain(t *testing.T) {
	o := versitygw.newPrefix()
	var away atomic.Bool
	var asked atomic.Int64
	o.Endpoint = between(t, versitygw, func(w http.ResponseWriter, _ *http.Request, _ func()) bool {
		if !away.Load() {
			return false
		}
		asked.Add(1)
		hijack(w)
		return true
	})
	s := open(t, o)
	do(t, s, announced(1, 1))
	away.Store(true)
	for n := 0; s.Healthy() == nil; n++ {
		if err := s.Announce(t.Context(), announced(1, 2), new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) {
			t.Fatalf("announce %d: %v", n, err)
		}
	}
	before := asked.Load()
	began := time.Now()
	for n := range 1000 {
		if err := s.Announce(t.Context(), announced(1, n), new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) {
			t.Fatal(err)
		}
		if err := s.Scrape(t.Context(), []bittorrent.InfoHash{{1}}, make([]bittorrent.ScrapeCounts, 1)); !errors.Is(err, swarm.ErrBusy) {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > time.Second || asked.Load()-before > 5 {
		t.Errorf("2,000 refusals took %v and %d requests", took, asked.Load()-before)
	}
	t.Log(s.Healthy())
	away.Store(false)
	for s.Healthy() != nil {
		time.Sleep(10 * time.Millisecond)
		if time.Since(began) > 10*time.Second {
			t.Fatal(s.Healthy())
		}
	}
	if r := do(t, s, announced(1, 3)); r.Incomplete != 2 {
		t.Errorf("%d peers are there again, want 2", r.Incomplete)
	}
}

// hijack closes a connection without an answer.
func hijack(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

func TestServerThatIsSilentIsGivenUpInTime(t *testing.T) {
	o := versitygw.newPrefix()
	var silent atomic.Bool
	release := make(chan struct{})
	o.Endpoint = between(t, versitygw, func(http.ResponseWriter, *http.Request, func()) bool {
		if silent.Load() {
			<-release
			return true
		}
		return false
	})
	defer close(release)
	o.Attempt, o.Patience, o.Waiting = 100*time.Millisecond, 300*time.Millisecond, 8
	s := open(t, o)
	silent.Store(true)
	var all sync.WaitGroup
	var busy atomic.Int64
	began := time.Now()
	for n := range 50 {
		all.Go(func() {
			if err := s.Announce(t.Context(), announced(1, n), new(swarm.Reply)); errors.Is(err, swarm.ErrBusy) {
				busy.Add(1)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); busy.Load() != 50 || took > 2*time.Second {
		t.Errorf("%d of 50 were refused, in %v", busy.Load(), took)
	}
	if f := s.Figures(); f.Refused != 50 {
		t.Errorf("%+v", f)
	}
}
