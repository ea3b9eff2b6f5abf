//go:build long

package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// delugeConfig keeps Deluge to the tracker.
const delugeConfig = `{"file": 1, "format": 1}{
  "dht": false,
  "lsd": false,
  "natpmp": false,
  "upnp": false,
  "utpex": false,
  "new_release_check": false,
  "listen_interface": "%s",
  "listen_ports": [6990, 6990],
  "random_port": false,
  "enabled_plugins": []
}`

// startDeluge starts Deluge. It is for network namespaces: before it has read its
// settings it asks its network's router for ports, and a DNS server for DHT nodes.
func startDeluge(t *testing.T, h host, torrent, dir string) *process {
	t.Helper()
	daemon, console := program(t, "deluged", makeTestLong), program(t, "deluge-console", makeTestLong)
	config := t.TempDir()
	if err := os.WriteFile(filepath.Join(config, "core.conf"), fmt.Appendf(nil, delugeConfig, h.addrs[0]), 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, h, "Deluge", daemon, "--do-not-daemonize", "--config", config, "--ui-interface", "127.0.0.1", "--port", "58846")

	order := slices.Concat(h.enter, []string{
		console, "--config", config,
		fmt.Sprintf("connect 127.0.0.1:58846; add --path %s %s", dir, torrent),
	})
	eventually(t, patience, "Deluge takes the torrent", func() error {
		if err := p.alive(); err != nil {
			return err
		}
		// deluge-console waits for ever for a daemon that does not answer yet.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, order[0], order[1:]...).CombinedOutput()
		if err == nil && !bytes.Contains(out, []byte("Torrent added!")) {
			err = fmt.Errorf("deluge-console says %s", out)
		}
		return err
	})
	return p
}
