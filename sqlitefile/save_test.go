package sqlitefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestFileIsSavedWhileAnotherWritesIt(t *testing.T) {
	dir := t.TempDir()
	path, to := filepath.Join(dir, "file"), filepath.Join(dir, "saved")
	has, err := ours().Take(t.Context(), path, nil, "1")
	if err != nil {
		t.Fatal(err)
	}
	insert := func(n int) error {
		_, err := has.ExecContext(t.Context(), "INSERT INTO entries VALUES (?)", fmt.Sprint(n))
		return err
	}
	if err := insert(0); err != nil { // it is in the log alone
		t.Fatal(err)
	}
	wrote, saved := make(chan error), make(chan struct{})
	go func() {
		var err error
		for n := 1; err == nil; n++ {
			select {
			case <-saved:
				wrote <- nil
				return
			default:
				err = insert(n)
			}
		}
		wrote <- err
	}()
	err = Save(t.Context(), path, to)
	close(saved)
	if err := errors.Join(err, <-wrote, has.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err := os.Stat(to); err != nil || s.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", s, err)
	}
	copied, err := ours().Take(t.Context(), to, nil, "1") // it has the marks of its kind
	if err != nil {
		t.Fatal(err)
	}
	var rows, last int
	if err := copied.QueryRowContext(t.Context(), "SELECT count(*), max(CAST(words AS INTEGER)) FROM entries").Scan(&rows, &last); err != nil || rows == 0 || rows != last+1 {
		t.Errorf("%d rows, up to %d, %v; want those of one moment", rows, last, err)
	}
	if err := copied.Close(); err != nil {
		t.Error(err)
	}
}

func TestFileThatCannotBeSavedLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	good, to := write(t, made(t)), filepath.Join(dir, "saved")
	if err := Save(t.Context(), filepath.Join(dir, "none"), to); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	broken := made(t)
	for i := 100; i < len(broken); i++ {
		broken[i] = 0xff
	}
	if err := Save(t.Context(), write(t, broken), to); !errors.Is(err, ErrDamaged) {
		t.Errorf("a damaged one: %v", err)
	}
	if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it left something: %v", err)
	}
	if err := os.WriteFile(to, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Save(t.Context(), good, to); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	if b, err := os.ReadFile(to); err != nil || string(b) != "mine" {
		t.Errorf("it has %q now, %v", b, err)
	}
}
