package peer

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

	sqlite "modernc.org/sqlite" // without cgo

	"waggle/bittorrent"
)

// What marks a file as such a table, in the header that SQLite keeps for it.
const (
	applicationID = 0x57616750 // "WagP"
	schemaVersion = 1
)

// schema has CHUNK as seed document 003 draws it: sha1 is the info hash, offset
// that of a finished piece. FILE is how its files were left, in bytes and in
// nanoseconds since 1970; PEER is the port that the torrent was last served on.
const schema = `
CREATE TABLE CHUNK (
	sha1     TEXT    NOT NULL,
	"offset" INTEGER NOT NULL,
	PRIMARY KEY (sha1, "offset")
) WITHOUT ROWID, STRICT;
CREATE TABLE FILE (
	sha1  TEXT    NOT NULL,
	path  TEXT    NOT NULL,
	size  INTEGER NOT NULL,
	mtime INTEGER NOT NULL,
	PRIMARY KEY (sha1, path)
) WITHOUT ROWID, STRICT;
CREATE TABLE PEER (
	sha1 TEXT    NOT NULL PRIMARY KEY,
	port INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
`

// Errors that say why a table is refused. They come wrapped, with the path and
// what to do.
var (
	ErrForeign = errors.New("not a table of pieces of waggle")
	ErrNewer   = errors.New("written by a newer waggle")
	ErrInUse   = errors.New("in use by another process")
)

// table is the table of finished pieces of one torrent, in a file that this
// process alone has open.
type table struct {
	db   *sql.DB
	path string
	sha1 string
}

// left is how a file was left.
type left struct{ size, mtime int64 }

// tablePath is the file beside the data that keeps the table: it moves with the
// data, needs no home folder, and may be deleted at any time.
func tablePath(folder, name string) string {
	return filepath.Join(folder, "."+name+".waggle")
}

// openTable opens or creates the table at path. A damaged one is made anew, and
// damaged says so: all that it can cost is hashing.
func openTable(ctx context.Context, path string, h bittorrent.InfoHash) (t *table, damaged bool, err error) {
	fresh, err := checkTable(path)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", path, err)
	}
	t = &table{path: path, sha1: h.String()}
	err = t.open(ctx, fresh)
	if err != nil && !fresh && isDamage(err) {
		if err = os.Remove(path); err == nil {
			damaged, err = true, t.open(ctx, true)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", path, err)
	}
	return t, damaged, nil
}

// checkTable looks at a file's first bytes and changes nothing.
func checkTable(path string) (fresh bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	var header [100]byte
	if n, err := io.ReadFull(f, header[:]); n == 0 && errors.Is(err, io.EOF) {
		return true, nil
	}
	// SQLite's file format: the magic at 0, user_version at 60, application_id at 68.
	if string(header[:16]) != "SQLite format 3\x00" || binary.BigEndian.Uint32(header[68:]) != applicationID {
		return false, fmt.Errorf("%w: move it away, and all is hashed again", ErrForeign)
	}
	if version := binary.BigEndian.Uint32(header[60:]); version > schemaVersion {
		return false, fmt.Errorf("%w (schema %d, this one knows %d): upgrade waggle, or move it away", ErrNewer, version, schemaVersion)
	}
	return false, nil
}

// Codes of SQLite's that are looked for.
const (
	sqliteBusy    = 5
	sqliteLocked  = 6
	sqliteCorrupt = 11
	sqliteNotADB  = 26
)

func isDamage(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqliteCorrupt || e.Code()&0xff == sqliteNotADB)
}

func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqliteBusy || e.Code()&0xff == sqliteLocked)
}

// open takes the file for this process alone: SQLite's exclusive locking keeps
// the lock until the end, and a kill gives it back.
func (t *table) open(ctx context.Context, fresh bool) error {
	absolute, err := filepath.Abs(t.path)
	if err != nil {
		return err
	}
	if fresh { // not for others to read: it says what is downloaded. The journal's file inherits this.
		f, err := os.OpenFile(t.path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return withoutPath(err)
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	slashed := "/" + strings.TrimPrefix(filepath.ToSlash(absolute), "/") // Windows: /C:/path
	query := url.Values{"_pragma": {"locking_mode(EXCLUSIVE)", "synchronous(NORMAL)", "temp_store(MEMORY)"}, "_txlock": {"exclusive"}}
	source := url.URL{Scheme: "file", Path: slashed, RawQuery: query.Encode()}
	if t.db, err = sql.Open("sqlite", source.String()); err != nil {
		return err
	}
	t.db.SetMaxOpenConns(1)
	err = t.update(ctx, func(tx *sql.Tx) error {
		if !fresh {
			var rows string
			return tx.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&rows)
		}
		marks := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, schemaVersion)
		_, err := tx.ExecContext(ctx, marks+schema)
		return err
	})
	if isBusy(err) {
		err = fmt.Errorf("%w: only one can fetch or seed it here; wait for that one, or stop it", ErrInUse)
	}
	if err != nil {
		return errors.Join(err, t.db.Close())
	}
	return nil
}

// update does all that change does, or nothing of it.
func (t *table) update(ctx context.Context, change func(tx *sql.Tx) error) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := change(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

// files returns how the torrent's files were left, by path.
func (t *table) files(ctx context.Context) (map[string]left, error) {
	rows, err := t.db.QueryContext(ctx, "SELECT path, size, mtime FROM FILE WHERE sha1 = ?", t.sha1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	files := map[string]left{}
	for rows.Next() {
		var path string
		var l left
		if err := rows.Scan(&path, &l.size, &l.mtime); err != nil {
			return nil, err
		}
		files[path] = l
	}
	return files, rows.Err()
}

// chunks returns the offsets of the finished pieces.
func (t *table) chunks(ctx context.Context) (map[int64]bool, error) {
	rows, err := t.db.QueryContext(ctx, `SELECT "offset" FROM CHUNK WHERE sha1 = ?`, t.sha1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	chunks := map[int64]bool{}
	for rows.Next() {
		var offset int64
		if err := rows.Scan(&offset); err != nil {
			return nil, err
		}
		chunks[offset] = true
	}
	return chunks, rows.Err()
}

// setChunks notes pieces as finished, or not any more.
func (t *table) setChunks(ctx context.Context, finished map[int64]bool) error {
	return t.update(ctx, func(tx *sql.Tx) error {
		for offset, is := range finished {
			query := `DELETE FROM CHUNK WHERE sha1 = ? AND "offset" = ?`
			if is {
				query = `INSERT OR IGNORE INTO CHUNK VALUES (?, ?)`
			}
			if _, err := tx.ExecContext(ctx, query, t.sha1, offset); err != nil {
				return err
			}
		}
		return nil
	})
}

// setFiles notes how files are left, and forgets other torrents: the files are
// this one's now.
func (t *table) setFiles(ctx context.Context, files map[string]left) error {
	return t.update(ctx, func(tx *sql.Tx) error {
		for _, name := range []string{"CHUNK", "FILE", "PEER"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+name+" WHERE sha1 <> ?", t.sha1); err != nil {
				return err
			}
		}
		for path, l := range files {
			if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO FILE VALUES (?, ?, ?, ?)", t.sha1, path, l.size, l.mtime); err != nil {
				return err
			}
		}
		return nil
	})
}

// other returns the info hash of another torrent whose files these were left as,
// "" if they are of none.
func (t *table) other(ctx context.Context) (sha1 string, err error) {
	err = t.db.QueryRowContext(ctx, "SELECT sha1 FROM FILE WHERE sha1 <> ? LIMIT 1", t.sha1).Scan(&sha1)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return sha1, err
}

// port returns the port that the torrent was last served on, 0 if none is known.
func (t *table) port(ctx context.Context) (port uint16, err error) {
	err = t.db.QueryRowContext(ctx, "SELECT port FROM PEER WHERE sha1 = ?", t.sha1).Scan(&port)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return port, err
}

func (t *table) setPort(ctx context.Context, port uint16) error {
	_, err := t.db.ExecContext(ctx, "INSERT OR REPLACE INTO PEER VALUES (?, ?)", t.sha1, port)
	return err
}

func (t *table) close() error { return t.db.Close() }
