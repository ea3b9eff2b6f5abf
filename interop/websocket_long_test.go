//go:build long

package interop

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"waggle/bench"
	"waggle/internal/binary"
)

// Browsers whose tracker is killed come back to the one that takes its place, and find each
// other there, though it knows nothing of them.
func TestBrowsersComeBackAfterKillNine(t *testing.T) {
	t.Parallel()
	first := launchTracker(t, loopback4, "--store", "memory:")
	announce := first.url(t, "ws", ipv4Loopback)
	at, err := url.Parse(announce)
	if err != nil {
		t.Fatal(err)
	}
	seed := startBrowser(t, loopback, announce, browserHash, seedBrowser)
	leech := startBrowser(t, loopback, announce, browserHash, leechedBy)
	seed.ask(t, announcerRequest{Do: "start"})
	leech.ask(t, announcerRequest{Do: "start", Left: 1000})
	leech.meets(t, seed, 0)
	seed.meets(t, leech, 0)

	seed.mayWarn, leech.mayWarn = true, true
	if err := syscall.Kill(first.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.exited
	met, answered := seed.met(t, leech), leech.met(t, seed)
	second := startTracker(t, loopback4, "--store", "memory:", "--listen-http", netip.MustParseAddrPort(at.Host).String())
	if !slices.Contains(second.urls, announce) {
		t.Fatalf("the new tracker is at %q, want %s", second.urls, announce)
	}
	seed.reply(t, "the announce of a seeder that has come back")
	leech.reply(t, "the announce of a leecher that has come back")
	second.waitForCounts(t, browserHash, counts{complete: 1, incomplete: 1})
	seed.meets(t, leech, met)
	leech.meets(t, seed, answered)
}

// shipped returns the path of the binary as it is shipped: with the race detector it takes
// many times the memory.
func shipped(t *testing.T) string {
	t.Helper()
	path, err := buildShipped()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var buildShipped = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "waggle-shipped")
	return path, binary.Build("..", path, nil)
})

// Goals of connections on which nothing happens.
const (
	browsersAtOnce  = 50_000
	bytesPerBrowser = 20_000
)

// As many browsers as are to be held, or as this machine lets a process have files open,
// announce and then keep silent.
func TestFiftyThousandBrowsersTakeLessThanTwentyKilobytesEach(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	const others = 500 // files, of the tracker's and the load's own
	connections := int(min(browsersAtOnce, files.Max-others))
	t.Logf("%d connections: a process may have %d files open", connections, files.Max)
	path := shipped(t)
	tr := launchBinary(t, loopback4, path, "--store", "memory:", "--limits-websocket-connections-per-address", "0")
	out := run(t, path, "bench", "ws", tr.url(t, "ws", ipv4Loopback), "--connections", "0", "--idle", strconv.Itoa(connections),
		"--torrents", strconv.Itoa(connections/10), "--idle-for", "10s", "--timeout", patience.String(), "--pid", strconv.Itoa(tr.cmd.Process.Pid), "--json")
	var report bench.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	fill, idle := report.Results[0].Fill, report.Results[0].Idle
	if fill.Announces != int64(connections) || idle.Connections != connections {
		t.Errorf("%d of %d announces were answered, and %d connections left open", fill.Announces, connections, idle.Connections)
	}
	t.Logf("%.0f bytes a connection, all in", idle.PerConnection)
	if idle.PerConnection <= 0 || idle.PerConnection >= bytesPerBrowser {
		t.Errorf("%.0f bytes a connection, want less than %d", idle.PerConnection, bytesPerBrowser)
	}
	if err := tr.stop(); err != nil {
		t.Errorf("waggle after SIGTERM: %v", err)
	}
}
