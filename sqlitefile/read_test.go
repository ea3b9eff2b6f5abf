package sqlitefile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestFileIsReadWhileAnotherHasIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	has, err := ours().Take(t.Context(), path, nil, "1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := has.ExecContext(t.Context(), "INSERT INTO entries VALUES ('one')"); err != nil {
		t.Fatal(err)
	}
	reads, err := ours().Read(t.Context(), path, "entries")
	if err != nil {
		t.Fatal(err)
	}
	var words string
	if err := reads.QueryRowContext(t.Context(), "SELECT words FROM entries").Scan(&words); err != nil || words != "one" {
		t.Errorf("%q, %v", words, err)
	}
	if _, err := reads.ExecContext(t.Context(), "INSERT INTO entries VALUES ('two')"); err == nil {
		t.Error("who reads may write")
	}
	if err := errors.Join(reads.Close(), has.Close()); err != nil {
		t.Error(err)
	}
}

func TestFileThatCannotBeReadIsRefused(t *testing.T) {
	old := write(t, made(t))
	newer := ours()
	newer.Version++
	if _, err := newer.Read(t.Context(), old); !errors.Is(err, ErrOlder) {
		t.Errorf("an older one: %v", err)
	}
	older := ours()
	older.Version--
	if _, err := older.Read(t.Context(), old); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer one: %v", err)
	}
	if _, err := ours().Read(t.Context(), write(t, []byte("something else entirely, and long enough to have been a file of SQLite's, which begins with a hundred bytes"))); !errors.Is(err, ErrForeign) {
		t.Errorf("a foreign one: %v", err)
	}
	if _, err := ours().Read(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}
