package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"waggle/bittorrent"
)

func TestMain(m *testing.M) {
	// Tests send SIGHUP to themselves. On a busy machine one may come when the tracker that it was for has
	// ended, and would kill.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	goleak.VerifyTestMain(m)
}

// patience is how long anything may take that comes for sure: mostly milliseconds, and the
// rest is for machines that are busy with other tests.
const patience = 2 * time.Minute

// serving is "waggle serve" within the test's process.
type serving struct {
	lines []string // of its output, up to the one that says ready
	log   *syncBuffer
	stop  func() error
}

// syncBuffer is a buffer that is written and read at the same time.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func startServe(t *testing.T, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	s := &serving{log: new(syncBuffer)}
	ended := make(chan error, 1)
	go func() {
		root := newRootCommand()
		root.SetArgs(append([]string{"serve", "--listen-udp", "127.0.0.1:0", "--listen-http", "127.0.0.1:0", "--listen-console", "127.0.0.1:0"}, args...))
		root.SetOut(in)
		root.SetErr(s.log)
		err := root.ExecuteContext(ctx)
		_ = in.CloseWithError(io.EOF)
		ended <- err
	}()
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = s.stop() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		s.lines = append(s.lines, lines.Text())
		if strings.HasPrefix(lines.Text(), "ready") {
			return s
		}
	}
	t.Fatalf("it was never ready: %v\n%s", s.stop(), s.log)
	return nil
}

// url returns the announce URL of a scheme that was printed.
func (s *serving) url(t *testing.T, scheme string) string {
	t.Helper()
	for _, line := range s.lines {
		if url, ok := strings.CutPrefix(line, "  "+scheme+"://"); ok {
			return scheme + "://" + url
		}
	}
	t.Fatalf("no %s URL in %q", scheme, s.lines)
	return ""
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func (s *serving) announce(t *testing.T, query string) bittorrent.AnnounceResponse {
	t.Helper()
	a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, PeerID: bittorrent.PeerID{2}, Port: 1, Left: 1, NumWant: -1}
	var r bittorrent.AnnounceResponse
	if err := bittorrent.ParseHTTPAnnounceResponse(get(t, s.url(t, "http")+"?"+string(bittorrent.AppendHTTPAnnounce(nil, &a))+query), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestServePrintsWhereItListensAndStopsCleanly(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	if body := get(t, strings.TrimSuffix(s.url(t, "http"), "announce")+"health"); string(body) != "ok\n" {
		t.Errorf("health: %q", body)
	}
	if r := s.announce(t, ""); r.Incomplete != 1 {
		t.Errorf("announce: %+v", r)
	}
	s.url(t, "udp")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"msg=stopping", "msg=figures announces=1", "nothing was lost"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, s.log)
		}
	}
}

func TestConsoleShowsFiguresAndProfiles(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	s.announce(t, "")
	var address string
	for _, line := range s.lines {
		if found, ok := strings.CutPrefix(line, "console (this machine only): "); ok {
			address = found
		}
	}
	if body := get(t, address+"/figures"); !strings.Contains(string(body), `"Announces":1`) {
		t.Errorf("figures: %s", body)
	}
	if body := get(t, address+"/debug/pprof/heap"); len(body) == 0 {
		t.Error("the heap profile is empty")
	}
}

func TestServeFindsItsPeersAgain(t *testing.T) {
	store := "sqlite:" + filepath.Join(t.TempDir(), "sub", "waggle.db")
	first := startServe(t, "--store", store)
	first.announce(t, "")
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	second := startServe(t, "--store", store)
	if last := second.lines[len(second.lines)-1]; !strings.HasPrefix(last, "ready: 1 peers of 1 torrents") {
		t.Errorf("after the restart: %q", last)
	}
	if !strings.Contains(second.log.String(), "read back") {
		t.Errorf("the log does not tell:\n%s", second.log)
	}
}

func TestPortInUseIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	root := newRootCommand()
	root.SetArgs([]string{"serve", "--store", "memory:", "--listen-udp", "127.0.0.1:0", "--listen-http", taken.Addr().String(), "--listen-console", "off"})
	err = root.ExecuteContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) || !strings.Contains(err.Error(), "in use") || exitCode(err) != exitFailed {
		t.Errorf("got %v, exit code %d; want the address, and 1", err, exitCode(err))
	}
}

func TestStoreThatIsNotOursIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte("dear diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := newRootCommand()
	root.SetArgs([]string{"serve", "--store", "sqlite:" + path})
	if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names %s", err, path)
	}
}

func TestHangupReloadsWhatCanChangeAndKeepsTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("announce: {interval: 100s, min_interval: 100s, peer_lifetime: 300s}\n")
	s := startServe(t, "--store", "memory:", "--config", path)
	// At an interval that is its own minimum, jitter only lengthens.
	if r := s.announce(t, ""); r.MinInterval != 100*time.Second {
		t.Fatalf("min interval %v, want 100 s", r.MinInterval)
	}

	write("announce: {interval: 200s, min_interval: 200s, peer_lifetime: 600s}\nlimits: {peers: 5}\n")
	s.hangup(t, "configuration reloaded")
	if r := s.announce(t, ""); r.MinInterval != 200*time.Second || r.Incomplete != 1 {
		t.Errorf("after the reload: %+v, want 200 s and the peer", r)
	}
	if want := "takes effect at the next start only\" key=limits"; !strings.Contains(s.log.String(), want) {
		t.Errorf("the log lacks %q:\n%s", want, s.log)
	}

	write("announce: {intervall: 1s}\n")
	s.hangup(t, "was not reloaded")
	if r := s.announce(t, ""); r.MinInterval != 200*time.Second {
		t.Errorf("a file with a mistake was put into force: %+v", r)
	}
}

func TestAnnouncesNeverFailWhileTheConfigurationIsReloaded(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	for range 50 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		s.announce(t, "")
	}
}

func TestExitCodeTellsWrongUsageFromFailure(t *testing.T) {
	for args, want := range map[string]int{
		"--help":                         exitDone,
		"--version":                      exitDone,
		"serve --help":                   exitDone,
		"completion bash":                exitDone,
		"dance":                          exitUsage,
		"serv":                           exitUsage,
		"serve extra":                    exitUsage,
		"serve --no-such-flag":           exitUsage,
		"torrent create":                 exitUsage,
		"config check":                   exitUsage,
		"config check /does/not/exist":   exitFailed,
		"serve --announce-interval x":    exitFailed,
		"serve --config /does/not/exist": exitFailed,
		"serve --listen-udp= --listen-http= --store memory:": exitFailed,
	} {
		root := newRootCommand()
		root.SetArgs(strings.Fields(args))
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		if err := root.ExecuteContext(t.Context()); exitCode(err) != want {
			t.Errorf("waggle %s: exit code %d (%v), want %d", args, exitCode(err), err, want)
		}
	}
}

func TestMisspeltCommandIsTold(t *testing.T) {
	root := newRootCommand()
	root.SetArgs([]string{"serv"})
	if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "did you mean serve?") {
		t.Errorf("got %v", err)
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Long == "" || c.Example == "" {
			t.Errorf("%s lacks a text or an example", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCommand())
}
