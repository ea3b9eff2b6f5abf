package account

import (
	"context"
	"database/sql"
	"math"
	"net/netip"
	"time"

	"waggle/sqlitefile"
)

// SQLite is a [Store] in one file. Use [OpenSQLite].
type SQLite struct {
	db         *sqlitefile.File
	maxEntries int // MaxEntries
}

var _ Store = (*SQLite)(nil)

// OpenSQLite opens or creates the file at path, which nobody else on this machine can
// read. The folder is created where it is missing. Beside the file, and as long as it is
// open, lies path.lock, which keeps a second process out.
//
// Errors are [sqlitefile.ErrForeign], [sqlitefile.ErrNewer], [sqlitefile.ErrDamaged],
// [sqlitefile.ErrInUse], or one of the operating system; each names the path and the
// remedy.
func OpenSQLite(ctx context.Context, path string) (*SQLite, error) {
	db, err := fileKind.Take(ctx, path, nil, "accounts", "audit")
	if err != nil {
		return nil, err
	}
	return &SQLite{db: db, maxEntries: MaxEntries}, nil
}

// Close closes the file.
func (s *SQLite) Close() error { return s.db.Close() }

const accountNames = "name, role, secret, token_id, hash, created, changed, expires"

// Accounts reads the table. A row that is none is [sqlitefile.ErrDamaged].
func (s *SQLite) Accounts(ctx context.Context) ([]Record, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT "+accountNames+" FROM accounts")
	if err != nil {
		return nil, fileKind.ReadError(ctx, err)
	}
	defer func() { _ = rows.Close() }()
	var all []Record
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return nil, fileKind.ReadError(ctx, err)
		}
		all = append(all, r)
	}
	return all, fileKind.ReadError(ctx, rows.Err())
}

func scanRecord(rows *sql.Rows) (r Record, err error) {
	var role string
	var created, changed, expires int64
	if err := rows.Scan(&r.Name, &role, &r.Secret, &r.TokenID, &r.Hash, &created, &changed, &expires); err != nil {
		return Record{}, err
	}
	if r.Role, err = ParseRole(role); err != nil {
		return Record{}, err
	}
	if _, _, _, err := parseHash(r.Hash); err != nil {
		return Record{}, err
	}
	r.Created, r.Changed, r.Expires = fromUnixNano(created), fromUnixNano(changed), fromUnixNano(expires)
	return r, nil
}

// Put writes a row, which is on disk when it returns.
func (s *SQLite) Put(ctx context.Context, r Record) error {
	_, err := s.db.ExecContext(ctx, "INSERT OR REPLACE INTO accounts ("+accountNames+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		r.Name, r.Role.String(), string(r.Secret), r.TokenID, r.Hash, unixNano(r.Created), unixNano(r.Changed), unixNano(r.Expires))
	return err
}

// Remove removes a row, as Put writes one.
func (s *SQLite) Remove(ctx context.Context, name string) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM accounts WHERE name = ?", name)
	return err
}

// Append writes a row and removes what is too old, in one transaction, which is on disk
// when it returns.
func (s *SQLite) Append(ctx context.Context, e Entry) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	address := ""
	if e.Address.IsValid() {
		address = e.Address.String()
	}
	added, err := tx.ExecContext(ctx, "INSERT INTO audit (time, name, via, address, what, target, outcome) VALUES (?, ?, ?, ?, ?, ?, ?)",
		unixNano(e.Time), []byte(e.Name), string(e.Via), address, e.What, []byte(e.Target), []byte(e.Outcome))
	if err != nil {
		return err
	}
	number, err := added.LastInsertId()
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM audit WHERE number <= ?", number-int64(s.maxEntries)); err != nil {
		return err
	}
	return tx.Commit()
}

// Entries reads a page.
func (s *SQLite) Entries(ctx context.Context, before int64, limit int) (page []Entry, more bool, err error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	// One more than the page, to know whether there are more.
	rows, err := s.db.QueryContext(ctx, "SELECT number, time, name, via, address, what, target, outcome"+
		" FROM audit WHERE number < ? ORDER BY number DESC LIMIT ?", before, limit+1)
	if err != nil {
		return nil, false, fileKind.ReadError(ctx, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if len(page) == limit {
			return page, true, nil
		}
		e, err := scanEntry(rows)
		if err != nil {
			return nil, false, fileKind.ReadError(ctx, err)
		}
		page = append(page, e)
	}
	return page, false, fileKind.ReadError(ctx, rows.Err())
}

func scanEntry(rows *sql.Rows) (Entry, error) {
	var e Entry
	var at int64
	var address string
	var name, target, outcome []byte
	if err := rows.Scan(&e.Number, &at, &name, &e.Via, &address, &e.What, &target, &outcome); err != nil {
		return Entry{}, err
	}
	if address != "" {
		var err error
		if e.Address, err = netip.ParseAddr(address); err != nil {
			return Entry{}, err
		}
	}
	e.Time = fromUnixNano(at)
	e.Name, e.Target, e.Outcome = string(name), string(target), string(outcome)
	return e, nil
}

// unixNano and fromUnixNano turn times into numbers, of which 0 is the zero time.
func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromUnixNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
