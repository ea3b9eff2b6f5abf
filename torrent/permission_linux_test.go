package torrent

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"waggle/internal/nobody"
)

func TestWhatMayNotBeReadIsNamed(t *testing.T) {
	root := writeTree(t, map[string][]byte{"secret/file": []byte("x"), "open/private": []byte("x")})
	t.Chdir(root) // relative paths, as the folders above are closed to others
	for path, mode := range map[string]os.FileMode{".": 0o755, "open": 0o755, "secret": 0, "open/private": 0} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(root, "secret"), 0o700) })
	nobody.Run(t, func() {
		_, err := openTree(t.Context(), ".")
		wantForbidden(t, err, "secret")

		tree, err := openTree(t.Context(), "open")
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		l := newLayout(tree, &CreateOptions{Version: V1, PieceLength: minPieceLength})
		reader := newPieceReader(l, func(int) {})
		wantForbidden(t, reader.hash(t.Context(), 0, &pieceHashes{v1: make([]byte, 20)}), "open/private")
	})
}

func wantForbidden(t *testing.T, err error, path string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), path+": this user may not read it") {
		t.Errorf("error %v, want one that names %s", err, path)
	}
}

func TestReplacedAndKeptFilesHaveTheOwnerOfTheOldOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.torrent")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // others own all that they make, before and after
		if err := os.Chown(path, 65534, 65533); err != nil {
			t.Fatal(err)
		}
	}
	want := ownerOf(t, path)
	backup, err := Backup(path, []byte("old"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, backup} {
		if have := ownerOf(t, name); have != want {
			t.Errorf("%s has owner and group %v, want %v", name, have, want)
		}
	}
	wantFiles(t, filepath.Dir(path), map[string]string{"a.torrent": "new", "a.torrent.bak": "old"})
}

func ownerOf(t *testing.T, path string) (owner [2]uint32) {
	t.Helper()
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return [2]uint32{stat.Uid, stat.Gid}
}

func TestBackupThatFailsLeavesNothing(t *testing.T) {
	folder := t.TempDir()
	absent := filepath.Join(folder, "absent")
	if _, err := Backup(absent, nil); err == nil || !strings.HasPrefix(err.Error(), absent+": no such file") {
		t.Errorf("error %v", err)
	}
	wantFiles(t, folder, map[string]string{})
}
