package interop

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"waggle/internal/freeport"
)

// qBittorrentConfig keeps qBittorrent to loopback and to the tracker: no DHT, no
// peer exchange, no port forwarding, no download of a table of countries. Orders
// from this machine need no password.
const qBittorrentConfig = `[BitTorrent]
Session\DHTEnabled=false
Session\Interface=lo
Session\InterfaceName=lo
Session\LSDEnabled=false
Session\MultiConnectionsPerIp=true
Session\PeXEnabled=false
Session\Port=%d
Session\QueueingSystemEnabled=false

[LegalNotice]
Accepted=true

[Network]
PortForwardingEnabled=false

[Preferences]
Connection\ResolvePeerCountries=false
WebUI\Address=127.0.0.1
WebUI\LocalHostAuth=false
WebUI\Port=%d
WebUI\UseUPnP=false
`

// A qBittorrent is a running one, which takes orders over its web interface.
type qBittorrent struct {
	*process
	http http.Client
	api  string // the URL below which orders are
}

func startQBittorrent(t *testing.T, h host, torrent, dir string) *process {
	t.Helper()
	q := launchQBittorrent(t, h)
	q.add(t, map[string]string{"savepath": dir}, torrent)
	return q.process
}

// launchQBittorrent starts qBittorrent with no torrents and waits until it takes
// orders.
func launchQBittorrent(t *testing.T, h host) *qBittorrent {
	t.Helper()
	path := program(t, "qbittorrent-nox", makeTest)
	profile, webPort := t.TempDir(), freeport.For(t)
	config := filepath.Join(profile, "qBittorrent", "config", "qBittorrent.conf")
	if err := os.MkdirAll(filepath.Dir(config), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, qBittorrentConfig, freeport.For(t), webPort), 0o644); err != nil {
		t.Fatal(err)
	}
	q := &qBittorrent{
		process: start(t, h, "qBittorrent", path, "--profile="+profile),
		http:    http.Client{Timeout: patience, Transport: &http.Transport{DialContext: h.dial, DisableKeepAlives: true}},
		api:     fmt.Sprintf("http://127.0.0.1:%d/api/v2", webPort),
	}
	eventually(t, patience, "qBittorrent takes orders", func() error {
		if err := q.alive(); err != nil {
			return err
		}
		_, err := q.get("/app/version")
		return err
	})
	return q
}

// add gives qBittorrent .torrent files, or the magnets in the field urls. The
// other fields say what to do with them all.
func (q *qBittorrent) add(t *testing.T, fields map[string]string, torrents ...string) {
	t.Helper()
	var form bytes.Buffer // writing to memory does not fail
	w := multipart.NewWriter(&form)
	for i, torrent := range torrents {
		content, err := os.ReadFile(torrent)
		if err != nil {
			t.Fatal(err)
		}
		file, err := w.CreateFormFile("torrents", fmt.Sprint(i, ".torrent")) // of one name it takes the last only
		if err != nil {
			t.Fatal(err)
		}
		_, _ = file.Write(content)
	}
	for name, value := range fields {
		_ = w.WriteField(name, value)
	}
	_ = w.Close()
	body, err := q.answer(q.http.Post(q.api+"/torrents/add", w.FormDataContentType(), &form))
	if err != nil || string(body) != "Ok." {
		t.Fatalf("qBittorrent does not take the torrents: %s (%v)", body, err)
	}
}

func (q *qBittorrent) get(path string) ([]byte, error) {
	return q.answer(q.http.Get(q.api + path))
}

func (q *qBittorrent) post(path string, form url.Values) ([]byte, error) {
	return q.answer(q.http.PostForm(q.api+path, form))
}

// answer returns the body of an answer, which has to be 200.
func (q *qBittorrent) answer(resp *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("qBittorrent answers %s: %s", resp.Status, body)
	}
	return body, err
}
