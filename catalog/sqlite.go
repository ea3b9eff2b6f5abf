package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"waggle/bittorrent"
	"waggle/sqlitefile"
	"waggle/torrent"
)

// SQLite is a [Store] in one file. Use [OpenSQLite].
type SQLite struct {
	db       *sqlitefile.File
	maxEnded int // MaxHistory
}

var _ Store = (*SQLite)(nil)

// OpenSQLite opens or creates the file at path, which is not the one of the journal.
// The folder is created where it is missing. Beside the file, and as long as it is
// open, lies path.lock, which keeps a second process out.
//
// Errors are [sqlitefile.ErrForeign], [sqlitefile.ErrNewer], [sqlitefile.ErrDamaged],
// [sqlitefile.ErrInUse], or one of the operating system; each names the path and the
// remedy.
func OpenSQLite(ctx context.Context, path string) (*SQLite, error) {
	db, err := fileKind.Take(ctx, path, upgradeFile, checkedTables...)
	if err != nil {
		return nil, err
	}
	return &SQLite{db: db, maxEnded: MaxHistory}, nil
}

// Close closes the file.
func (s *SQLite) Close() error { return s.db.Close() }

// transferNames are the columns of both tables, in the order of row.
const transferNames = `info_hash, info_hash_v2, name, size, private, version, file, source, profile,
	registered, first_started, last_started, first_completed, last_completed, deactivated`

const recordNames = transferNames + `, held, file_size, file_time`

// transferValues returns the columns of a transfer.
func transferValues(t *Transfer) []any {
	var v2 any
	if t.Version != torrent.V1 {
		v2 = t.InfoHashV2[:]
	}
	return []any{
		t.InfoHash[:], v2, []byte(t.Name), t.Size, t.Private, int64(t.Version), t.File, int64(t.Source), t.Profile,
		unixNano(t.Registered), unixNano(t.FirstStarted), unixNano(t.LastStarted),
		unixNano(t.FirstCompleted), unixNano(t.LastCompleted), unixNano(t.Deactivated),
	}
}

// row is the columns of a transfer as they are read.
type row struct {
	hash, hashV2, name []byte
	times              [6]int64
	t                  Transfer
}

// targets returns where the columns are read into.
func (r *row) targets() []any {
	targets := []any{
		&r.hash, &r.hashV2, &r.name, &r.t.Size, &r.t.Private, &r.t.Version, &r.t.File, &r.t.Source, &r.t.Profile,
	}
	for i := range r.times {
		targets = append(targets, &r.times[i])
	}
	return targets
}

// transfer returns what was read, or an error where it is none.
func (r *row) transfer() (Transfer, error) {
	t := r.t
	if len(r.hash) != len(t.InfoHash) || len(r.hashV2) != 0 && len(r.hashV2) != len(t.InfoHashV2) {
		return Transfer{}, fmt.Errorf("an info hash of %d and %d bytes", len(r.hash), len(r.hashV2))
	}
	copy(t.InfoHash[:], r.hash)
	copy(t.InfoHashV2[:], r.hashV2)
	t.Name = string(r.name)
	for i, to := range []*time.Time{
		&t.Registered, &t.FirstStarted, &t.LastStarted, &t.FirstCompleted, &t.LastCompleted, &t.Deactivated,
	} {
		*to = fromUnixNano(r.times[i])
	}
	return t, nil
}

// Records reads the table row by row. Nothing else is done with the store meanwhile.
func (s *SQLite) Records(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		rows, err := s.db.QueryContext(ctx, "SELECT "+recordNames+" FROM transfers")
		if err != nil {
			yield(Record{}, fileKind.ReadError(ctx, err))
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			r, err := scanRecord(rows)
			if err != nil {
				yield(Record{}, fileKind.ReadError(ctx, err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Record{}, fileKind.ReadError(ctx, err))
		}
	}
}

func scanRecord(rows *sql.Rows) (Record, error) {
	var row row
	var r Record
	if err := rows.Scan(append(row.targets(), &r.Held, &r.FileSize, &r.FileTime)...); err != nil {
		return Record{}, err
	}
	t, err := row.transfer()
	r.Transfer = t
	return r, err
}

// Apply makes the changes in one transaction, which is on disk when it returns.
func (s *SQLite) Apply(ctx context.Context, changes []Change) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	put, err := tx.PrepareContext(ctx, insert("transfers", recordNames))
	if err != nil {
		return err
	}
	ended := false
	for i := range changes {
		c := &changes[i]
		if c.Delete {
			err = remove(ctx, tx, c.Record.InfoHash)
		} else {
			err = putRecord(ctx, tx, put, c)
		}
		if err == nil && c.Ended != nil {
			ended = true
			_, err = tx.ExecContext(ctx, insert("history", transferNames), transferValues(&c.Ended.Transfer)...)
		}
		if err != nil {
			return err
		}
	}
	if ended {
		if _, err := tx.ExecContext(ctx, "DELETE FROM history WHERE number <= (SELECT max(number) FROM history) - ?", s.maxEnded); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// insert returns the statement that puts a row, in place of one with the same key.
func insert(table, columns string) string {
	marks := strings.Repeat(", ?", strings.Count(columns, ",")+1)
	return "INSERT OR REPLACE INTO " + table + " (" + columns + ") VALUES (" + marks[2:] + ")"
}

func putRecord(ctx context.Context, tx *sql.Tx, put *sql.Stmt, c *Change) error {
	r := &c.Record
	if _, err := put.ExecContext(ctx, append(transferValues(&r.Transfer), r.Held, r.FileSize, r.FileTime)...); err != nil {
		return err
	}
	if c.Metainfo == nil {
		return nil
	}
	_, err := tx.ExecContext(ctx, insert("torrents", "info_hash, metainfo"), r.InfoHash[:], c.Metainfo)
	return err
}

func remove(ctx context.Context, tx *sql.Tx, h bittorrent.InfoHash) error {
	for _, table := range []string{"transfers", "torrents"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE info_hash = ?", h[:]); err != nil {
			return err
		}
	}
	return nil
}

// Torrent reads a copy.
func (s *SQLite) Torrent(ctx context.Context, h bittorrent.InfoHash) ([]byte, error) {
	var b []byte
	err := s.db.QueryRowContext(ctx, "SELECT metainfo FROM torrents WHERE info_hash = ?", h[:]).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, fileKind.ReadError(ctx, err)
	}
	return b, nil
}

// History reads a page.
func (s *SQLite) History(ctx context.Context, before int64, limit int) (page []Period, last int64, err error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	// One more than the page, to know whether there are more.
	rows, err := s.db.QueryContext(ctx, "SELECT number, "+transferNames+
		" FROM history WHERE number < ? ORDER BY number DESC LIMIT ?", before, limit+1)
	if err != nil {
		return nil, 0, fileKind.ReadError(ctx, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if len(page) == limit {
			return page, last, nil
		}
		var row row
		if err := rows.Scan(append([]any{&last}, row.targets()...)...); err != nil {
			return nil, 0, fileKind.ReadError(ctx, err)
		}
		t, err := row.transfer()
		if err != nil {
			return nil, 0, fileKind.ReadError(ctx, err)
		}
		page = append(page, Period{t})
	}
	return page, 0, fileKind.ReadError(ctx, rows.Err())
}
