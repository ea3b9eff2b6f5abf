package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"waggle/account"
	"waggle/console/client"
)

// browser reads a stream.
type browser struct {
	mu     sync.Mutex
	header http.Header
	got    strings.Builder
	status int
	ended  chan struct{} // closed when the server has no more to say
}

func (b *browser) Header() http.Header              { return b.header }
func (b *browser) WriteHeader(status int)           { b.status = status }
func (b *browser) Flush()                           {}
func (b *browser) SetReadDeadline(time.Time) error  { return nil }
func (b *browser) SetWriteDeadline(time.Time) error { return nil }
func (b *browser) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got.Write(p)
}

// take returns the events that have come since the last time, without heartbeats.
func (b *browser) take() (events []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range strings.Split(strings.TrimSpace(b.got.String()), "\n\n") {
		if e != "" && e != ":" {
			events = append(events, e)
		}
	}
	b.got.Reset()
	return events
}

// watch looks at a page until stop.
func (w *world) watch(t *testing.T, path string) (b *browser, stop func()) {
	t.Helper()
	b = &browser{header: http.Header{}, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(account.With(t.Context(), w.who))
	go func() {
		defer close(b.ended)
		w.site.ServeHTTP(b, httptest.NewRequestWithContext(ctx, http.MethodGet, "/live?"+url.Values{"page": {path}}.Encode(), nil))
	}()
	return b, func() {
		cancel()
		<-b.ended
	}
}

func TestOnlyWhatChangedIsSent(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		b, stop := w.watch(t, "/torrents?sort=size")
		defer stop()
		synctest.Wait()
		events := b.take()
		if len(events) != 1 || !strings.HasPrefix(events[0], "event: block\ndata: ") {
			t.Fatalf("got %q", events)
		}
		var block struct{ ID, HTML string }
		if err := json.Unmarshal([]byte(strings.TrimPrefix(events[0], "event: block\ndata: ")), &block); err != nil || block.ID != "list" {
			t.Fatalf("got %+v, %v", block, err)
		}
		if !strings.Contains(block.HTML, "12,345") || strings.Contains(block.HTML, "<script>") || strings.Contains(block.HTML, "<h1") {
			t.Errorf("got %s", block.HTML)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if events := b.take(); len(events) != 0 {
			t.Errorf("nothing changed, and %q came", events)
		}
		w.answer("GET /swarms", client.SwarmPage{Total: 0})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if events := b.take(); len(events) != 1 || !strings.Contains(events[0], "0 torrents found") {
			t.Errorf("got %q", events)
		}
	})
}

func TestAStreamIsAliveWhileNothingChanges(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		b, stop := w.watch(t, "/peers")
		defer stop()
		synctest.Wait()
		b.take()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.got.String() != ":\n\n" {
			t.Errorf("got %q", b.got.String())
		}
	})
}

func TestAStreamThatRestsForLongIsStillAlive(t *testing.T) {
	w := newWorld(t)
	w.answer("GET /peers", late{2 * time.Second, client.PeerPage{}})
	synctest.Test(t, func(t *testing.T) {
		b, stop := w.watch(t, "/peers")
		defer stop()
		time.Sleep(3 * time.Second)
		b.take()
		time.Sleep(90 * time.Second) // of the 100 that it rests after 2 s of work
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		if got := b.got.String(); got != strings.Repeat(":\n\n", 4) {
			t.Errorf("got %q", got)
		}
	})
}

func TestAStreamEndsWithItsSession(t *testing.T) {
	a := accounts(t)
	w := newWorldWith(t, a)
	login := w.post(t, "/login", url.Values{"name": {"anna"}, "password": {"correct horse"}})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for _, c := range login.Cookies() {
		r.AddCookie(c)
	}
	who, ok := a.Session(r)
	if !ok {
		t.Fatal("there is no session")
	}
	w.who = who
	b, stop := w.watch(t, "/torrents")
	defer stop()
	a.LogOut(httptest.NewRecorder(), r)
	select {
	case <-b.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
	events := b.take()
	if n := len(events); n == 0 || !strings.HasPrefix(events[n-1], "event: end\ndata: You are not logged in any more") {
		t.Errorf("got %q", events)
	}
}

func TestWhatIsGoneOrDoesNotChangeEndsAStream(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/nothing", "/about", "/live?page=/", "/static/x", "/login", "https://evil.example/", "", "/transfers/" + strings.Repeat("0", 40)} {
		if path == "" {
			continue // is the overview
		}
		synctest.Test(t, func(t *testing.T) {
			b, stop := w.watch(t, path)
			defer stop()
			synctest.Wait()
			events := b.take()
			if path == "https://evil.example/" { // is the overview, too
				return
			}
			if len(events) != 1 || !strings.HasPrefix(events[0], "event: end") {
				t.Errorf("%s: %q", path, events)
			}
		})
	}
}

func TestWhoAsksForTheHeadOfAStreamGetsNoMore(t *testing.T) {
	w := newWorld(t)
	got := w.do(t, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/live?page=/peers", nil))
	if got.StatusCode != http.StatusOK || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/event-stream") || text(t, got) != "" {
		t.Errorf("status %d, %v", got.StatusCode, got.Header)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		var stops []func()
		for range 64 {
			_, stop := w.watch(t, "/peers")
			stops = append(stops, stop)
		}
		synctest.Wait()
		got := w.get(t, "/live?page=/peers")
		if got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
			t.Errorf("status %d", got.StatusCode)
		}
		for _, stop := range stops {
			stop()
		}
		b, stop := w.watch(t, "/peers")
		defer stop()
		synctest.Wait()
		if len(b.take()) != 1 {
			t.Error("the places are not given back")
		}
	})
}
