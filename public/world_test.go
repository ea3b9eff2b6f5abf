package public_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/public"
	"waggle/store/memory"
	"waggle/swarm"
)

// world is a public page with a catalogue and peers behind it.
type world struct {
	catalog *catalog.Catalog
	store   *memory.Store
	handler http.Handler
	now     time.Time // of torrents that are added
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{store: memory.New(memory.Options{}), now: time.Unix(1_700_000_000, 0)}
	var err error
	w.catalog, err = catalog.Open(t.Context(), catalog.Options{Store: catalog.NewMemory(1 << 30), Now: func() time.Time {
		w.now = w.now.Add(time.Second)
		return w.now
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.catalog.Close(); err != nil {
			t.Error(err)
		}
		_ = w.store.Close()
	})
	w.handler = public.New(public.Options{Catalog: w.catalog, Swarms: w.store})
	return w
}

// add registers a torrent of a name, which may be any bytes.
func (w *world) add(t *testing.T, name string) catalog.Transfer {
	t.Helper()
	metainfo := fmt.Appendf(nil, "d4:infod6:lengthi1500e4:name%d:%s12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee", len(name), name)
	transfer, err := w.catalog.Add(t.Context(), fmt.Sprintf("%d.torrent", w.catalog.Len()), metainfo)
	if err != nil {
		t.Fatal(err)
	}
	return transfer
}

func (w *world) announce(t *testing.T, h bittorrent.InfoHash, peer int, left int64) {
	t.Helper()
	a := swarm.Announce{From: netip.AddrFrom4([4]byte{10, 77, byte(peer >> 8), byte(peer)}), Now: time.Unix(1, 0)}
	a.InfoHash, a.Port, a.Left = h, 6881, left
	if err := w.store.Announce(context.Background(), &a, new(swarm.Reply)); err != nil {
		t.Fatal(err)
	}
}

func (w *world) get(path string) *httptest.ResponseRecorder { return w.ask(http.MethodGet, path, nil) }

func (w *world) ask(method, path string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://tracker.example:6969"+path, nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	got := httptest.NewRecorder()
	w.handler.ServeHTTP(got, r)
	return got
}
