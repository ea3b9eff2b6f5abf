package torrent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestWriteNewLeavesWhatIsThere(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.torrent")
	if err := WriteNew(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := WriteNew(path, []byte("second")); !errors.Is(err, fs.ErrExist) || !strings.HasPrefix(err.Error(), path+": is there already") {
		t.Errorf("error %v", err)
	}
	wantFiles(t, folder, map[string]string{"a.torrent": "first"})
}

func TestReplaceKeepsThePermissions(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.torrent")
	for _, mode := range []fs.FileMode{0o600, 0o666} {
		if err := errors.Join(Replace(path, []byte("old")), os.Chmod(path, mode), Replace(path, []byte("new"))); err != nil {
			t.Fatal(err)
		}
		if stat, err := os.Stat(path); err != nil || stat.Mode() != mode {
			t.Errorf("%v, %v; want %v", stat.Mode(), err, mode)
		}
	}
	wantFiles(t, folder, map[string]string{"a.torrent": "new"})
}

func TestWriteThatFailsLeavesNoHalfFile(t *testing.T) {
	folder := t.TempDir()
	target := filepath.Join(folder, "target")
	if err := os.Mkdir(target, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, write := range []func(string, []byte) error{WriteNew, Replace} {
		if err := write(target, []byte("x")); err == nil || !strings.HasPrefix(err.Error(), target+": ") {
			t.Errorf("onto a folder: error %v", err)
		}
		absent := filepath.Join(folder, "absent", "a.torrent")
		if err := write(absent, []byte("x")); err == nil || !strings.Contains(err.Error(), "make it first") {
			t.Errorf("into an absent folder: error %v", err)
		}
	}
	wantFiles(t, folder, map[string]string{"target": ""})
}

// wantFiles checks the names and contents of all that is in a folder.
func wantFiles(t *testing.T, folder string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, entry := range entries {
		b, _ := os.ReadFile(filepath.Join(folder, entry.Name())) // "" of a folder
		have[entry.Name()] = string(b)
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("in the folder is %q, want %q", have, want)
	}
}
