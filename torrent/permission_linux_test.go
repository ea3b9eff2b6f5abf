package torrent

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

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

func TestWhatMayNotBeReadIsNamed(t *testing.T) {
	root := writeTree(t, map[string][]byte{"secret/file": []byte("x"), "open/private": []byte("x")})
	t.Chdir(root) // relative paths, as the folders above are closed to others
	for path, mode := range map[string]os.FileMode{".": 0o755, "open": 0o755, "secret": 0, "open/private": 0} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(root, "secret"), 0o700) })
	asNobody(t, func() {
		_, err := openTree(t.Context(), ".")
		wantForbidden(t, err, "secret")

		tree, err := openTree(t.Context(), "open")
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		reader := &pieceReader{tree: tree, report: func(int) {}, buffer: make([]byte, 1)}
		_, err = reader.hash(t.Context(), 0, 1)
		wantForbidden(t, err, "open/private")
	})
}

func wantForbidden(t *testing.T, err error, path string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), path+": this user may not read it") {
		t.Errorf("error %v, want one that names %s", err, path)
	}
}
