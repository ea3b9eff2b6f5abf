//go:build long

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/bittorrent"
)

// makeTestLong is what brings what these tests need.
const makeTestLong = "make test-long"

// patience is how long anything may take that comes for sure.
const patience = 2 * time.Minute

var (
	debianRoot = flag.String("debian", checkout+"/bin/.debian", "`FOLDER` with a Debian that debootstrap has made")
	twice      = flag.String("targets", "linux/arm64,windows/amd64", "`LIST` of what is made twice")
)

// previous is a commit whose data an upgrade takes along: that of the last release, as soon
// as there is one.
const previous = "dba0453"

// TestSameCommitMakesTheSameReleaseAnywhere makes it in two clones: the second lies elsewhere,
// finds nothing in Go's cache, and has another umask, time zone and language.
func TestSameCommitMakesTheSameReleaseAnywhere(t *testing.T) {
	commit := strings.TrimSpace(shell(t, "git", "-C", checkout, "rev-parse", "HEAD")) // somebody may go on committing meanwhile
	makeIn := func(folder, umask string, environ ...string) map[string]string {
		clone := filepath.Join(t.TempDir(), folder)
		shell(t, "git", "clone", "-q", "--no-checkout", checkout, clone)
		shell(t, "git", "-C", clone, "checkout", "-q", "--detach", commit)
		cmd := exec.CommandContext(t.Context(), "sh", "-c", "umask "+umask+" && exec go run ./deploy/release -targets "+*twice)
		cmd.Dir = clone
		cmd.Env = append(os.Environ(), environ...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return sums(t, filepath.Join(clone, "dist"))
	}
	first := makeIn("waggle", "022", "TZ=UTC", "LC_ALL=C")
	cache := t.TempDir()
	again := makeIn("a/much deeper/folder", "077", "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8", "SOURCE_DATE_EPOCH=1", "GOCACHE="+cache)
	if len(first) < 2+strings.Count(*twice, ",")*2 {
		t.Errorf("%d files", len(first))
	}
	for name, sum := range first {
		if other, made := again[name]; !made {
			t.Errorf("%s is not made again", name)
		} else if other != sum {
			t.Errorf("%s has other bytes", name)
		}
	}
	if len(again) != len(first) {
		t.Errorf("%d files, and then %d", len(first), len(again))
	}
}

// sums returns what SHA256SUMS says, which must be right.
func sums(t *testing.T, dist string) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS")
	cmd.Dir = dist
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		all[name] = sum
	}
	return all
}

// namespace is a network of its own, with loopback alone.
type namespace string

var namespaces atomic.Int64

func newNamespace(t *testing.T) namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatalf("namespaces need root: run `%s` as root", makeTestLong)
	}
	name := fmt.Sprintf("waggle-packages-%d-%d", os.Getpid(), namespaces.Add(1))
	shell(t, "ip", "netns", "add", name)
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	shell(t, "ip", "-n", name, "link", "set", "lo", "up")
	return namespace(name)
}

// dial connects from the namespace. A socket stays in that in which its thread was when it
// was made.
func (n namespace) dial(network, address string) (conn net.Conn, err error) {
	home, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	defer func() { _ = home.Close() }()
	away, err := os.Open("/run/netns/" + string(n))
	if err != nil {
		return nil, err
	}
	defer func() { _ = away.Close() }()
	runtime.LockOSThread()
	if err := unix.Setns(int(away.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	conn, err = net.DialTimeout(network, address, patience)
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return nil, errors.Join(err, back) // and nobody else gets this thread
	}
	runtime.UnlockOSThread()
	return conn, err
}

// announce tells the tracker of the namespace of a peer, over UDP.
func (n namespace) announce(t *testing.T, peer byte, left int64, event bittorrent.Event) (r bittorrent.AnnounceResponse) {
	t.Helper()
	conn, err := n.dial("udp", "127.0.0.1:6969")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	id, err := ask(t, conn, bittorrent.AppendUDPConnect(nil, 7)).ConnectionID()
	if err != nil {
		t.Fatal(err)
	}
	a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, PeerID: bittorrent.PeerID{peer}, Port: 1000 + uint16(peer), Left: left, Event: event, NumWant: 50}
	if err := ask(t, conn, bittorrent.AppendUDPAnnounce(nil, id, 7, &a, "")).Announce(false, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// ask sends a packet until it is answered.
func ask(t *testing.T, conn net.Conn, packet []byte) bittorrent.UDPResponse {
	t.Helper()
	buffer := make([]byte, 2048)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, err := conn.Write(packet); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		size, err := conn.Read(buffer)
		if err != nil {
			continue
		}
		response, err := bittorrent.ParseUDPResponse(buffer[:size])
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	t.Fatal("no answer over UDP")
	return bittorrent.UDPResponse{}
}

// get asks the tracker of the namespace over HTTP, and returns what it says.
func (n namespace) get(t *testing.T, path string) string {
	t.Helper()
	_, body, _ := strings.Cut(n.exchange(t, "127.0.0.1:6969", "GET "+path+" HTTP/1.0\r\nHost: x\r\n\r\n"), "\r\n\r\n")
	return body
}

// upload registers a torrent with the tracker of the namespace.
func (n namespace) upload(t *testing.T, name string) {
	t.Helper()
	torrent := fmt.Sprintf("d4:infod6:lengthi1e4:name%d:%s12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee", len(name), name)
	answer := n.exchange(t, "127.0.0.1:6970", fmt.Sprintf("POST /api/v1/torrents?file=%s.torrent HTTP/1.1\r\nHost: 127.0.0.1:6970\r\nConnection: close\r\n"+
		"Content-Type: application/x-bittorrent\r\nContent-Length: %d\r\n\r\n%s", name, len(torrent), torrent))
	if !strings.HasPrefix(answer, "HTTP/1.1 201 ") {
		t.Fatalf("upload: %s", answer)
	}
}

// exchange sends a request to an address in the namespace, and returns the whole answer.
func (n namespace) exchange(t *testing.T, address, request string) string {
	t.Helper()
	conn, err := n.dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(conn); err != nil {
		t.Fatal(err)
	}
	return answer.String()
}

// machine is a folder that processes have for their root.
type machine struct {
	root    string
	net     namespace
	prepare string // what a shell does to mounts that processes in it have alone; empty: nothing
}

// command is a command in the machine, with processes, mounts and a network of its own, as a
// user such as 0:0.
func (m machine) command(ctx context.Context, user string, words ...string) *exec.Cmd {
	script := `root=$1 user=$2; shift 2; mount -t proc proc "$root/proc" && exec chroot --userspec="$user" "$root" "$@"`
	if m.prepare != "" {
		script = m.prepare + " && " + script
	}
	enter := []string{"netns", "exec", string(m.net), "unshare", "--mount", "--pid", "--fork", "--kill-child=TERM", "sh", "-c", script, "sh", m.root, user}
	cmd := exec.CommandContext(ctx, "ip", append(enter, words...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"}
	return cmd
}

func (m machine) run(t *testing.T, words ...string) string {
	t.Helper()
	out, err := m.command(t.Context(), "0:0", words...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", words, err, out)
	}
	return string(out)
}

// running is a tracker that runs in a machine.
type running struct {
	cmd *exec.Cmd
	log bytes.Buffer
}

// startUnit starts the service as systemd would: its command, as its user, in its folder.
func (m machine) startUnit(t *testing.T) *running {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.root, "usr/lib/systemd/system/waggle.service"))
	if err != nil {
		t.Fatal(err)
	}
	unit := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			unit[key] = value
		}
	}
	if unit["User"] == "" || unit["Group"] == "" || unit["WorkingDirectory"] == "" || unit["ExecStart"] == "" {
		t.Fatalf("the unit lacks a key: %q", unit)
	}
	script := fmt.Sprintf("umask %s && cd %s && exec %s", unit["UMask"], unit["WorkingDirectory"], unit["ExecStart"])
	return m.start(t, unit["User"]+":"+unit["Group"], nil, "sh", "-c", script)
}

// start starts a tracker, and waits until it is well.
func (m machine) start(t *testing.T, user string, environ []string, words ...string) *running {
	t.Helper()
	r := &running{cmd: m.command(context.WithoutCancel(t.Context()), user, words...)}
	r.cmd.Env = append(r.cmd.Env, environ...)
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if conn, err := m.net.dial("tcp", "127.0.0.1:6969"); err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(end) {
			_ = r.cmd.Process.Kill()
			_ = r.cmd.Wait()
			t.Fatalf("it does not listen:\n%s", &r.log)
		}
	}
	if said := m.net.get(t, "/health"); said != "ok\n" {
		t.Fatalf("it is not well: %q", said)
	}
	return r
}

// stop ends the tracker as systemd would.
func (r *running) stop(t *testing.T, m machine) {
	t.Helper()
	pid := strings.Fields(shell(t, "ip", "netns", "pids", string(m.net)))
	for _, p := range pid {
		if name, err := os.ReadFile("/proc/" + p + "/comm"); err == nil && string(name) == "waggle\n" {
			var id int
			_, _ = fmt.Sscan(p, &id)
			if err := syscall.Kill(id, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &r.log)
	}
	if !strings.Contains(r.log.String(), "nothing was lost") {
		t.Errorf("the log:\n%s", &r.log)
	}
}

// tree returns the files below the root, but for those in which dpkg, apt and adduser keep their own books.
func (m machine) tree(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := filepath.WalkDir(m.root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, m.root)
		switch name {
		case "/proc", "/var/lib/dpkg", "/var/log", "/var/cache", "/run":
			return filepath.SkipDir
		case "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-": // what adduser puts aside
			return nil
		}
		all[name] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// newDebian returns a copy of the Debian that make has made.
func newDebian(t *testing.T) machine {
	t.Helper()
	if _, err := os.Stat(filepath.Join(*debianRoot, "usr/bin/dpkg")); err != nil {
		t.Fatalf("%v: run `%s`, which makes one", err, makeTestLong)
	}
	m := machine{root: filepath.Join(t.TempDir(), "debian"), net: newNamespace(t)}
	shell(t, "cp", "-a", *debianRoot, m.root)
	return m
}

// deb makes a Debian package for this machine of the program at root, and of what this checkout has
// beside it, and returns where it is below the machine's own root.
func (m machine) deb(t *testing.T, version, root string, share []file) string {
	t.Helper()
	s, on, binary := testSource(version), target{"linux", runtime.GOARCH}, filepath.Join(t.TempDir(), "waggle")
	s.root = root
	if err := s.build(t.Context(), on, binary); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	s.root = checkout
	deb, err := s.debian(on, file{path: "waggle", mode: 0o755, data: data}, share, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.root, deb.path), deb.data, 0o644); err != nil {
		t.Fatal(err)
	}
	return "/" + deb.path
}

// manuals returns the manual pages and completions of this checkout.
func manuals(t *testing.T) []file {
	t.Helper()
	share, err := testSource("0.1.0").manuals(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return share
}

// before returns a folder with the files of the previous commit.
func before(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	archive := fmt.Sprintf("git -C %s archive %s | tar -x -C %s", checkout, previous, folder)
	if out, err := exec.CommandContext(t.Context(), "bash", "-o", "pipefail", "-c", archive).CombinedOutput(); err != nil {
		t.Fatalf("%v: is this a clone with its whole history? git fetch --unshallow\n%s", err, out)
	}
	return folder
}

// completing has bash complete a line, $1, as it would at a key.
const completing = `. /usr/share/bash-completion/bash_completion
_completion_loader waggle
COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=($1) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9
__start_waggle
printf '%s\n' "${COMPREPLY[@]}"`

// TestDebianPackageInstallsUpgradesWithItsDataAndPurges is the life of a package on a machine.
func TestDebianPackageInstallsUpgradesWithItsDataAndPurges(t *testing.T) {
	m := newDebian(t)
	share := manuals(t)
	older, newer := m.deb(t, "0.0.9", before(t), share), m.deb(t, "0.1.0", checkout, share)
	untouched := m.tree(t)

	m.run(t, "dpkg", "-i", older)
	if who := strings.TrimSpace(m.run(t, "stat", "-c", "%U:%G %a", "/etc/waggle/waggle.yaml", "/var/lib/waggle")); who != "root:waggle 640\nwaggle:waggle 700" {
		t.Errorf("configuration and data are %q", who)
	}
	if out := m.run(t, "systemctl", "is-enabled", "waggle.service"); out != "enabled\n" {
		t.Errorf("the service is %q", out)
	}
	m.run(t, "systemd-analyze", "verify", "--man=no", "/usr/lib/systemd/system/waggle.service")
	tracker := m.startUnit(t)
	m.net.announce(t, 1, 0, bittorrent.EventStarted)
	m.net.announce(t, 2, 0, bittorrent.EventCompleted)
	if r := m.net.announce(t, 3, 100, bittorrent.EventStarted); r.Complete != 2 || r.Incomplete != 1 {
		t.Errorf("before: %+v", r)
	}
	m.net.upload(t, "kept")
	m.run(t, "sh", "-c", "umask 077 && waggle token create anna --role admin >/root/admin.token")
	tracker.stop(t, m)

	edited := filepath.Join(m.root, "etc/waggle/waggle.yaml")
	text, err := os.ReadFile(edited)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(edited, append(text, "\nannounce:\n  interval: 10m\n  min_interval: 5m\n"...), 0o640); err != nil {
		t.Fatal(err)
	}

	for _, deb := range []string{newer, older, newer} { // up, down, and up again
		m.run(t, "dpkg", "-i", deb)
		version := strings.Split(deb, "_")[1]
		if got := m.run(t, "dpkg-query", "-W", "-f", "${Version} ${Status}", "waggle"); got != version+" install ok installed" {
			t.Errorf("dpkg has %q, want %s", got, version)
		}
		tracker = m.startUnit(t)
		r := m.net.announce(t, 3, 100, bittorrent.EventNone)
		if r.Complete != 2 || r.Incomplete != 1 {
			t.Errorf("%s has lost peers: %+v", version, r)
		}
		if r.Interval < 9*time.Minute || r.Interval > 11*time.Minute {
			t.Errorf("%s: the interval is %v, and not what the configuration was edited to say", version, r.Interval)
		}
		if scrape := m.net.get(t, "/scrape?info_hash=%01"+strings.Repeat("%00", 19)); !strings.Contains(scrape, "10:downloadedi1e") {
			t.Errorf("%s has lost the count of completed downloads: %q", version, scrape)
		}
		if transfers := m.run(t, "waggle", "transfers", "--token-file", "/root/admin.token"); !strings.Contains(transfers, "kept") {
			t.Errorf("%s has lost an account, or a torrent: %s", version, transfers)
		}
		tracker.stop(t, m)
	}
	if out := m.run(t, "waggle", "--version"); !strings.HasPrefix(out, "waggle 0.1.0 (012345678901, go") {
		t.Errorf("it says %q", out)
	}
	for line, want := range map[string]string{"waggle tor": "torrent\n", "waggle serve --torrents-mode l": "listed\n", "waggle serve --torrents-m": "--torrents-mode\n"} {
		if out := m.run(t, "bash", "-c", completing, "bash", line); !strings.HasSuffix(out, want) {
			t.Errorf("bash makes %q of %q", out, line)
		}
	}
	m.run(t, "rm", "/root/admin.token")

	m.run(t, "dpkg", "-r", "waggle")
	if _, err := os.Stat(filepath.Join(m.root, "usr/bin/waggle")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed, and still there: %v", err)
	}
	for _, kept := range []string{"var/lib/waggle/waggle.db", "etc/waggle/waggle.yaml"} {
		if _, err := os.Stat(filepath.Join(m.root, kept)); err != nil {
			t.Errorf("removing took more than the program: %v", err)
		}
	}
	if err := os.WriteFile(filepath.Join(m.root, "etc/waggle/console.token"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.run(t, "dpkg", "-P", "waggle")
	for path := range m.tree(t) {
		if !untouched[path] {
			t.Errorf("%s was left by the purge", path)
		}
		delete(untouched, path)
	}
	for path := range untouched {
		t.Errorf("%s has gone with the purge", path)
	}
	m.run(t, "id", "waggle") // the user stays
}
