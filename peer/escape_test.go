package peer

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestLinksInTheFolderLeadADownloadNowhereElse(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "photos")
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(folder, name), noise(2*pieceLength, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, source := range map[string]string{"a file": aFile(t, 3*pieceLength), "a folder": folder} {
		b := create(t, source)
		for _, suffix := range []string{"", ".part"} {
			to, elsewhere := t.TempDir(), t.TempDir()
			victim := filepath.Join(elsewhere, "a")
			if err := os.WriteFile(victim, []byte("mine"), 0o644); err != nil {
				t.Fatal(err)
			}
			target := elsewhere
			if name == "a file" {
				target = victim
			}
			if err := os.Symlink(target, filepath.Join(to, filepath.Base(source)+suffix)); err != nil {
				t.Fatal(err)
			}
			d, err := OpenPart(t.Context(), b, to)
			if err == nil {
				t.Errorf("%s, where %q is a link to elsewhere: it is downloaded", name, suffix)
				_ = d.Close()
			}
			if have, err := os.ReadFile(victim); err != nil || !bytes.Equal(have, []byte("mine")) {
				t.Errorf("%s: what the link leads to was changed to %q: %v", name, have, err)
			}
			if entries, err := os.ReadDir(elsewhere); err != nil || len(entries) != 1 {
				t.Errorf("%s: beside what the link leads to there are %v: %v", name, entries, err)
			}
		}
	}
}
