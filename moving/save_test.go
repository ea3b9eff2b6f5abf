package moving

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waggle/catalog"
)

// data makes a folder of a tracker, with a catalogue that it has open, and returns its parts.
func data(t *testing.T) (dir string, parts []Part) {
	t.Helper()
	dir = t.TempDir()
	c, err := catalog.OpenSQLite(t.Context(), filepath.Join(dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, text := range map[string]string{
		"cluster.json": "[]", "link/hub.key": "key", "link/leaves.json": "{}", "link/lock": "", "link/state.1.new": "half", "link/deeper/file": "other",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir, []Part{
		{Path: filepath.Join(dir, "catalog.db"), As: "catalog.db", Database: true},
		{Path: filepath.Join(dir, "passkeys.db"), As: "passkeys.db", Database: true},
		{Path: filepath.Join(dir, "cluster.json"), As: "cluster.json"},
		{Path: filepath.Join(dir, "link"), As: "link"},
		{Path: filepath.Join(dir, "acme"), As: "acme"},
	}
}

// below returns the files below a folder, all of which others cannot read.
func below(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v", path, info.Mode())
		}
		if name, _ := filepath.Rel(dir, path); !e.IsDir() {
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestWhatIsThereIsSaved(t *testing.T) {
	_, parts := data(t)
	to := filepath.Join(t.TempDir(), "backups", "today")
	saved, size, err := Save(t.Context(), parts, to)
	if err != nil {
		t.Fatal(err)
	}
	var as []string
	for _, p := range saved {
		as = append(as, p.As)
	}
	if want := []string{"catalog.db", "cluster.json", "link"}; !slices.Equal(as, want) {
		t.Errorf("saved %v, want %v", as, want)
	}
	if got, want := below(t, to), []string{"catalog.db", "cluster.json", "link/hub.key", "link/leaves.json"}; !slices.Equal(got, want) {
		t.Errorf("the folder has %v, want %v", got, want)
	}
	if stat, err := os.Stat(filepath.Join(to, "catalog.db")); err != nil || size != stat.Size()+int64(len("[]key{}")) {
		t.Errorf("%d bytes, %v", size, err)
	}
	c, err := catalog.OpenSQLite(t.Context(), filepath.Join(to, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestFolderThatHoldsTheDatabasesIsSavedWithoutThemTwice(t *testing.T) {
	dir, parts := data(t)
	parts[0].Path = dir + "/./catalog.db" // as it may be configured
	parts[3] = Part{Path: dir, As: "link"}
	to := filepath.Join(dir, "backup")
	if _, _, err := Save(t.Context(), parts, to); err != nil {
		t.Fatal(err)
	}
	if got, want := below(t, to), []string{"catalog.db", "cluster.json"}; !slices.Equal(got, want) {
		t.Errorf("the folder has %v, want %v", got, want)
	}
}

func TestSavingThatFailsLeavesNothing(t *testing.T) {
	dir, parts := data(t)
	to := filepath.Join(t.TempDir(), "today")
	for name, path := range map[string]string{"a damaged database": filepath.Join(dir, "cluster.json"), "a folder": filepath.Join(dir, "link")} {
		broken := slices.Clone(parts)
		broken[1].Path = path
		if _, _, err := Save(t.Context(), broken, to); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want an error that names it", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Save(ctx, parts, to); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(to)); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Save(t.Context(), parts, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("into a folder that is there: %v", err)
	}
}
