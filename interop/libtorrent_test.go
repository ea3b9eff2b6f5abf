package interop

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// python is Debian's own: python3-libtorrent is for no other.
const python = "/usr/bin/python3"

//go:embed libtorrent_client.py
var libtorrentSource []byte

// libtorrentScript returns the path of libtorrent_client.py.
func libtorrentScript(t *testing.T) string {
	t.Helper()
	path, err := libtorrentOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var libtorrentOnce = sync.OnceValues(func() (string, error) {
	if err := exec.Command(python, "-c", "import libtorrent").Run(); err != nil {
		return "", fmt.Errorf("python3-libtorrent not found: run `%s`, which installs it (%w)", makeTest, err)
	}
	path := filepath.Join(scratch, "libtorrent_client.py")
	return path, os.WriteFile(path, libtorrentSource, 0o644)
})

func startLibtorrent(t *testing.T, h host, torrent, dir string) *process {
	t.Helper()
	return start(t, h, "libtorrent", python, libtorrentScript(t), "run", torrent, dir, netip.AddrPortFrom(h.addrs[0], 0).String())
}

// A libtorrentEvent is one line of what libtorrent_client.py prints.
type libtorrentEvent struct {
	Event   string // tracker_reply, tracker_error, finished, error
	URL     string // of the tracker
	Peers   int    // in the reply
	Message string
}

func libtorrentEvents(t *testing.T, p *process) []libtorrentEvent {
	t.Helper()
	var events []libtorrentEvent
	for _, line := range p.stdout.lines() {
		var e libtorrentEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("libtorrent_client.py printed %q: %v", line, err)
		}
		events = append(events, e)
	}
	return events
}
