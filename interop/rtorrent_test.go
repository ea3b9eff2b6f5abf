//go:build long

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// rtorrentConfig lets rtorrent run without a terminal, and keeps it to the
// tracker. If it checked the file again on completion, it would tell the tracker
// that it is complete only at its next announce, many minutes later.
const rtorrentConfig = `system.daemon.set = true
session.path.set = %s
directory.default.set = %s
network.bind_address.set = %s
network.port_range.set = 6990-6990
network.port_random.set = no
dht.mode.set = disable
protocol.pex.set = no
log.open_file = "stderr", "/dev/stderr"
log.add_output = "warn", "stderr"
log.add_output = "tracker_info", "stderr"
pieces.hash.on_completion.set = no
`

// startRtorrent starts rtorrent. It is for network namespaces, as its port is
// always the same.
func startRtorrent(t *testing.T, h host, torrent, dir string) *process {
	t.Helper()
	session := t.TempDir()
	config := filepath.Join(t.TempDir(), "rtorrent.rc")
	if err := os.WriteFile(config, fmt.Appendf(nil, rtorrentConfig, session, dir, h.addrs[0]), 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, h, "rtorrent", program(t, "rtorrent", makeTestLong), "-n", "-o", "import="+config, torrent)
	p.quit = syscall.SIGINT // SIGTERM is to leave without a word to the tracker
	return p
}
