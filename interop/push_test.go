package interop

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// pushed are the files that are distributed, 300 MB in all, with their sizes in
// bytes. None ends where a piece does.
var pushed = map[string]int64{
	"images/root.img":     200_000_003,
	"images/boot/vmlinuz": 12_345_678,
	"archive.tar":         87_000_017,
	"README":              1_234,
	"empty":               0,
}

const pushedSize = 200_000_003 + 12_345_678 + 87_000_017 + 1_234

// transferLine is a line of what get and push print with --json.
type transferLine struct {
	Event      string
	InfoHash   string `json:"info_hash"`
	Phase      string
	Size       int64
	Have       int64
	Resumed    int64
	Downloaded int64
	Peers      int
	Path       string
	Error      string
}

// lastLine returns the latest that a process has told.
func lastLine(p *process) (transferLine, error) {
	lines := p.stdout.lines()
	if len(lines) == 0 {
		return transferLine{}, fmt.Errorf("%s has told nothing yet", p.name)
	}
	var line transferLine
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		return line, fatal{fmt.Errorf("%s told %q: %w", p.name, lines[len(lines)-1], err)}
	}
	return line, nil
}

// until waits until a process tells what is wanted.
func (p *process) until(t *testing.T, what string, is func(transferLine) bool) transferLine {
	t.Helper()
	var line transferLine
	eventually(t, transferLimit, p.name+" tells "+what, func() (err error) {
		if line, err = lastLine(p); err != nil {
			return err
		}
		if is(line) {
			return nil
		}
		if err := p.alive(); err != nil {
			return err
		}
		return fmt.Errorf("it tells %+v", line)
	})
	return line
}

// end waits for a process that ends by itself, with status 0 and event "done".
func (p *process) end(t *testing.T) transferLine {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(transferLimit):
		line, _ := lastLine(p)
		t.Fatalf("%s does not end: %+v", p.name, line)
	}
	line, err := lastLine(p)
	if p.err != nil || err != nil || line.Event != "done" {
		t.Fatalf("%s ended with %v, %v: %+v", p.name, p.err, err, line)
	}
	return line
}

// consoleOf returns the URL of a tracker's console, as it printed it.
func consoleOf(t *testing.T, tr *tracker) string {
	t.Helper()
	console := regexp.MustCompile(`^\S.*: (http://\S+)$`)
	for _, line := range tr.stdout.lines() {
		if found := console.FindStringSubmatch(line); found != nil {
			return found[1]
		}
	}
	t.Fatalf("waggle printed no URL of its console, only %q", tr.stdout.lines())
	return ""
}

// writePushed writes the files and returns their folder.
func writePushed(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "release")
	for name, size := range pushed {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(f, rand.NewChaCha8(sha256.Sum256([]byte(name))), size); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// sums returns the SHA-256 of each file in a folder.
func sums(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		found[name] = hex.EncodeToString(h.Sum(nil))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantSums(t *testing.T, root string, want map[string]string) {
	t.Helper()
	have := sums(t, root)
	for name, sum := range want {
		if have[name] != sum {
			t.Errorf("%s has SHA-256 %q, want %s", filepath.Join(root, name), have[name], sum)
		}
	}
	if len(have) != len(want) {
		t.Errorf("%s has %d files, want %d", root, len(have), len(want))
	}
}

// startGet fetches a transfer by its name.
func startGet(t *testing.T, console, name, to string, flags ...string) *process {
	t.Helper()
	command := []string{waggle(t), "get", name, "--console", console, "-o", to, "--listen", "127.0.0.1", "--json"}
	return start(t, loopback4, "get to "+filepath.Base(to), append(command, flags...)...)
}

// fetchTorrent gets the .torrent of a transfer from the API.
func fetchTorrent(t *testing.T, console, infoHash, path string) {
	t.Helper()
	answer, err := http.Get(console + "/api/v1/torrents/" + infoHash)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("the API answers %s, %v: %.200s", answer.Status, err, b)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Of a push with three gets and a libtorrent, one get is killed at half.
func TestPushArrivesEverywhereAndEndsByItself(t *testing.T) {
	tr := startTracker(t, loopback, "--store", "memory:", "--listen-console", "127.0.0.1:0")
	console := consoleOf(t, tr)
	source := writePushed(t)
	want := sums(t, source)

	begun := time.Now()
	push := start(t, loopback4, "push", waggle(t), "push", source, "--tracker", tr.url(t, "udp", ipv4Loopback),
		"--console", console, "--listen", "127.0.0.1", "--up", "100MiB", "--json")
	told := push.until(t, "that it follows", func(l transferLine) bool { return l.Event == "progress" })

	root := t.TempDir()
	to := func(name string) string {
		path := filepath.Join(root, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	torrent := filepath.Join(root, "release.torrent")
	fetchTorrent(t, console, told.InfoHash, torrent)
	folder := to("libtorrent")
	libtorrent := startLibtorrent(t, loopback4, torrent, folder)
	folders := []string{folder}
	var gets []*process
	for i := range 2 {
		folders = append(folders, to(fmt.Sprint("get", i)))
		gets = append(gets, startGet(t, console, "release", folders[len(folders)-1]))
	}
	killed := to("killed")
	first := startGet(t, console, "release", killed, "--down", "40MiB")
	push.until(t, "of four peers", func(l transferLine) bool { return l.Peers == 4 })

	half := first.until(t, "that it has half", func(l transferLine) bool { return l.Have >= pushedSize/2 })
	if err := first.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.exited
	if _, err := os.Lstat(filepath.Join(killed, "release")); err == nil {
		t.Error("half of a download has the final name")
	}
	second := startGet(t, console, "release", killed)
	gets, folders = append(gets, second), append(folders, killed)

	for _, p := range gets {
		p.end(t)
	}
	last := push.end(t)
	t.Logf("%d bytes to four peers in %v; %+v", pushedSize, time.Since(begun).Round(time.Millisecond), last)
	again, err := lastLine(second)
	if err != nil || again.Resumed < half.Have || again.Resumed+again.Downloaded > pushedSize+pushedSize/50 {
		t.Errorf("killed with %d bytes, it resumed %d and fetched %d: %v", half.Have, again.Resumed, again.Downloaded, err)
	}
	for _, folder := range folders {
		wantSums(t, filepath.Join(folder, "release"), want)
	}
	if err := libtorrent.alive(); err != nil {
		t.Error(err)
	}
	tr.waitForCounts(t, told.InfoHash, counts{complete: 1, downloaded: 4})
}
