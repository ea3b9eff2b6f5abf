package sqlite

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

	_ "modernc.org/sqlite" // the driver, without cgo
)

// What marks a file as waggle's, in the header that SQLite keeps for it.
const (
	applicationID = 0x57616767 // "Wagg"
	schemaVersion = 1
)

// schema is the one table; views.go shows it in words. row.go lays out what is in
// its columns.
const schema = `
CREATE TABLE swarms (
	place BLOB NOT NULL PRIMARY KEY,
	state BLOB NOT NULL
) WITHOUT ROWID, STRICT;
`

// Errors that say why a file is refused. Open wraps them with the path and what
// to do.
var (
	ErrForeign = errors.New("not a database of waggle")
	ErrNewer   = errors.New("written by a newer waggle")
	ErrDamaged = errors.New("damaged")
	ErrInUse   = errors.New("in use by another process")
)

// checkHeader looks at a file's first bytes and changes nothing. A file that is
// not there, or empty, is reported as fresh.
func checkHeader(path string) (fresh bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	var header [100]byte
	switch n, err := io.ReadFull(f, header[:]); {
	case n == 0 && errors.Is(err, io.EOF):
		return true, nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return false, fmt.Errorf("%w (it is too short for any): give another path, or move the file away", ErrForeign)
	case err != nil:
		return false, err
	}
	// SQLite's file format: the magic at 0, user_version at 60, application_id at 68.
	if string(header[:16]) != "SQLite format 3\x00" || binary.BigEndian.Uint32(header[68:]) != applicationID {
		return false, fmt.Errorf("%w: give another path, or move the file away", ErrForeign)
	}
	if version := binary.BigEndian.Uint32(header[60:]); version > schemaVersion {
		return false, fmt.Errorf("%w (schema %d, this one knows %d): upgrade waggle, or give another path", ErrNewer, version, schemaVersion)
	}
	return false, nil
}

// openToRead opens the file without changing it: what a killed process left in
// the log is read, and stays there.
func openToRead(path string) (*sql.DB, error) {
	return open(path, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}})
}

// openToWrite opens the file, and creates it where it is fresh. The caller has
// one connection.
func openToWrite(ctx context.Context, path string, fresh bool) (*sql.DB, error) {
	if fresh { // not for others to read: it says who downloads what. The -wal file inherits this.
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("the database cannot be created: %w", err)
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	db, err := open(path, url.Values{"_pragma": {
		"busy_timeout(5000)", "synchronous(NORMAL)", "temp_store(MEMORY)",
		"cache_size(-32768)",      // 32 MiB, for rows that are written all over the table
		"wal_autocheckpoint(512)", // 2 MiB: what is carried over at once takes a commit some milliseconds
	}})
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if fresh {
		err = create(ctx, db)
	}
	if err == nil {
		_, err = db.ExecContext(ctx, "PRAGMA journal_mode = WAL")
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func open(path string, query url.Values) (*sql.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	slashed := "/" + strings.TrimPrefix(filepath.ToSlash(absolute), "/") // Windows: /C:/path
	source := url.URL{Scheme: "file", Path: slashed, RawQuery: query.Encode()}
	return sql.Open("sqlite", source.String())
}

// create writes the schema and the marks in one transaction, before the file
// turns to WAL: so the marks are in the file itself from its first moment.
func create(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	marks := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, schemaVersion)
	if _, err := tx.ExecContext(ctx, schema+views+marks); err != nil {
		return err
	}
	return tx.Commit()
}

// checkPages lets SQLite walk all pages, so that damage shows at start and not
// in the middle of a night.
func checkPages(ctx context.Context, db *sql.DB) error {
	var verdict string
	err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return damaged(err)
	case verdict != "ok":
		return damaged(errors.New(verdict))
	}
	return nil
}

// readError is the error of reading a file, which nothing else explains than that
// ctx ended or the file is damaged.
func readError(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return damaged(err)
}

func damaged(cause error) error {
	return fmt.Errorf("%w (%w): nothing was changed; restore the file from a backup, or move it and its -wal file away to start empty", ErrDamaged, cause)
}
