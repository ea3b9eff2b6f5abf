//go:build long

package interop

import (
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"waggle/internal/authority"
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
	return startWebTorrentIn(t, h, nil, torrent, dir)
}

// startWebTorrentIn starts one with variables of its environment.
func startWebTorrentIn(t *testing.T, h host, env []string, torrent, dir string) *process {
	t.Helper()
	return start(t, h, "webtorrent", slices.Concat([]string{"env"}, env, []string{program(t, "node", makeTestLong), webTorrent(t, "client.mjs"), torrent, dir})...)
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
	page := n.servePage(t, torrent, nil)
	chromium := startChromium(t, h, page.url)
	page.waitForPayload(t, want, seeder, chromium)
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

// A page that came over TLS fetches over wss, where its site may connect, and that of another
// site does not. When the tracker is killed, the page comes back to the one that takes its
// place, and seeds.
func TestChromiumOnASecurePageComesBackAfterKillNine(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	tracked, browsing := n.addHost(t), n.addHost(t)
	dir, a := t.TempDir(), authority.New(t)
	payload, torrent := filepath.Join(dir, "seeder", payloadName), filepath.Join(dir, "payload.torrent")
	want := writePayload(t, payload)
	page, other := n.servePage(t, torrent, a.Config(t, "127.0.0.1")), n.servePage(t, torrent, a.Config(t, "127.0.0.1"))

	certificate, key := a.Write(t, dir, tracked.addrs[0].String())
	flags := []string{
		"--store", "memory:", askAgainSoon, "--access-origins", strings.TrimSuffix(page.url, "/"), "--tls-certificate", certificate, "--tls-key", key, "--listen-https",
	}
	first := launchTracker(t, tracked, append(flags, tracked.listen(0))...)
	announce := first.url(t, "wss", tracked.addrs[0])
	at, err := url.Parse(announce)
	if err != nil {
		t.Fatal(err)
	}
	mktorrent(t, payload, announce, torrent)
	infoHash := infoHash(t, torrent)

	env := trusting(t, a.Certificate)
	seeder := startWebTorrentIn(t, n.addHost(t), env, torrent, filepath.Dir(payload))
	first.waitForCounts(t, infoHash, counts{complete: 1})
	refused := startChromium(t, browsing, other.url)
	eventually(t, patience, "the page of another site is refused", func() error { return other.told("/warning", at.Host) })
	_ = refused.stop() // how browsers end is not what is tested
	if other.told("/peer", "") == nil {
		t.Error("the page of another site has a peer")
	}
	chromium := startChromium(t, browsing, page.url)
	page.waitForPayload(t, want, seeder, chromium)
	first.waitForCounts(t, infoHash, counts{complete: 2})
	if err := seeder.leaveSwarm(); err != nil {
		t.Fatal(err)
	}
	first.waitForCounts(t, infoHash, counts{complete: 1})

	if err := syscall.Kill(first.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.exited
	second := startTracker(t, tracked, append(flags, at.Host)...)
	second.waitForCounts(t, infoHash, counts{complete: 1})
	to := filepath.Join(dir, "fetcher")
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	fetcher := startWebTorrentIn(t, n.addHost(t), env, torrent, to)
	waitForPayload(t, filepath.Join(to, payloadName), want, []*process{chromium, fetcher})
	checkOverWebRTC(t, fetcher)
	_ = chromium.stop()
}

// page is a page that a test serves, and what it has told.
type page struct {
	url  string
	mu   sync.Mutex
	says []string // path and body
}

// told returns an error until the page has told something that holds certain words.
func (p *page) told(path, words string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, said := range p.says {
		if rest, ok := strings.CutPrefix(said, path+" "); ok && strings.Contains(rest, words) {
			return nil
		}
	}
	return fmt.Errorf("the page has told %q", p.says)
}

// waitForPayload waits until the page has a file with a SHA-256.
func (p *page) waitForPayload(t *testing.T, want [32]byte, processes ...*process) {
	t.Helper()
	eventually(t, transferLimit, "the page has the whole file", func() error {
		for _, p := range processes {
			if err := p.alive(); err != nil {
				return err
			}
		}
		return p.told("/done", hex.EncodeToString(want[:]))
	})
}

// servePage serves interop/webtorrent/page.html on the loopback of the newest host, from
// where a browser trusts it as it does a page over TLS; or over TLS, if that is not nil.
func (n *network) servePage(t *testing.T, torrent string, secure *tls.Config) *page {
	t.Helper()
	var l net.Listener
	if err := within(fmt.Sprintf("%s-%d", n.name, n.hosts), func() (err error) {
		l, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	p := &page{url: "http://" + l.Addr().String() + "/"}
	if secure != nil {
		p.url = "https://" + l.Addr().String() + "/"
		l = tls.NewListener(l, secure)
	}
	files := map[string]string{
		"/": webTorrent(t, "page.html"), "/webtorrent.min.js": webTorrent(t, "node_modules/webtorrent/dist/webtorrent.min.js"), "/payload.torrent": torrent,
	}
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.says = append(p.says, r.URL.Path+" "+string(body))
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
			t.Logf("the page at %s told %q", p.url, p.says)
		}
	})
	return p
}

// startChromium starts one that takes any certificate: Node is there to look at them.
func startChromium(t *testing.T, h host, url string) *process {
	t.Helper()
	return start(t, h, "chromium", program(t, "chromium", makeTestLong), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-crash-reporter",
		"--ignore-certificate-errors", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE 10.77.0.1", "--user-data-dir="+t.TempDir(), url)
}
