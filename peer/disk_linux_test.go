package peer

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"waggle/internal/nobody"
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

func TestFolderThatMayNotBeWrittenToIsNamedAndStaysEmpty(t *testing.T) {
	b := create(t, aFile(t, pieceLength))
	t.Chdir(t.TempDir()) // a relative path, as the folders above are closed to others
	const to = "closed"
	if err := os.Mkdir(to, 0o555); err != nil {
		t.Fatal(err)
	}
	nobody.Run(t, func() {
		_, err := OpenPart(t.Context(), b, to)
		if err == nil || !strings.Contains(err.Error(), to+": this user may not write there") {
			t.Errorf("error %v, want one that names %s", err, to)
		}
	})
	if have := names(t, to); len(have) != 0 {
		t.Errorf("the folder has %q", have)
	}
}
