package peer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"waggle/bittorrent"
	"waggle/sqlitefile"
)

// fileKind is what marks a file as such a table, and how it is opened: for this
// process alone, until it closes it or ends.
var fileKind = sqlitefile.Kind{
	Name:          "table of pieces",
	ApplicationID: 0x57616750, // "WagP"
	Version:       1,
	Schema:        schema,
	Parameters: url.Values{
		"_pragma": {"locking_mode(EXCLUSIVE)", "synchronous(NORMAL)", "temp_store(MEMORY)"},
		"_txlock": {"exclusive"},
	},
	IfForeign: "move it away, and all is hashed again",
	IfNewer:   "upgrade waggle, or move it away",
	IfDamaged: "move it away, and all is hashed again",
	IfInUse:   "only one can fetch or seed it here; wait for that one, or stop it",
}

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
	db, err := openFile(ctx, path)
	if errors.Is(err, sqlitefile.ErrDamaged) {
		damaged = true
		if err = os.Remove(path); err == nil {
			db, err = openFile(ctx, path)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", path, err)
	}
	return &table{db: db, path: path, sha1: h.String()}, damaged, nil
}

func openFile(ctx context.Context, path string) (*sql.DB, error) {
	db, err := fileKind.Open(ctx, path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if err := fileKind.CheckPages(ctx, db, "1"); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
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
