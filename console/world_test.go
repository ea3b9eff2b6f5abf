package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console"
	"waggle/console/client"
	"waggle/store/memory"
	"waggle/swarm"
)

const token = "0123456789abcdef-secret"

// world is a console with a catalogue and peers.
type world struct {
	catalog *catalog.Catalog
	store   *memory.Store
	console *console.Console
	url     string
}

func newWorld(t *testing.T, change func(*console.Options)) *world {
	t.Helper()
	w := &world{store: memory.New(memory.Options{Details: true})}
	var err error
	if w.catalog, err = catalog.Open(t.Context(), catalog.Options{Store: catalog.NewMemory(1 << 30), MaxBytes: 1 << 20, Profiles: swarm.Profiles}); err != nil {
		t.Fatal(err)
	}
	o := console.Options{
		Figures: func() any { return map[string]int{"announces": 7} }, Version: "1.2.3",
		Catalog: w.catalog, Swarms: memory.Shown{Store: w.store}, Roster: w.store, MaxUpload: 1 << 20,
	}
	if change != nil {
		change(&o)
	}
	if w.console, err = console.Listen(t.Context(), "127.0.0.1:0", o); err != nil {
		t.Fatal(err)
	}
	w.url = "http://" + w.console.Addr().String()
	t.Cleanup(func() {
		for _, c := range []io.Closer{w.console, w.catalog, w.store} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return w
}

// client returns a client of the API.
func (w *world) client(t *testing.T, token string) *client.Client {
	t.Helper()
	c, err := client.New(w.url, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// metainfo returns the .torrent of one file of 1,000 bytes.
func metainfo(name string) []byte {
	return fmt.Appendf(nil, "d4:infod6:lengthi1000e4:name%d:%s12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee", len(name), name)
}

// add registers a torrent of a name.
func (w *world) add(t *testing.T, name string) catalog.Transfer {
	t.Helper()
	transfer, err := w.catalog.Add(t.Context(), name+".torrent", metainfo(name))
	if err != nil {
		t.Fatal(err)
	}
	return transfer
}

// announce lets a peer announce to the store.
func (w *world) announce(t *testing.T, h bittorrent.InfoHash, from string, left int64) {
	t.Helper()
	addr := netip.MustParseAddrPort(from)
	a := swarm.Announce{From: addr.Addr(), Now: time.Unix(1_700_000_000, 0)}
	a.InfoHash, a.Port, a.Left, a.Uploaded, a.Downloaded = h, addr.Port(), left, 11, 22
	a.PeerID = bittorrent.PeerID([]byte("-qB4520-abcdefghijkl"))
	if err := w.store.Announce(t.Context(), &a, new(swarm.Reply)); err != nil {
		t.Fatal(err)
	}
}

// request is one to the API.
type request struct {
	method, path string
	body         []byte
	header       map[string]string
	host         string
}

// response is what came back.
type response struct {
	status int
	header http.Header
	body   []byte
}

func (r *response) problem(t *testing.T) *client.Problem {
	t.Helper()
	p := new(client.Problem)
	if got := r.header.Get("Content-Type"); got != client.ProblemType {
		t.Errorf("an error has the content type %s: %s", got, r.body)
	}
	if err := json.Unmarshal(r.body, p); err != nil || p.Status != r.status || p.Title == "" {
		t.Errorf("no problem: %s, %v", r.body, err)
	}
	return p
}

func decode[T any](t *testing.T, r *response) (v T) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(r.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&v); err != nil {
		t.Errorf("status %d, %s: %v", r.status, r.body, err)
	}
	return v
}

// do sends a request. What comes back from the API must be as its description says.
func (w *world) do(t *testing.T, q request) *response {
	t.Helper()
	sent, err := http.NewRequestWithContext(t.Context(), q.method, w.url+q.path, bytes.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range q.header {
		sent.Header.Set(name, value)
	}
	sent.Host = q.host
	got := send(t, sent)
	unknown := got.status == http.StatusNotFound || got.status == http.StatusMethodNotAllowed
	if strings.HasPrefix(q.path, "/api/v1/") && !strings.HasPrefix(q.path, "/api/v1/openapi.") && !unknown {
		wantDescribed(t, sent, got)
	}
	return got
}

func send(t *testing.T, sent *http.Request) *response {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}}
	received, err := c.Do(sent)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = received.Body.Close() }()
	body, err := io.ReadAll(received.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &response{received.StatusCode, received.Header, body}
}

// description is the OpenAPI document, as a validator has it.
var description = sync.OnceValues(func() (validator.Validator, error) {
	store, err := catalog.Open(context.Background(), catalog.Options{Store: catalog.NewMemory(1)})
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	c, err := console.Listen(context.Background(), "127.0.0.1:0", console.Options{Catalog: store, Version: "1.2.3"})
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	received, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + c.Addr().String() + "/api/v1/openapi.json")
	if err != nil {
		return nil, err
	}
	defer func() { _ = received.Body.Close() }()
	text, err := io.ReadAll(received.Body)
	if err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return v, nil
})

// wantDescribed checks an answer against the OpenAPI document.
func wantDescribed(t *testing.T, sent *http.Request, got *response) {
	t.Helper()
	v, err := description()
	if err != nil {
		t.Fatal(err)
	}
	received := &http.Response{StatusCode: got.status, Header: got.header, Body: io.NopCloser(bytes.NewReader(got.body))}
	if ok, errs := v.ValidateHttpResponse(sent, received); !ok {
		for _, e := range errs {
			t.Errorf("%s %s answers %d, %s, against its description: %s: %s", sent.Method, sent.URL.Path, got.status, got.body, e.Message, e.Reason)
			for _, why := range e.SchemaValidationErrors {
				t.Errorf("  %s", why.Reason)
			}
		}
	}
}

func get(path string) request { return request{method: http.MethodGet, path: path} }

func upload(file string, body []byte) request {
	return request{method: http.MethodPost, path: "/api/v1/torrents?file=" + file, body: body, header: map[string]string{"Content-Type": client.MediaType}}
}
