//go:build long

package interop

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"
)

// startTransmission starts Transmission. It is for network namespaces: on
// loopback alone it transfers nothing, and its ports are its usual ones.
func startTransmission(t *testing.T, h host, torrent, dir string) *process {
	t.Helper()
	daemon, remote := program(t, "transmission-daemon", makeTestLong), program(t, "transmission-remote", makeTestLong)
	p := start(t, h, "Transmission", daemon, "--foreground", "--config-dir", t.TempDir(), "--download-dir", dir,
		"--no-dht", "--no-lpd", "--no-utp", "--no-portmap", "--no-auth", "--rpc-bind-address", "127.0.0.1")

	order := func(what ...string) error {
		command := slices.Concat(h.enter, []string{remote, "127.0.0.1:9091"}, what)
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("transmission-remote: %w: %s", err, out)
		}
		return nil
	}
	// A Transmission that ends does not always wait until an HTTP tracker is told.
	p.leave = func() error { return order("--torrent", "all", "--stop") }
	eventually(t, patience, "Transmission takes the torrent", func() error {
		if err := p.alive(); err != nil {
			return err
		}
		return order("--add", torrent)
	})
	return p
}
