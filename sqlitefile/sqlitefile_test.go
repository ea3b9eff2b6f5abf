package sqlitefile

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// ours is a kind without a lock of SQLite's.
func ours() *Kind {
	return &Kind{
		Name: "ledger", ApplicationID: 0x57616754, Version: 3, Schema: "CREATE TABLE entries (words TEXT NOT NULL) STRICT;",
		Parameters: url.Values{"_pragma": {"synchronous(OFF)"}},
		IfForeign:  "look elsewhere", IfNewer: "upgrade", IfDamaged: "restore it", IfInUse: "wait",
	}
}

// exclusive is a kind that SQLite locks.
func exclusive() *Kind {
	k := ours()
	k.Parameters = url.Values{"_pragma": {"locking_mode(EXCLUSIVE)"}, "_txlock": {"exclusive"}}
	return k
}

func mustOpen(t *testing.T, k *Kind, path string) *sql.DB {
	t.Helper()
	db, err := k.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, db) })
	return db
}

func mustClose(t *testing.T, db *sql.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// write writes a file, and returns its path.
func write(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// made returns the bytes of a file of ours of some pages.
func made(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	db := mustOpen(t, ours(), path)
	for range 200 {
		if _, err := db.ExecContext(t.Context(), "INSERT INTO entries VALUES (?)", strings.Repeat("x", 100)); err != nil {
			t.Fatal(err)
		}
	}
	return read(t, path)
}

func wantRefused(t *testing.T, err, want error, words string) {
	t.Helper()
	if !errors.Is(err, want) || err.Error() != words {
		t.Errorf("error %v, want %q", err, words)
	}
}

func TestNewFileHasItsMarksAtOnceAndIsNotForOthersToRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%41&e=f") // as SQLite's URL must have it
	k := ours()
	if fresh, err := k.Check(path); !fresh || err != nil {
		t.Fatalf("fresh %v, %v", fresh, err)
	}
	db := mustOpen(t, k, path)
	if fresh, err := k.Check(path); fresh || err != nil {
		t.Errorf("opened, it is fresh: %v, %v", fresh, err)
	}
	if stat, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && stat.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", stat, err)
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO entries VALUES ('a')"); err != nil {
		t.Error(err)
	}
}

func TestEmptyFileIsTakenForANewOne(t *testing.T) {
	path := write(t, nil)
	if err := ours().CheckPages(t.Context(), mustOpen(t, ours(), path), "1"); err != nil {
		t.Error(err)
	}
}

func TestFileIsOpenedAgainAsItIs(t *testing.T) {
	path := write(t, made(t))
	var n int
	db := mustOpen(t, ours(), path)
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM entries").Scan(&n); err != nil || n != 200 {
		t.Errorf("%d rows, %v", n, err)
	}
	if err := ours().CheckPages(t.Context(), db, "entries", "1"); err != nil {
		t.Error(err)
	}
}

func TestFileOfAnotherKindIsRefusedAndLeftAsItIs(t *testing.T) {
	whole := made(t)
	edited := func(at int, b byte) []byte {
		c := bytes.Clone(whole)
		c[at] = b
		return c
	}
	for name, test := range map[string]struct {
		file  []byte
		want  error
		words string
	}{
		"a few bytes":           {[]byte("hello"), ErrForeign, "not a ledger of waggle (it is too short for any): look elsewhere"},
		"99 bytes":              {whole[:99], ErrForeign, "not a ledger of waggle (it is too short for any): look elsewhere"},
		"text":                  {bytes.Repeat([]byte("text"), 100), ErrForeign, "not a ledger of waggle: look elsewhere"},
		"another kind's":        {edited(71, 'x'), ErrForeign, "not a ledger of waggle: look elsewhere"},
		"a later version of it": {edited(63, 4), ErrNewer, "written by a newer waggle (schema 4, this one knows 3): upgrade"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, test.file)
			_, err := ours().Check(path)
			wantRefused(t, err, test.want, test.words)
			_, err = ours().Open(t.Context(), path)
			wantRefused(t, err, test.want, test.words)
			if !bytes.Equal(read(t, path), test.file) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestEarlierVersionIsOpened(t *testing.T) {
	k := ours()
	k.Version++
	mustOpen(t, k, write(t, made(t)))
}

func TestDamageIsFoundAndLeftAsItIs(t *testing.T) {
	whole := made(t)
	overwritten := func(from, to int) []byte {
		b := bytes.Clone(whole)
		copy(b[from:to], bytes.Repeat([]byte{0xa5}, to-from))
		return b
	}
	for name, file := range map[string][]byte{
		"cut short":                      whole[:len(whole)/2],
		"a page overwritten":             overwritten(2*4096, 3*4096),
		"all pages overwritten":          overwritten(100, len(whole)),
		"a fault that SQLite only tells": overwritten(39, 40), // the number of free pages
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, file)
			db, err := ours().Open(t.Context(), path)
			if err == nil {
				err = ours().CheckPages(t.Context(), db, "1")
				mustClose(t, db)
			}
			if !errors.Is(err, ErrDamaged) || !strings.HasSuffix(err.Error(), "): restore it") {
				t.Errorf("error %v, want %v and what to do", err, ErrDamaged)
			}
			if !bytes.Equal(read(t, path), file) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestEndedContextIsNoDamage(t *testing.T) {
	db := mustOpen(t, ours(), write(t, made(t)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range []error{
		ours().CheckPages(ctx, db, "1"),
		ours().ReadError(ctx, errors.New("a row of three bytes")),
		ours().ReadError(ctx, nil),
	} {
		if !errors.Is(err, context.Canceled) || errors.Is(err, ErrDamaged) {
			t.Errorf("error %v, want that of the context", err)
		}
	}
	if err := ours().ReadError(t.Context(), nil); err != nil {
		t.Error(err)
	}
	cause := errors.New("a row of three bytes")
	err := ours().ReadError(t.Context(), cause)
	wantRefused(t, err, ErrDamaged, "damaged (a row of three bytes): restore it")
	wantRefused(t, err, cause, "damaged (a row of three bytes): restore it")
}

func TestLockKeepsASecondOutUntilItIsUnlocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "file")
	lock, err := ours().Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ours().Lock(path)
	wantRefused(t, err, ErrInUse, path+": in use by another process: wait")
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
	if lock, err = ours().Lock(path); err != nil {
		t.Fatal(err)
	}
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestExclusiveKindIsKeptBySQLiteFromTheFirstMomentOn(t *testing.T) {
	for name, file := range map[string][]byte{"new": nil, "old": made(t)} {
		t.Run(name, func(t *testing.T) {
			path := write(t, file)
			db, err := exclusive().Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = exclusive().Open(t.Context(), path)
			wantRefused(t, err, ErrInUse, "in use by another process: wait")
			mustClose(t, db)
			mustOpen(t, exclusive(), path)
		})
	}
}

func TestOpenedToReadTheFileAndItsLogStay(t *testing.T) {
	path := write(t, made(t))
	writer := mustOpen(t, ours(), path)
	for _, statement := range []string{"PRAGMA journal_mode = WAL", "INSERT INTO entries VALUES ('in the log')"} {
		if _, err := writer.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	killed := filepath.Join(t.TempDir(), "killed")
	for _, suffix := range []string{"", "-wal"} {
		if err := os.WriteFile(killed+suffix, read(t, path+suffix), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := OpenToRead(killed)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM entries WHERE words = 'in the log'").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows of the log are read, %v", n, err)
	}
	if _, err := db.ExecContext(t.Context(), "DELETE FROM entries"); err == nil {
		t.Error("it was written to")
	}
	mustClose(t, db)
	for _, suffix := range []string{"", "-wal"} {
		if !bytes.Equal(read(t, killed+suffix), read(t, path+suffix)) {
			t.Errorf("the file%s was changed", suffix)
		}
	}
}

func TestFileThatCannotBeMadeSaysWhatItIs(t *testing.T) {
	_, err := ours().Open(t.Context(), filepath.Join(t.TempDir(), "absent", "file"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "the ledger cannot be created: ") {
		t.Errorf("error %v", err)
	}
	_, err = ours().Lock(filepath.Join(write(t, []byte("a file")), "file"))
	if err == nil || !strings.HasPrefix(err.Error(), "the folder of the ledger: ") {
		t.Errorf("error %v", err)
	}
}

func TestSchemaThatFailsLeavesTheFileEmpty(t *testing.T) {
	k := ours()
	k.Schema += "CREATE TABLE"
	path := filepath.Join(t.TempDir(), "file")
	if _, err := k.Open(t.Context(), path); err == nil {
		t.Error("no error")
	}
	if fresh, err := k.Check(path); !fresh || err != nil {
		t.Errorf("fresh %v, %v", fresh, err)
	}
}

func FuzzHeader(f *testing.F) {
	head := []byte("SQLite format 3\x00")
	marked := append(bytes.Clone(head), make([]byte, headerSize-len(head))...)
	copy(marked[68:], "WagT")
	marked[63] = 3
	newer := bytes.Clone(marked)
	newer[60] = 0xff
	for _, b := range [][]byte{nil, head, marked, newer, bytes.Repeat([]byte("text"), 25)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var header [headerSize]byte
		copy(header[:], b)
		err := ours().checkHeader(&header)
		if err != nil && !errors.Is(err, ErrForeign) && !errors.Is(err, ErrNewer) {
			t.Errorf("error %v", err)
		}
		if marks := string(header[:16]) + string(header[60:63]) + string(header[68:72]); err == nil && marks != string(head)+"\x00\x00\x00WagT" {
			t.Errorf("taken, with %x", header)
		}
	})
}
