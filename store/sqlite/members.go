package sqlite

import (
	"database/sql"
	"slices"
)

// memberWriter writes the table of members, with the connection of the writer.
type memberWriter struct {
	*writer
	put      *sql.Stmt
	drop     *sql.Stmt
	dropSome *sql.Stmt
}

func (w *memberWriter) statements() []statement {
	return []statement{
		{&w.put, `INSERT INTO members (place, location, role) VALUES (?, nullif(?, ''), ?)
			ON CONFLICT (place) DO UPDATE SET location = excluded.location, role = excluded.role`},
		{&w.drop, "DELETE FROM members WHERE place = ?"},
		{&w.dropSome, "DELETE FROM members WHERE place >= ? AND place < ?"},
	}
}

// write writes rows, the last of each place last. It commits from time to time.
func (w *memberWriter) write(rows []memberRow) error {
	for len(rows) > 0 {
		some := rows[:min(maxTransaction, len(rows))]
		if err := w.transact(func() error { return w.writeSome(some) }); err != nil {
			return err
		}
		rows = rows[len(some):]
	}
	return nil
}

// replace makes the rows from one place up to another what is given, in one
// transaction: roles and leases hang together.
func (w *memberWriter) replace(from, to []byte, rows []memberRow) error {
	slices.SortStableFunc(rows, compareMembers) // which touches each page once
	return w.transact(func() error {
		if err := w.exec(w.dropSome, from, to); err != nil {
			return err
		}
		return w.writeSome(rows)
	})
}

// writeSome writes rows within a transaction.
func (w *memberWriter) writeSome(rows []memberRow) (err error) {
	for i := range rows {
		if r := &rows[i]; r.role == nil {
			err = w.exec(w.drop, r.place)
		} else {
			err = w.exec(w.put, r.place, r.location, r.role)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
