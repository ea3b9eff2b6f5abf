package interop

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
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

func startQBittorrent(t *testing.T, h host, torrent, dir string) *process {
	t.Helper()
	path := program(t, "qbittorrent-nox", makeTest)
	profile, webPort := t.TempDir(), freePort(t)
	config := filepath.Join(profile, "qBittorrent", "config", "qBittorrent.conf")
	if err := os.MkdirAll(filepath.Dir(config), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, qBittorrentConfig, freePort(t), webPort), 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, h, "qBittorrent", path, "--profile="+profile)

	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: h.dial, DisableKeepAlives: true}}
	api := fmt.Sprintf("http://127.0.0.1:%d/api/v2", webPort)
	eventually(t, 30*time.Second, "qBittorrent takes orders", func() error {
		if err := p.alive(); err != nil {
			return err
		}
		resp, err := client.Get(api + "/app/version")
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	addToQBittorrent(t, &client, api, torrent, dir)
	return p
}

// addToQBittorrent gives qBittorrent a torrent, over its web interface.
func addToQBittorrent(t *testing.T, client *http.Client, api, torrent, dir string) {
	t.Helper()
	content, err := os.ReadFile(torrent)
	if err != nil {
		t.Fatal(err)
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	file, err := w.CreateFormFile("torrents", filepath.Base(torrent))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(content) // to memory, as is all of the form
	_ = w.WriteField("savepath", dir)
	_ = w.Close()

	resp, err := client.Post(api+"/torrents/add", w.FormDataContentType(), &form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "Ok." {
		t.Fatalf("qBittorrent does not take the torrent: %s: %s (%v)", resp.Status, body, err)
	}
}

// freePort returns a TCP port of IPv4 loopback that was free a moment ago, for
// programs that cannot choose one themselves.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
