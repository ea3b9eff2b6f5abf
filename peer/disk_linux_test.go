package peer

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// helperDisk is how many bytes the helper's folder has room for.
const helperDisk = "WAGGLE_PEER_DISK"

// confine gives the helper's folder a small disk of its own, if it should have
// one. The helper is in a mount namespace then, so nobody else sees it.
func confine() error {
	size := os.Getenv(helperDisk)
	if size == "" {
		return nil
	}
	return syscall.Mount("none", os.Getenv(helperFolder), "tmpfs", 0, "size="+size)
}

func TestFullDiskEndsTheDownloadWithWhatToDo(t *testing.T) {
	tr := startTracker(t)
	source := aFile(t, 4<<20)
	b := create(t, source, tr.udp)
	seed(t, b, source, Options{})
	to := t.TempDir()
	cmd, _ := helper(t, b, to)
	cmd.Stdout = nil
	cmd.Env = append(cmd.Env, helperDisk+"=1m")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.Output()
	if err == nil || !strings.Contains(string(out), "the disk is full: make room and start again; what was fetched stays in "+filepath.Join(to, "image.bin.part")) {
		t.Errorf("%v: the last of it: %s", err, lastLine(out))
	}
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// asNobody runs f as a user that owns nothing, also where the tests run as root.
// On Linux each thread has its own file system user.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setfsuid(0); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

func TestFolderThatMayNotBeWrittenToIsNamedAndStaysEmpty(t *testing.T) {
	b := create(t, aFile(t, pieceLength))
	to := t.TempDir()
	if err := os.Chmod(to, 0o555); err != nil {
		t.Fatal(err)
	}
	for dir := to; dir != filepath.Dir(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		if stat, err := os.Stat(dir); err == nil && dir != to && stat.Mode().Perm()&0o001 == 0 {
			if err := os.Chmod(dir, stat.Mode().Perm()|0o011); err != nil {
				t.Fatal(err)
			}
		}
	}
	asNobody(t, func() {
		_, err := OpenPart(t.Context(), b, to)
		if err == nil || !strings.Contains(err.Error(), to+": this user may not write there") {
			t.Errorf("error %v, want one that names %s", err, to)
		}
	})
	if have := names(t, to); len(have) != 0 {
		t.Errorf("the folder has %q", have)
	}
}
