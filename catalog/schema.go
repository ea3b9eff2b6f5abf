package catalog

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

// What marks a file as a catalogue of waggle, in the header that SQLite keeps for
// it.
const (
	applicationID = 0x57616763 // "Wagc"
	schemaVersion = 1
)

// transferColumns are the same in both tables. Times are Unix nanoseconds, 0 is not
// yet.
const transferColumns = `
	info_hash       BLOB    NOT NULL,
	info_hash_v2    BLOB,
	name            BLOB    NOT NULL,
	size            INTEGER NOT NULL,
	private         INTEGER NOT NULL,
	version         INTEGER NOT NULL,
	file            TEXT    NOT NULL,
	source          INTEGER NOT NULL,
	registered      INTEGER NOT NULL,
	first_started   INTEGER NOT NULL,
	last_started    INTEGER NOT NULL,
	first_completed INTEGER NOT NULL,
	last_completed  INTEGER NOT NULL,
	deactivated     INTEGER NOT NULL`

const schema = `
CREATE TABLE transfers (` + transferColumns + `,
	held      INTEGER NOT NULL,
	file_size INTEGER NOT NULL,
	file_time INTEGER NOT NULL,
	PRIMARY KEY (info_hash)
) WITHOUT ROWID, STRICT;
CREATE TABLE torrents (
	info_hash BLOB NOT NULL PRIMARY KEY,
	metainfo  BLOB NOT NULL
) STRICT;
CREATE TABLE history (
	number INTEGER PRIMARY KEY,` + transferColumns + `
) STRICT;
`

// Errors that say why a file is refused. OpenSQLite wraps them with the path and
// what to do.
var (
	ErrForeign = errors.New("not a catalogue of waggle")
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

// openFile opens the file, and creates it where it is fresh.
func openFile(ctx context.Context, path string, fresh bool) (*sql.DB, error) {
	if fresh { // not for others to read; the -wal file inherits this
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("the catalogue cannot be created: %w", err)
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	slashed := "/" + strings.TrimPrefix(filepath.ToSlash(absolute), "/") // Windows: /C:/path
	source := url.URL{Scheme: "file", Path: slashed, RawQuery: url.Values{"_pragma": {
		"busy_timeout(5000)", "temp_store(MEMORY)",
		"synchronous(FULL)",           // edits are rare, and whoever made one was told that it is kept
		"journal_size_limit(8388608)", // a large .torrent would leave its size in the log for ever
	}}.Encode()}
	db, err := sql.Open("sqlite", source.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if err := prepareFile(ctx, db, fresh); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func prepareFile(ctx context.Context, db *sql.DB, fresh bool) error {
	var err error
	if fresh {
		err = create(ctx, db)
	} else {
		err = checkPages(ctx, db)
	}
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "PRAGMA journal_mode = WAL")
	return err
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
	if _, err := tx.ExecContext(ctx, schema+marks); err != nil {
		return err
	}
	return tx.Commit()
}

// checkPages lets SQLite walk the pages of records and history, so that damage shows
// at start. Those of .torrents may be gigabytes; what is wrong with one shows when it
// is fetched, since its hash is checked.
func checkPages(ctx context.Context, db *sql.DB) error {
	for _, table := range []string{"transfers", "history"} {
		var verdict string
		err := db.QueryRowContext(ctx, "PRAGMA quick_check("+table+")").Scan(&verdict)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return damaged(err)
		case verdict != "ok":
			return damaged(errors.New(verdict))
		}
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
	return fmt.Errorf("%w (%w): restore the file from a backup, or move it and its -wal file away to start empty", ErrDamaged, cause)
}
