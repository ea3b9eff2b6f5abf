//go:build long

package interop

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws/wsutil"

	"waggle/bench"
	usage "waggle/bench/process"
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

// crowd is how many browsers come back at once.
const crowd = 10_000

// A tracker that is killed while many browsers are connected has all of them at its door as
// soon as it is back. All are answered, and nobody else waits for that.
func TestBrowsersThatComeBackAllAtOnceAreAllAnswered(t *testing.T) {
	path := shipped(t)
	flags := []string{"--store", "memory:", "--limits-websocket-connections-per-address", "0"}
	first := launchBinary(t, loopback4, path, flags...)
	at, err := url.Parse(first.url(t, "ws", ipv4Loopback))
	if err != nil {
		t.Fatal(err)
	}
	browsers := newCrowd(at.Host)
	browsers.comeBack(t)
	if err := syscall.Kill(first.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.exited
	browsers.notice(t)

	second := launchBinary(t, loopback4, path, append(flags, "--listen-http", at.Host)...)
	stop, others := make(chan struct{}), make(chan error, 1)
	go func() { others <- second.answersOthers(stop) }()
	browsers.comeBack(t)
	close(stop)
	if err := <-others; err != nil {
		t.Errorf("a client of HTTP meanwhile: %v", err)
	}
	for torrent := range crowd / perTorrent {
		h := crowdHash(torrent)
		if got, err := second.scrape(hex.EncodeToString(h[:])); err != nil || got != (counts{incomplete: perTorrent}) {
			t.Fatalf("a scrape of torrent %d: %+v, %v, want all %d", torrent, got, err, perTorrent)
		}
	}
	used, err := usage.Of(second.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes a connection, all in", used.RSS/crowd)
	if used.RSS >= crowd*bytesPerBrowser {
		t.Errorf("%d bytes a connection, want less than %d", used.RSS/crowd, bytesPerBrowser)
	}
	browsers.leave()
	if err := second.stop(); err != nil {
		t.Errorf("waggle after SIGTERM: %v", err)
	}
}

// answersOthers announces over HTTP until it is told to stop. An error is that of an
// announce.
func (tr *tracker) answersOthers(stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if body, err := tr.get("/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1&left=1"); err != nil || !strings.Contains(body, "8:interval") {
			return fmt.Errorf("%w, answered is %q", err, body)
		}
	}
}

// browserCrowd is browsers, in groups that each have a goroutine, as the race detector
// allows no more than 8,128 of them.
type browserCrowd struct {
	at     string
	groups [100][crowd / 100]net.Conn
}

func newCrowd(at string) *browserCrowd { return &browserCrowd{at: at} }

// perTorrent is how many of a crowd are in a torrent.
const perTorrent = 10

func crowdHash(torrent int) (h [20]byte) {
	copy(h[:], fmt.Sprintf("torrent %012d", torrent))
	return h
}

// each does something with the connections of all groups at once.
func (b *browserCrowd) each(t *testing.T, do func(group int, conns []net.Conn) error) {
	t.Helper()
	var all sync.WaitGroup
	var errs [len(b.groups)]error
	for i := range b.groups {
		all.Go(func() { errs[i] = do(i, b.groups[i][:]) })
	}
	all.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
}

// comeBack has all connect, announce, and read what they are answered.
func (b *browserCrowd) comeBack(t *testing.T) {
	t.Helper()
	b.each(t, func(_ int, conns []net.Conn) (err error) {
		for i := range conns {
			if conns[i], err = net.Dial("tcp", b.at); err != nil {
				return err
			}
			_ = conns[i].SetDeadline(time.Now().Add(patience))
			if _, err := fmt.Fprintf(conns[i], "GET /announce HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", b.at); err != nil {
				return err
			}
		}
		return nil
	})
	b.each(t, func(group int, conns []net.Conn) error {
		for i, conn := range conns {
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil) // nothing comes behind it yet
			if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
				return fmt.Errorf("asked for WebSocket: %+v, %w", answer, err)
			}
			number := group*len(conns) + i
			message := fmt.Sprintf(`{"action":"announce","info_hash":"%s","peer_id":"-WN0000-%012d","left":1,"event":"started","offers":[]}`, crowdHash(number/perTorrent), number)
			if err := wsutil.WriteClientText(conn, []byte(message)); err != nil {
				return err
			}
		}
		return nil
	})
	b.each(t, func(_ int, conns []net.Conn) error {
		for _, conn := range conns {
			if answer, err := wsutil.ReadServerText(conn); err != nil || !strings.Contains(string(answer), `"interval":`) {
				return fmt.Errorf("announced, and hears %q, %w", answer, err)
			}
		}
		return nil
	})
}

// notice waits until no connection is left.
func (b *browserCrowd) notice(t *testing.T) {
	t.Helper()
	b.each(t, func(_ int, conns []net.Conn) error {
		for _, conn := range conns {
			if n, err := conn.Read(make([]byte, 1)); err == nil {
				return fmt.Errorf("%d bytes of a tracker that is gone", n)
			}
			_ = conn.Close()
		}
		return nil
	})
}

func (b *browserCrowd) leave() {
	for _, conns := range b.groups {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}
}
