package passkey

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"waggle/sqlitefile"
)

// SQLite is a [Store] in one file. Use [OpenSQLite].
type SQLite struct {
	db   *sqlitefile.File
	most int // sessions of a passkey that are kept
}

var _ Store = (*SQLite)(nil)

var checkedTables = []string{"passkeys", "sessions"}

// OpenSQLite opens or creates the file at path, which nobody else on this machine can read.
// The folder is created where it is missing. Beside the file, and as long as it is open, lies
// path.lock, which keeps a second process out.
//
// Errors are [sqlitefile.ErrForeign], [sqlitefile.ErrNewer], [sqlitefile.ErrDamaged],
// [sqlitefile.ErrInUse], or one of the operating system; each names the path and the
// remedy.
func OpenSQLite(ctx context.Context, path string) (*SQLite, error) {
	db, err := fileKind.Take(ctx, path, nil, checkedTables...)
	if err != nil {
		return nil, err
	}
	return &SQLite{db, mostSessions}, nil
}

// ReadSQLite opens the file at path to read alone, also while another process has it. Apply
// and Count fail. Errors are those of [sqlitefile.Kind.Read].
func ReadSQLite(ctx context.Context, path string) (*SQLite, error) {
	db, err := fileKind.Read(ctx, path, checkedTables...)
	if err != nil {
		return nil, err
	}
	return &SQLite{db, mostSessions}, nil
}

// Close closes the file.
func (s *SQLite) Close() error { return s.db.Close() }

const (
	recordNames = "id, key, name, note, created, expires, revoked"
	totalNames  = "uploaded, downloaded, implausible, torrents, seen"
)

// Passkeys reads the table row by row. Nothing else is done with the store meanwhile.
func (s *SQLite) Passkeys(ctx context.Context) iter.Seq2[Passkey, error] {
	return func(yield func(Passkey, error) bool) {
		rows, err := s.db.QueryContext(ctx, "SELECT "+recordNames+", "+totalNames+" FROM passkeys")
		if err != nil {
			yield(Passkey{}, fileKind.ReadError(ctx, err))
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			p, err := scanPasskey(rows)
			if err != nil {
				yield(Passkey{}, fileKind.ReadError(ctx, err))
				return
			}
			if !yield(p, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Passkey{}, fileKind.ReadError(ctx, err))
		}
	}
}

func scanPasskey(rows *sql.Rows) (p Passkey, err error) {
	var created, expires, revoked, seen int64
	if err := rows.Scan(&p.ID, &p.Key, &p.Name, &p.Note, &created, &expires, &revoked,
		&p.Uploaded, &p.Downloaded, &p.Implausible, &p.Torrents, &seen); err != nil {
		return p, err
	}
	p.Created, p.Expires, p.Revoked, p.Seen = fromUnixNano(created), fromUnixNano(expires), fromUnixNano(revoked), fromUnixNano(seen)
	return p, p.sound()
}

// sound is an error where what was read is no passkey.
func (p *Passkey) sound() error {
	if !isID(p.ID) {
		return fmt.Errorf("%.40q is no id", p.ID)
	}
	if p.Uploaded < 0 || p.Downloaded < 0 || p.Implausible < 0 || p.Torrents < 0 {
		return errors.New("a total is less than 0")
	}
	return p.check()
}

// Apply makes the changes in one transaction, which is on disk when it returns.
func (s *SQLite) Apply(ctx context.Context, changes []Change) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		for i := range changes {
			if err := applyChange(ctx, tx, &changes[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *SQLite) transact(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func applyChange(ctx context.Context, tx *sql.Tx, c *Change) error {
	r := &c.Record
	if c.Delete {
		_, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE passkey = (SELECT number FROM passkeys WHERE id = ?)", r.ID)
		if err == nil {
			_, err = tx.ExecContext(ctx, "DELETE FROM passkeys WHERE id = ?", r.ID)
		}
		return err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO passkeys ("+recordNames+") VALUES (?, ?, ?, ?, ?, ?, ?) "+
		"ON CONFLICT (id) DO UPDATE SET key = excluded.key, name = excluded.name, note = excluded.note, "+
		"created = excluded.created, expires = excluded.expires, revoked = excluded.revoked",
		r.ID, r.Key, r.Name, r.Note, unixNano(r.Created), unixNano(r.Expires), unixNano(r.Revoked))
	if err != nil || c.Totals == nil {
		return err
	}
	t := c.Totals
	_, err = tx.ExecContext(ctx, "UPDATE passkeys SET uploaded = ?, downloaded = ?, implausible = ?, torrents = ?, seen = ? WHERE id = ?",
		t.Uploaded, t.Downloaded, t.Implausible, t.Torrents, unixNano(t.Seen), r.ID)
	return err
}

// statements are those of Count, prepared in one transaction.
type statements struct{ totals, session, keep, torrents, forget, update *sql.Stmt }

// Count adds what was told in one transaction, which is on disk when it returns.
func (s *SQLite) Count(ctx context.Context, told []Counted, rules Rules) (totals []*Totals, err error) {
	totals = make([]*Totals, len(told))
	err = s.transact(ctx, func(tx *sql.Tx) error {
		var st statements
		for text, to := range map[string]**sql.Stmt{
			"SELECT number, " + totalNames + " FROM passkeys WHERE id = ?":                                                                        &st.totals,
			"SELECT torrent, began, marked, at, uploaded, downloaded, stopped FROM sessions WHERE passkey = ? AND digest = ?":                     &st.session,
			"INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)":                                                                  &st.keep,
			"SELECT count(*), count(DISTINCT CASE WHEN stopped = 0 AND at >= ? THEN torrent END) FROM sessions WHERE passkey = ?":                 &st.torrents,
			"DELETE FROM sessions WHERE passkey = ?1 AND digest IN (SELECT digest FROM sessions WHERE passkey = ?1 ORDER BY at, digest LIMIT ?2)": &st.forget,
			"UPDATE passkeys SET uploaded = ?, downloaded = ?, implausible = ?, torrents = ?, seen = ? WHERE number = ?":                          &st.update,
		} {
			if *to, err = tx.PrepareContext(ctx, text); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE at < ?", rules.before(rules.Forget)); err != nil {
			return err
		}
		for i := range told {
			if totals[i], err = st.count(ctx, &told[i], &rules, s.most); err != nil {
				return err
			}
		}
		return nil
	})
	return totals, err
}

// count adds what was told under one passkey, of which the latest sessions stay, so many at most.
func (st *statements) count(ctx context.Context, c *Counted, rules *Rules, most int) (*Totals, error) {
	var row, seen int64
	t := new(Totals)
	err := st.totals.QueryRowContext(ctx, c.ID).Scan(&row, &t.Uploaded, &t.Downloaded, &t.Implausible, &t.Torrents, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t.Seen = fromUnixNano(seen)
	for i := range c.Told {
		s := &c.Told[i]
		old := Session{Digest: s.Digest}
		err := st.session.QueryRowContext(ctx, row, int64(s.Digest)).Scan(
			&old.Torrent, &old.Began, &old.Marked, &old.At, &old.Uploaded, &old.Downloaded, &old.Stopped)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		n := t.Add(old, err == nil, s, *rules)
		if _, err := st.keep.ExecContext(ctx, row, int64(n.Digest), n.Torrent, n.Began, n.Marked, n.At, n.Uploaded, n.Downloaded, n.Stopped); err != nil {
			return nil, err
		}
	}
	if t.Torrents, err = st.trim(ctx, row, rules.before(rules.Lifetime), most); err != nil {
		return nil, err
	}
	_, err = st.update.ExecContext(ctx, t.Uploaded, t.Downloaded, t.Implausible, t.Torrents, unixNano(t.Seen), row)
	return t, err
}

// trim forgets the sessions of a passkey that are beyond the most, those first that announced
// longest ago, and returns at how many torrents the others are.
func (st *statements) trim(ctx context.Context, row int64, from uint32, most int) (torrents int64, err error) {
	var sessions int
	if err = st.torrents.QueryRowContext(ctx, from, row).Scan(&sessions, &torrents); err != nil || sessions <= most {
		return torrents, err
	}
	if _, err = st.forget.ExecContext(ctx, row, sessions-most); err != nil {
		return 0, err
	}
	err = st.torrents.QueryRowContext(ctx, from, row).Scan(&sessions, &torrents)
	return torrents, err
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
