package interop

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"waggle/internal/clustertest"
)

// clusterOfThree starts instances that find each other on loopback. The first is master.
func clusterOfThree(t *testing.T) (master *tracker, slaves []*tracker) {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "cluster.secret")
	if err := os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{
		"--store", "memory:", "--cluster-group", clustertest.Group(t).String(), "--cluster-peers", "off", "--cluster-interface", "lo", "--cluster-secret-file", secret,
	}
	master = launchTracker(t, loopback4, flags...)
	master.waitUntilHealthy(t)
	for range 2 {
		slaves = append(slaves, startTracker(t, loopback4, flags...))
	}
	for _, tr := range slaves {
		tr.waitUntilHealthy(t)
	}
	return master, slaves
}

// waitUntilHealthy waits until the tracker takes announces in.
func (tr *tracker) waitUntilHealthy(t *testing.T) {
	t.Helper()
	eventually(t, patience, "announces are taken in", func() error {
		_, err := tr.get("/health")
		return errors.Join(tr.alive(), err)
	})
}

// Clients know nothing of the cluster. Each one has the address of one slave, and the last one
// begins while there is no master.
func TestLibtorrentAtSlavesOfAClusterOutlivesItsMaster(t *testing.T) {
	t.Parallel()
	master, slaves := clusterOfThree(t)
	dir := t.TempDir()
	payload := filepath.Join(dir, "seeder", payloadName)
	want := writePayload(t, payload)
	torrent := func(tr *tracker, scheme string) string {
		file := filepath.Join(t.TempDir(), "payload.torrent")
		waggleTorrentCreate(t, payload, tr.url(t, scheme, ipv4Loopback), file)
		return file
	}
	udp := torrent(slaves[0], "udp")
	hash := infoHash(t, udp)
	all := append([]*tracker{master}, slaves...)
	count := func(c counts) {
		t.Helper()
		for _, tr := range all {
			tr.waitForCounts(t, hash, c)
		}
	}
	everybody := []*process{startLibtorrent(t, loopback4, udp, filepath.Dir(payload))}
	count(counts{complete: 1})
	fetch := func(file, name string) {
		t.Helper()
		to := filepath.Join(dir, name)
		if err := os.Mkdir(to, 0o755); err != nil {
			t.Fatal(err)
		}
		everybody = append(everybody, startLibtorrent(t, loopback4, file, to))
		waitForPayload(t, filepath.Join(to, payloadName), want, everybody)
	}
	fetch(torrent(slaves[1], "http"), "first")
	count(counts{complete: 2, downloaded: 1})

	if !strings.Contains(strings.Join(master.stderr.lines(), "\n"), "this instance is master") {
		t.Error("the one that began is not master")
	}
	if err := syscall.Kill(-master.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	all = slaves
	fetch(torrent(slaves[1], "udp"), "second")
	count(counts{complete: 3, downloaded: 2})
	for _, p := range everybody {
		if err := p.leaveSwarm(); err != nil {
			t.Errorf("%s does not leave the swarm: %v", p.name, err)
		}
	}
	count(counts{downloaded: 2})
}
