package attack

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/internal/binary"
)

// patience is how long anything may take that comes for sure: mostly milliseconds, and the
// rest is for machines that are busy with other tests.
const patience = 2 * time.Minute

var scratch string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "waggle-attack-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o755); err != nil { // nobody runs what is built there
		fmt.Fprintln(os.Stderr, "attack:", err)
		return 1
	}
	scratch = dir
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		return 1
	}
	return code
}

// waggle returns the path of the binary, which is built once, and never with the race
// detector: what it takes of memory and time is looked at.
func waggle(t testing.TB) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var buildOnce = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("ATTACK_WAGGLE"); path != "" {
		return path, nil
	}
	path := filepath.Join(scratch, "waggle")
	return path, binary.Build("..", path, nil)
})

// tracker is a running waggle.
type tracker struct {
	cmd     *exec.Cmd
	output  *output // of both kinds
	udp     string  // host:port
	http    string  // http://host:port
	console string
	token   string // which uploads and posts show, if any
	exited  chan error
}

// output keeps what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// startTracker starts waggle in a folder of its own, or in dir, with these settings
// besides addresses of loopback. When the test ends it has to drain and exit with
// status 0.
func startTracker(t testing.TB, dir string, environ []string, flags ...string) *tracker {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	return begin(t, exec.Command(waggle(t), serveFlags(flags)...), dir, environ)
}

func serveFlags(flags []string) []string {
	return append([]string{
		"serve", "--listen-udp", "127.0.0.1:0", "--listen-http", "127.0.0.1:0", "--listen-console", "127.0.0.1:0",
	}, flags...)
}

// begin starts a command that becomes waggle serve.
func begin(t testing.TB, cmd *exec.Cmd, dir string, environ []string) *tracker {
	t.Helper()
	tr := &tracker{cmd: cmd, output: new(output), exited: make(chan error, 1)}
	cmd.Dir = dir
	cmd.Env = append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}, environ...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = io.MultiWriter(tr.output, in), tr.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		err := cmd.Wait()
		_ = in.Close()
		tr.exited <- err
	}()
	t.Cleanup(func() {
		if err := tr.stop(); err != nil {
			t.Errorf("waggle after SIGTERM: %v; want exit status 0\n%s", err, tr.output)
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case strings.HasPrefix(line, "udp://"):
			tr.udp = strings.TrimSuffix(strings.TrimPrefix(line, "udp://"), "/announce")
		case strings.HasPrefix(line, "http://"):
			tr.http = strings.TrimSuffix(line, "/announce")
		case strings.Contains(line, ": http://"):
			_, tr.console, _ = strings.Cut(line, ": ")
		case strings.HasPrefix(line, "ready"):
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return tr
		}
	}
	t.Fatalf("waggle was never ready: %v\n%s", tr.stop(), tr.output)
	return nil
}

func (tr *tracker) stop() error {
	_ = tr.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-tr.exited:
		tr.exited <- err // for whoever asks again
		return err
	case <-time.After(patience):
		_ = tr.cmd.Process.Kill()
		return fmt.Errorf("it did not end within %v", patience)
	}
}

var statusLine = regexp.MustCompile(`(?m)^(VmHWM|VmRSS):\s+([0-9]+) kB$`)

// resident returns the resident memory of a process in bytes, now and at its most.
func resident(t testing.TB, pid int) (now, most int64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	if now, most = parseResident(text); now == 0 || most == 0 {
		t.Fatalf("no memory in %q", text)
	}
	return now, most
}

// parseResident returns zeros of a process that has ended.
func parseResident(status []byte) (now, most int64) {
	for _, m := range statusLine.FindAllSubmatch(status, -1) {
		n, _ := strconv.ParseInt(string(m[2]), 10, 64)
		if string(m[1]) == "VmRSS" {
			now = n << 10
		} else {
			most = n << 10
		}
	}
	return now, most
}

// runWatched runs a program to its end, and returns what it says and how many bytes were resident at
// most. What the system tells when a program has ended (ru_maxrss) would hold what this process took,
// of which the program was a copy before it began.
func runWatched(cmd *exec.Cmd) (said string, most int64, err error) {
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)); err == nil {
			_, now := parseResident(text)
			most = max(most, now)
		}
		select {
		case err := <-ended:
			return out.String(), most, err
		case <-time.After(time.Millisecond):
		}
	}
}

// get fetches a page, as who has a token, if any.
func get(t testing.TB, url, token string) (status int, body []byte) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return do(t, request)
}

func do(t testing.TB, request *http.Request) (status int, body []byte) {
	t.Helper()
	client := http.Client{
		Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if body, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

// until waits for something that comes for sure.
func until(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
