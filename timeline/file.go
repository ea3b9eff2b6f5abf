package timeline

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"

	"waggle/sqlitefile"
)

// fileKind is what marks a file as figures over time, and how it is opened.
var fileKind = sqlitefile.Kind{
	Name:          "file of figures over time",
	ApplicationID: 0x57616774, // "Wagt"
	Version:       1,
	Schema:        schema,
	Parameters: url.Values{"_pragma": {
		"busy_timeout(5000)", "temp_store(MEMORY)",
		"synchronous(NORMAL)",        // with WAL, a crash loses minutes and damages nothing
		"cache_size(-512)",           // the whole file has some 300 kB
		"journal_size_limit(524288)", // and its log no more
	}},
	IfForeign: "move the file away",
	IfNewer:   "upgrade waggle, or move the file away",
	IfDamaged: "move it and its -wal file away to start empty",
	IfInUse:   "stop that one, or give this one a store in another folder",
}

// schema is of the series, in the order in which rows have their values, and of the
// rows: 360 of each span at most, as place is below that. Values are float64, in
// little-endian order, NaN where there is none.
const schema = `
CREATE TABLE series (
	number INTEGER NOT NULL PRIMARY KEY,
	name   TEXT NOT NULL
) STRICT;
CREATE TABLE points (
	span   INTEGER NOT NULL,
	place  INTEGER NOT NULL,
	step   INTEGER NOT NULL,
	data  BLOB NOT NULL,
	PRIMARY KEY (span, place)
) WITHOUT ROWID, STRICT;
`

// maxSeries bounds what is read of a file that names more than any waggle has.
const maxSeries = 1000

// maxStep is a step that no clock reaches.
const maxStep = 1 << 40

// file is the SQLite file of a timeline. It is for one goroutine.
type file struct {
	path   string
	db     *sqlitefile.File
	series []Series
	named  bool // the file has its rows in the order of series
}

// openFile opens the file and reads it into rings that are empty.
func openFile(ctx context.Context, path string, series []Series, rings [spans]*ring) (*file, error) {
	f := &file{path: path, series: series}
	var err error
	f.db, err = fileKind.Take(ctx, path, func(ctx context.Context, db *sql.DB) error { return f.load(ctx, db, rings) }, "1")
	if err != nil {
		return nil, err
	}
	return f, nil
}

// load reads all rows. Where the file has other series than these, it is to be written
// whole.
func (f *file) load(ctx context.Context, db *sql.DB, rings [spans]*ring) error {
	names, err := namesOf(ctx, db)
	if err != nil {
		return fileKind.ReadError(ctx, err)
	}
	rows, err := db.QueryContext(ctx, `SELECT span, place, step, data FROM points`)
	if err != nil {
		return fileKind.ReadError(ctx, err)
	}
	defer func() { _ = rows.Close() }()
	from := f.numbersOf(names)
	for rows.Next() {
		var span, place, step int64
		var values []byte
		if err := rows.Scan(&span, &place, &step, &values); err != nil {
			return fileKind.ReadError(ctx, err)
		}
		if span < 0 || span >= int64(spans) {
			return fileKind.ReadError(ctx, fmt.Errorf("a row of a span %d", span))
		}
		if err := rings[span].load(place, step, values, len(names), from); err != nil {
			return fileKind.ReadError(ctx, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fileKind.ReadError(ctx, err)
	}
	f.named = slices.Equal(names, f.seriesNames())
	if !f.named {
		changeAll(rings)
	}
	return nil
}

// namesOf returns the names of a file's series.
func namesOf(ctx context.Context, db *sql.DB) (names []string, err error) {
	rows, err := db.QueryContext(ctx, "SELECT name FROM series ORDER BY number LIMIT ?", maxSeries)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

func (f *file) seriesNames() []string {
	names := make([]string, len(f.series))
	for i, s := range f.series {
		names[i] = s.Name
	}
	return names
}

// numbersOf returns which of the file's series is each of ours; -1: none is.
func (f *file) numbersOf(names []string) []int {
	numbers := make([]int, len(f.series))
	for i, s := range f.series {
		numbers[i] = slices.Index(names, s.Name)
	}
	return numbers
}

// load puts in a row of a file, whose rows have so many values: which of them are ours
// says from. A negative number is of none.
func (r *ring) load(place, step int64, values []byte, width int, from []int) error {
	if len(values) != 8*width || step < 0 || step > maxStep || place != step%points {
		return fmt.Errorf("a row of step %d at place %d, of %d bytes", step, place, len(values))
	}
	r.steps[place], r.newest = step, max(r.newest, step)
	row := r.row(int(place))
	for i, number := range from {
		row[i] = math.NaN()
		if number >= 0 {
			row[i] = math.Float64frombits(binary.LittleEndian.Uint64(values[8*number:]))
		}
	}
	return nil
}

// row is a row on its way into the file. Without values it is to be removed.
type row struct {
	span        Span
	place, step int64
	values      []byte
}

// takeChanged copies the rows that have changed, and marks them as written.
func takeChanged(rings [spans]*ring) (rows []row) {
	for span, r := range rings {
		for place, changed := range r.changed {
			if !changed {
				continue
			}
			r.changed[place] = false
			out := row{span: Span(span), place: int64(place), step: r.steps[place]}
			if out.step != none {
				out.values = make([]byte, 0, 8*r.width)
				for _, v := range r.row(place) {
					out.values = binary.LittleEndian.AppendUint64(out.values, math.Float64bits(v))
				}
			}
			rows = append(rows, out)
		}
	}
	return rows
}

// giveBack marks rows that could not be written as changed.
func giveBack(rings [spans]*ring, rows []row) {
	for _, r := range rows {
		rings[r.span].changed[r.place] = true
	}
}

// changeAll marks all rows that have values as changed.
func changeAll(rings [spans]*ring) {
	for _, r := range rings {
		for place, step := range r.steps {
			r.changed[place] = step != none
		}
	}
}

// write writes rows in one transaction, and the names of the series before them where
// the file has others; then the rows are all that there are.
func (f *file) write(rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	ctx := context.Background()
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if !f.named {
		if err := f.writeNames(ctx, tx); err != nil {
			return err
		}
	}
	for _, r := range rows {
		if err := r.write(ctx, tx); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	f.named = true
	return nil
}

func (f *file) writeNames(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM points; DELETE FROM series"); err != nil {
		return err
	}
	for i, s := range f.series {
		if _, err := tx.ExecContext(ctx, "INSERT INTO series (number, name) VALUES (?, ?)", i, s.Name); err != nil {
			return err
		}
	}
	return nil
}

func (r *row) write(ctx context.Context, tx *sql.Tx) error {
	if r.values == nil {
		_, err := tx.ExecContext(ctx, "DELETE FROM points WHERE span = ? AND place = ?", int64(r.span), r.place)
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO points (span, place, step, data) VALUES (?, ?, ?, ?)
		ON CONFLICT (span, place) DO UPDATE SET step = excluded.step, data = excluded.data`,
		int64(r.span), r.place, r.step, r.values)
	return err
}

// end closes the file. written is the error of the last write.
func (f *file) end(written error) error {
	if written != nil {
		written = fmt.Errorf("%s: writing the last figures: %w", f.path, written)
	}
	return errors.Join(written, f.db.Close())
}
