package sqlitefile

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// headerSize is the bytes of SQLite's header.
const headerSize = 100

// Check looks at a file's first bytes and changes nothing. A file that is not there,
// or empty, is fresh. Errors are [ErrForeign], [ErrNewer], or one of the operating
// system; the first two do not name the path.
func (k *Kind) Check(path string) (fresh bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	var header [headerSize]byte
	switch n, err := io.ReadFull(f, header[:]); {
	case n == 0 && errors.Is(err, io.EOF):
		return true, nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return false, k.foreign(" (it is too short for any)")
	case err != nil:
		return false, err
	}
	return false, k.checkHeader(&header)
}

// checkHeader finds the magic of SQLite's at 0, user_version at 60 and application_id
// at 68.
func (k *Kind) checkHeader(header *[headerSize]byte) error {
	if string(header[:16]) != "SQLite format 3\x00" || binary.BigEndian.Uint32(header[68:]) != k.ApplicationID {
		return k.foreign("")
	}
	if version := binary.BigEndian.Uint32(header[60:]); version > k.Version {
		return k.newer(version)
	}
	return nil
}

// Lock makes the folder of the file at path where it is missing, and takes path.lock,
// which a second process does not get until it is unlocked, or this process ends. The
// error is [ErrInUse], or one of the operating system, and names the path.
func (k *Kind) Lock(path string) (*flock.Flock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("the folder of the %s: %w", k.Name, err)
	}
	lock := flock.New(path + ".lock")
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("%s.lock: %w", path, err)
	}
	if !locked {
		return nil, fmt.Errorf("%s: %w", path, k.inUse())
	}
	return lock, nil
}

// Open opens the file at path with one connection, and makes it where it is fresh: for
// nobody else to read, which files that SQLite makes beside it inherit. Its pages are
// not checked, see [Kind.CheckPages].
//
// Errors are those of [Kind.Check], [ErrDamaged], [ErrInUse] where SQLite keeps others
// out, or one of the operating system or of SQLite. Except some of the operating
// system, they do not name the path.
func (k *Kind) Open(ctx context.Context, path string) (*sql.DB, error) {
	fresh, err := k.Check(path)
	if err != nil {
		return nil, err
	}
	if fresh {
		if err := makeEmpty(path); err != nil {
			return nil, fmt.Errorf("the %s cannot be created: %w", k.Name, err)
		}
	}
	db, err := open(path, k.Parameters)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if err := k.begin(ctx, db, fresh); err != nil {
		return nil, errors.Join(k.explain(err), db.Close())
	}
	return db, nil
}

func makeEmpty(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// begin makes the first transaction, which takes the file where SQLite is to lock it.
// In a fresh one it writes schema and marks together, before a kind turns to WAL: so
// the marks are in the file itself from its first moment.
func (k *Kind) begin(ctx context.Context, db *sql.DB, fresh bool) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if fresh {
		marks := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", k.ApplicationID, k.Version)
		if _, err := tx.ExecContext(ctx, k.Schema+marks); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// OpenToRead opens a file without changing it, for any number of connections: what a
// killed process left in the log is read, and stays there. Whether it is one of ours
// [Kind.Check] says.
func OpenToRead(path string) (*sql.DB, error) {
	return open(path, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}})
}

func open(path string, parameters url.Values) (*sql.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	slashed := "/" + strings.TrimPrefix(filepath.ToSlash(absolute), "/") // Windows: /C:/path
	source := url.URL{Scheme: "file", Path: slashed, RawQuery: parameters.Encode()}
	return sql.Open("sqlite", source.String())
}

// CheckPages lets SQLite walk the pages of tables, so that damage shows at start and
// not in the middle of a night. "1" for a table is all pages, up to the first fault.
// The error is [ErrDamaged], or that of ctx.
func (k *Kind) CheckPages(ctx context.Context, db *sql.DB, tables ...string) error {
	for _, table := range tables {
		var verdict string
		err := db.QueryRowContext(ctx, "PRAGMA quick_check("+table+")").Scan(&verdict)
		if err == nil && verdict != "ok" {
			err = errors.New(verdict)
		}
		if err := k.ReadError(ctx, err); err != nil {
			return err
		}
	}
	return nil
}
