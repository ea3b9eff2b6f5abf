//go:build long && linux && amd64

package attack

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The unit's sandbox, without systemd: the same user, rights, folders, calls and
// addresses, as this test binary sets them up before it becomes waggle.

// nobody is the user that owns nothing.
const nobody = 65534

// enterVariable has what a process that becomes waggle in the sandbox is told.
const enterVariable = "ATTACK_ENTER"

func init() {
	if filter := os.Getenv(enterVariable); filter != "" {
		err := enter([]byte(filter), os.Args[1:])
		fmt.Fprintln(os.Stderr, "attack: sandbox:", err)
		os.Exit(1)
	}
}

// enter gives up what the unit forbids, and becomes the command.
func enter(filter []byte, command []string) error {
	var raw []bpf.RawInstruction
	if err := json.Unmarshal(filter, &raw); err != nil {
		return err
	}
	filters := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		filters[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	program := unix.SockFprog{Len: uint16(len(filters)), Filter: &filters[0]}
	runtime.LockOSThread() // the thread that the filter is for is the one that goes on
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0); err != nil {
		return fmt.Errorf("MemoryDenyWriteExecute wants Linux 6.3: %w", err)
	}
	environ := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, enterVariable) })
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return err
	}
	return syscall.Exec(command[0], command, environ)
}

// unit returns what a key of the unit is set to, in its order.
func unit(t *testing.T, key string) []string {
	t.Helper()
	text, err := os.ReadFile("../deploy/systemd/waggle.service")
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		t.Fatalf("the unit has no %s", key)
	}
	return values
}

// calls returns the names of a set of system calls, as systemd has it.
func calls(t *testing.T, set string) []string {
	t.Helper()
	if !strings.HasPrefix(set, "@") {
		return []string{set}
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "syscall-filter", set).Output()
	if err != nil {
		t.Fatalf("systemd-analyze, of Debian's systemd: %v; run `make test-long`, which installs it", err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != set && line != "" && !strings.HasPrefix(line, "#") {
			names = append(names, calls(t, line)...)
		}
	}
	return names
}

var numberLine = regexp.MustCompile(`(?m)^#define __NR_(\w+) (\d+)$`)

// filter is the seccomp filter that systemd would make of the unit.
func filter(t *testing.T) string {
	t.Helper()
	header, err := os.ReadFile("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
	if err != nil {
		t.Fatalf("%v; run `make test-long`, which installs libc6-dev", err)
	}
	numbers := map[string]uint32{}
	for _, m := range numberLine.FindAllStringSubmatch(string(header), -1) {
		n, _ := strconv.ParseUint(m[2], 10, 32)
		numbers[m[1]] = uint32(n)
	}
	allowed := map[uint32]bool{}
	for _, value := range unit(t, "SystemCallFilter") {
		sets, deny := strings.CutPrefix(value, "~")
		for _, set := range strings.Fields(sets) {
			for _, name := range calls(t, set) {
				if n, ok := numbers[name]; ok {
					allowed[n] = !deny
				}
			}
		}
	}
	const arch, number, argument = 4, 0, 16 // of struct seccomp_data
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: arch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AUDIT_ARCH_X86_64, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS},
		bpf.LoadAbsolute{Off: number, Size: 4},
	}
	var families []bpf.Instruction
	for _, family := range strings.Fields(unit(t, "RestrictAddressFamilies")[0]) {
		n, ok := map[string]uint32{"AF_UNIX": unix.AF_UNIX, "AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6, "AF_NETLINK": unix.AF_NETLINK}[family]
		if !ok {
			t.Fatalf("this test does not know %s", family)
		}
		families = append(families, bpf.JumpIf{Cond: bpf.JumpEqual, Val: n, SkipFalse: 1}, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
	}
	families = append([]bpf.Instruction{bpf.LoadAbsolute{Off: argument, Size: 4}}, append(families, refuse(unix.EAFNOSUPPORT))...)
	program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: numbers["socket"], SkipFalse: uint8(len(families))})
	program = append(program, families...)
	for n, ok := range allowed {
		if ok {
			program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: n, SkipFalse: 1}, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
		}
	}
	program = append(program, refuse(unix.EPERM))
	raw, err := bpf.Assemble(program)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func refuse(with syscall.Errno) bpf.Instruction {
	return bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(with)}
}

// sandboxed returns the command that becomes waggle in the sandbox, where it may write
// below dir alone.
func sandboxed(t *testing.T, dir string, args ...string) (cmd *exec.Cmd, environ []string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("to become nobody, and see a file system that cannot be written, wants root: run this as root")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(scratch, "enter") // go's own folder is closed to nobody
	if err := os.WriteFile(open, image, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	script := `set -e
mount --bind "$0" "$0"
mount -o remount,bind,ro /
cd "$0"
exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all,+net_bind_service --ambient-caps=-all,+net_bind_service --bounding-set=-all,+net_bind_service "$@"`
	command := append([]string{"--mount", "--propagation", "private", "sh", "-c", script, dir, open, waggle(t)}, args...)
	return exec.CommandContext(t.Context(), "unshare", command...), []string{enterVariable + "=" + filter(t)}
}

// stateFolder is a folder that nobody may have, in one that everybody may enter.
func stateFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "state-") //nolint:usetesting // what that makes is closed to nobody
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestUnitsSandboxLetsTheTrackerDoAllItDoes(t *testing.T) {
	dir := stateFolder(t)
	if err := os.Mkdir(filepath.Join(dir, "torrents"), 0o777); err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(dir, "admin.token")
	if err := errors.Join(os.WriteFile(token, []byte(adminToken+"\n"), 0o600), os.Chown(token, nobody, nobody), os.Chown(filepath.Join(dir, "torrents"), nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(dir, "waggle.yaml")
	if err := os.WriteFile(settings, []byte("announce: {record: record.jsonl}\nconsole: {token_file: admin.token}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd, environ := sandboxed(t, dir, serveFlags([]string{
		"--config", settings, "--listen-http", "127.0.0.77:80", "--torrents-directory", "torrents", "--console-public=true",
		"--link-listen", "127.0.0.1:0", "--link-name", "hub", "--link-addresses", "127.0.0.1:6971",
		"--locality-sources", "hostname: '(?P<rack>.*)'",
	})...)
	tr := begin(t, cmd, dir, environ)
	tr.token = adminToken
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tr.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65534\t65534", "Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000400", "CapBnd:\t0000000000000400"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the process does not have %q:\n%s", want, status)
		}
	}
	wantServed(t, tr)
	torrent := "d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"
	if status, answer := upload(t, tr, "a.torrent", "", []byte(torrent)); status != http.StatusCreated {
		t.Errorf("upload: %d %s", status, answer)
	}
	for _, path := range []string{"/", "/torrents", "/peers", "/settings", "/links", "/metrics", "/api/v1/overview", "/debug/pprof/goroutine?debug=1", "/api/v1/locality/127.0.0.1"} {
		if status, body := get(t, tr.console+path, adminToken); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, path := range []string{"/health", "/scrape"} {
		if status, body := get(t, tr.http+path, ""); status >= 500 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	post(t, tr, "/api/v1/links/invitations", `{"name": "leaf", "rights": {"receive": true, "send": true}}`)
	post(t, tr, "/api/v1/accounts", `{"name": "anna", "role": "admin", "password": "correct horse battery"}`)
	if err := tr.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "it reloads", func() bool { return strings.Contains(tr.output.String(), "configuration reloaded") })
	if err := tr.stop(); err != nil {
		t.Fatalf("%v\n%s", err, tr.output)
	}
	if said := tr.output.String(); strings.Contains(said, "not permitted") || strings.Contains(said, "read-only") || strings.Contains(said, "level=ERROR") {
		t.Errorf("the sandbox is in the way:\n%s", said)
	}
	if found, err := os.Stat(filepath.Join(dir, "waggle-data", "waggle.db")); err != nil || found.Size() == 0 {
		t.Errorf("no journal was written: %v", err)
	}
}

func TestUnitsSandboxLetsAClusterSpeakByMulticast(t *testing.T) {
	dir := stateFolder(t)
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("s", 40)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(secret, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd, environ := sandboxed(t, dir, serveFlags([]string{
		"--store", "memory:", "--cluster-group", "239.192.77.69:17968", "--cluster-peers", "239.192.77.69:17969", "--cluster-interface", "lo", "--cluster-secret-file", secret,
	})...)
	tr := begin(t, cmd, dir, environ)
	until(t, "it is master", func() bool {
		_, body := get(t, tr.console+"/api/v1/cluster", "")
		return strings.Contains(string(body), `"role":"master"`)
	})
	if err := tr.stop(); err != nil {
		t.Fatalf("%v\n%s", err, tr.output)
	}
	if said := tr.output.String(); strings.Contains(said, "not permitted") {
		t.Errorf("the sandbox is in the way:\n%s", said)
	}
}

func TestUnitsSandboxKeepsTheTrackerInItsFolder(t *testing.T) {
	dir := stateFolder(t)
	open := stateFolder(t)
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(open, "waggle.db")
	cmd, environ := sandboxed(t, dir, serveFlags([]string{"--store", "sqlite:" + elsewhere})...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), environ...)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "read-only") {
		t.Errorf("a store outside: %v\n%s", err, out)
	}
	if _, err := os.Stat(elsewhere); err == nil {
		t.Error("it was written")
	}
}
