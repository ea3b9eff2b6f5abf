package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
)

// maxTransaction is the number of rows after which a transaction is committed and
// another begun. Each may be on a page of its own, which the commit writes.
const maxTransaction = 64

// rowsAtOnce is the number of rows of the longer of the statements that put rows.
const rowsAtOnce = 16

// writer is the one connection that writes, and its statements. It is for one
// goroutine.
type writer struct {
	conn    *sql.Conn
	begin   *sql.Stmt
	commit  *sql.Stmt
	putOne  *sql.Stmt
	putMany *sql.Stmt
	drop    *sql.Stmt
	between *sql.Stmt
	stmts   []*sql.Stmt // all of these
	pace    pace
	members *memberWriter // nil: roles are not kept

	order []int32 // memory of sorted, used again
	args  []any   // the rows that wait to be put
}

// statement is one to be prepared, and where it is kept.
type statement struct {
	to   **sql.Stmt
	text string
}

func newWriter(ctx context.Context, db *sql.DB, roles bool) (_ *writer, err error) {
	w := &writer{}
	if w.conn, err = db.Conn(ctx); err != nil {
		return nil, err
	}
	statements := []statement{
		{&w.begin, "BEGIN IMMEDIATE"},
		{&w.commit, "COMMIT"},
		{&w.putOne, put(1)},
		{&w.putMany, put(rowsAtOnce)},
		{&w.drop, "DELETE FROM swarms WHERE place = ?"},
		{&w.between, "SELECT place, state FROM swarms WHERE place >= ? AND place < ? ORDER BY place"},
	}
	if roles {
		w.members = &memberWriter{writer: w}
		statements = append(statements, w.members.statements()...)
	}
	for _, s := range statements {
		if *s.to, err = w.conn.PrepareContext(ctx, s.text); err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.stmts = append(w.stmts, *s.to)
	}
	return w, nil
}

// put returns the statement that puts n rows. An upsert writes over a row that is
// there, where REPLACE would delete it first.
func put(n int) string {
	values := strings.Repeat(", (?, ?)", n)[1:]
	return "INSERT INTO swarms (place, state) VALUES" + values + " ON CONFLICT (place) DO UPDATE SET state = excluded.state"
}

// close closes the statements first: with one of them open, SQLite would leave
// its log behind.
func (w *writer) close() error {
	var errs []error
	for _, s := range w.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// write writes rows in the order of their places, which touches each page once,
// and of several rows of one place the last only. It commits from time to time: a
// crash loses the rest, and splits no row.
func (w *writer) write(rows []row) error {
	order := w.sorted(rows)
	for len(order) > 0 {
		some := order[:min(maxTransaction, len(order))]
		if err := w.transact(func() error { return w.writeSome(rows, some) }); err != nil {
			return err
		}
		order = order[len(some):]
	}
	return nil
}

// sorted returns the numbers of the rows in the order of places, the latest only
// of each. The slice is good until the next call.
func (w *writer) sorted(rows []row) []int32 {
	w.order = w.order[:0]
	for i := range rows {
		w.order = append(w.order, int32(i))
	}
	slices.SortFunc(w.order, func(i, j int32) int {
		return cmp.Or(compareRows(&rows[i], &rows[j]), cmp.Compare(j, i))
	})
	return slices.CompactFunc(w.order, func(i, j int32) bool { return compareRows(&rows[i], &rows[j]) == 0 })
}

// transact does something in a transaction, which it takes back where that fails.
func (w *writer) transact(something func() error) error {
	ctx := context.Background()
	if _, err := w.begin.ExecContext(ctx); err != nil {
		return err
	}
	err := something()
	if err == nil {
		_, err = w.commit.ExecContext(ctx)
	}
	if err != nil {
		_, _ = w.conn.ExecContext(ctx, "ROLLBACK") // which fails where the error has done it
		return err
	}
	w.pace.step()
	return nil
}

// writeSome writes rows within a transaction.
func (w *writer) writeSome(rows []row, order []int32) error {
	w.args = w.args[:0]
	for _, i := range order {
		if err := w.add(&rows[i]); err != nil {
			return err
		}
	}
	for i := 0; i < len(w.args); i += 2 {
		if err := w.exec(w.putOne, w.args[i:i+2]...); err != nil {
			return err
		}
	}
	return nil
}

// add puts a row together with others, or drops it at once.
func (w *writer) add(r *row) error {
	if r.stateLen == 0 {
		return w.exec(w.drop, r.key())
	}
	w.args = append(w.args, r.key(), r.value())
	if len(w.args) < 2*rowsAtOnce {
		return nil
	}
	args := w.args
	w.args = w.args[:0]
	return w.exec(w.putMany, args...)
}

func (w *writer) exec(s *sql.Stmt, args ...any) error {
	_, err := s.ExecContext(context.Background(), args...)
	w.pace.step()
	return err
}

// replace makes the rows from one place up to another what is given, and leaves
// alone those that are so already.
func (w *writer) replace(from, to []byte, rows []row) error {
	changed, err := w.compare(from, to, rows)
	if err != nil {
		return err
	}
	return w.write(changed)
}

// compare returns what must be written to make the rows of a range what is given.
func (w *writer) compare(from, to []byte, rows []row) (changed []row, err error) {
	there, err := w.between.QueryContext(context.Background(), from, to)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, there.Close()) }()
	want := w.sorted(rows)
	var place, state sql.RawBytes
	for there.Next() {
		if err := there.Scan(&place, &state); err != nil {
			return nil, err
		}
		w.pace.step()
		for len(want) > 0 && bytes.Compare(rows[want[0]].key(), place) < 0 {
			changed, want = append(changed, rows[want[0]]), want[1:]
		}
		if len(want) == 0 || !bytes.Equal(rows[want[0]].key(), place) {
			changed = append(changed, row{placeLen: uint8(min(len(place), place6))})
			copy(changed[len(changed)-1].place[:], place)
			continue
		}
		if !bytes.Equal(rows[want[0]].value(), state) {
			changed = append(changed, rows[want[0]])
		}
		want = want[1:]
	}
	for _, i := range want {
		changed = append(changed, rows[i])
	}
	return changed, there.Err()
}

// slice is how long the journal works before it rests for three times as long: it
// takes a quarter of a processor at most, and announces that wait for that
// processor do not wait for long.
const (
	slice = 500 * time.Microsecond
	rest  = 3 * slice
)

// pace is the rhythm of work and rest. The zero value does not rest.
type pace struct {
	hurry <-chan struct{} // nil or closed: no rest
	began time.Time       // the work since the last rest
}

// step rests where a slice of work is over.
func (p *pace) step() {
	if p.hurry == nil || time.Since(p.began) < slice {
		return
	}
	p.rest(rest)
}

// rest waits for a time, and begins to work again.
func (p *pace) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.hurry:
	}
	p.began = time.Now()
}
