package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
)

func TestTakenFileIsForOneUntilItIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "file.db")
	f, err := ours().Take(t.Context(), path, nil, "1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours().Take(t.Context(), path, nil, "1"); !errors.Is(err, ErrInUse) {
		t.Errorf("taken twice: %v", err)
	}
	var mode string
	if err := f.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal mode %q, %v", mode, err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if f, err = ours().Take(t.Context(), path, nil, "1"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestFileThatCannotBePreparedIsLeftToOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file.db")
	fault := errors.New("cannot be upgraded")
	fail := func(context.Context, *sql.DB) error { return fault }
	if _, err := ours().Take(t.Context(), path, fail, "1"); !errors.Is(err, fault) {
		t.Fatal(err)
	}
	f, err := ours().Take(t.Context(), path, nil, "1")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
