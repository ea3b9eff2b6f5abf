//go:build long

package interop

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// webTorrent returns the path of something below interop/webtorrent, whose modules are
// installed.
func webTorrent(t *testing.T, name string) string {
	t.Helper()
	if _, err := os.Stat("webtorrent/node_modules/webtorrent"); err != nil {
		t.Fatalf("npm's webtorrent not found: run `%s`, which installs it (%v)", makeTestLong, err)
	}
	path, err := filepath.Abs(filepath.Join("webtorrent", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func startWebTorrent(t *testing.T, h host, torrent, dir string) *process {
	t.Helper()
	return start(t, h, "webtorrent", program(t, "node", makeTestLong), webTorrent(t, "client.mjs"), torrent, dir)
}

// askAgainSoon is for WebRTC that fails: WebTorrent tries anew when it announces again.
const askAgainSoon = "--announce-websocket-interval=10s"

func TestWebTorrentTransfersBetweenNamespaces(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	tracked := n.addHost(t)
	tr := startTracker(t, tracked, "--store", sqliteStore(t), askAgainSoon)
	processes := transfer{
		tracker:  tr,
		announce: tr.url(t, "ws", tracked.addrs[0]),
		create:   mktorrent,
		seeder:   placed{startWebTorrent, n.addHost(t)},
		fetchers: []placed{{startWebTorrent, n.addHost(t)}, {startWebTorrent, n.addHost(t)}},
		browsers: true,
	}.run(t)
	for _, p := range processes {
		checkOverWebRTC(t, p)
	}
}

// checkOverWebRTC fails the test unless a client had peers, all of them over WebRTC.
func checkOverWebRTC(t *testing.T, p *process) {
	t.Helper()
	peers := 0
	for _, line := range p.stdout.lines() {
		var e struct{ Event, Kind string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("client.mjs printed %q: %v", line, err)
		}
		if e.Event != "peer" {
			continue
		}
		if peers++; e.Kind != "webrtc" {
			t.Errorf("%s had a peer over %s", p.name, e.Kind)
		}
	}
	if peers == 0 {
		t.Errorf("%s had no peer", p.name)
	}
}

// A page in Chromium fetches from WebTorrent in Node, and then, as the only one who has the
// file, seeds to another one.
func TestChromiumTransfersBetweenNamespaces(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	tracked := n.addHost(t)
	tr := startTracker(t, tracked, "--store", "memory:", askAgainSoon)
	dir := t.TempDir()
	payload, torrent := filepath.Join(dir, "seeder", payloadName), filepath.Join(dir, "payload.torrent")
	want := writePayload(t, payload)
	mktorrent(t, payload, tr.url(t, "ws", tracked.addrs[0]), torrent)
	infoHash := infoHash(t, torrent)

	seeder := startWebTorrent(t, n.addHost(t), torrent, filepath.Dir(payload))
	tr.waitForCounts(t, infoHash, counts{complete: 1})
	h := n.addHost(t)
	page := n.servePage(t, torrent)
	chromium := startChromium(t, h, page.url)
	eventually(t, transferLimit, "the page has the whole file", func() error {
		for _, p := range []*process{seeder, chromium} {
			if err := p.alive(); err != nil {
				return err
			}
		}
		return page.done(hex.EncodeToString(want[:]))
	})
	tr.waitForCounts(t, infoHash, counts{complete: 2})
	if err := seeder.leaveSwarm(); err != nil {
		t.Fatal(err)
	}
	tr.waitForCounts(t, infoHash, counts{complete: 1})

	to := filepath.Join(dir, "fetcher")
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	fetcher := startWebTorrent(t, n.addHost(t), torrent, to)
	waitForPayload(t, filepath.Join(to, payloadName), want, []*process{chromium, fetcher})
	tr.waitForCounts(t, infoHash, counts{complete: 2})
	checkOverWebRTC(t, fetcher)
	_ = chromium.stop() // how browsers end is not what is tested
	tr.waitForCounts(t, infoHash, counts{complete: 1})
}

// page is a page that a test serves, and what it has told.
type page struct {
	url  string
	mu   sync.Mutex
	told []string // path and body
}

// done returns an error until the page has told that it has a file with a SHA-256.
func (p *page) done(want string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, told := range p.told {
		if told == "/done "+want {
			return nil
		}
	}
	return fmt.Errorf("the page has told %q", p.told)
}

// servePage serves interop/webtorrent/page.html on the loopback of the newest host, from
// where a browser trusts it as it does a page over TLS.
func (n *network) servePage(t *testing.T, torrent string) *page {
	t.Helper()
	var l net.Listener
	if err := within(fmt.Sprintf("%s-%d", n.name, n.hosts), func() (err error) {
		l, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	p := &page{url: "http://" + l.Addr().String() + "/"}
	files := map[string]string{
		"/": webTorrent(t, "page.html"), "/webtorrent.min.js": webTorrent(t, "node_modules/webtorrent/dist/webtorrent.min.js"), "/payload.torrent": torrent,
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.told = append(p.told, r.URL.Path+" "+string(body))
			return
		}
		if file, ok := files[r.URL.Path]; ok {
			http.ServeFile(w, r, file)
			return
		}
		http.NotFound(w, r)
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l) // until Close
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
		if t.Failed() {
			t.Logf("the page told %q", p.told)
		}
	})
	return p
}

func startChromium(t *testing.T, h host, url string) *process {
	t.Helper()
	return start(t, h, "chromium", program(t, "chromium", makeTestLong), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-crash-reporter",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE 10.77.0.1", "--user-data-dir="+t.TempDir(), url)
}
