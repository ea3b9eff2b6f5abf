package timeline

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/sqlitefile"
)

func TestRestartKeepsTheValuesAndShowsAGap(t *testing.T) {
	w := newWorld()
	path := filepath.Join(t.TempDir(), "deep", "timeline.db")
	l := mustOpen(t, w.options(path))
	w.step(l, 10, 1)
	w.step(l, nan, 2)
	mustClose(t, l)
	w.now, w.counts = w.now.Add(20*time.Second), 0
	l = mustOpen(t, w.options(path))
	wantLast(t, l, Hour, 1, nan, 1, 2, nan, nan)
	w.step(l, 20, 3)
	wantLast(t, l, Hour, 0, nan, 1, nan, nan, nan, 2)
	wantLast(t, l, Hour, 1, nan, 1, 2, nan, nan, 3)
	wantLast(t, l, Day, 0, nan, 1.5)
	mustClose(t, l)
	w.now = w.now.Add(90 * time.Minute)
	l = mustOpen(t, w.options(path))
	if v := l.View(Hour).Values[1]; slices.ContainsFunc(v, func(x float64) bool { return !math.IsNaN(x) }) {
		t.Errorf("an hour later: %v", v)
	}
	wantLast(t, l, Day, 1, slices.Concat([]float64{nan, 3}, slices.Repeat([]float64{nan}, 22))...)
}

func TestFileWithOtherSeriesKeepsThoseThatBothHave(t *testing.T) {
	w := newWorld()
	o := w.options(filepath.Join(t.TempDir(), "timeline.db"))
	l := mustOpen(t, o)
	w.step(l, 10, 7)
	mustClose(t, l)
	o.Series = []Series{{Name: "new", Kind: Level}, {Name: "level", Kind: Level}}
	for range 2 { // written whole, and read so again
		l = mustOpen(t, o)
		wantLast(t, l, Hour, 0, nan, nan)
		wantLast(t, l, Hour, 1, nan, 7)
		mustClose(t, l)
	}
	l = mustOpen(t, w.options(o.Path))
	wantLast(t, l, Hour, 0, nan, nan) // it is gone
	wantLast(t, l, Hour, 1, nan, 7)
}

func TestNothingGrowsWithTime(t *testing.T) {
	w := newWorld()
	l := mustOpen(t, w.options(filepath.Join(t.TempDir(), "timeline.db")))
	size := func() (rows int, bytes int64) {
		if err := l.save(); err != nil {
			t.Fatal(err)
		}
		if err := l.file.db.QueryRowContext(t.Context(), "SELECT count(*) FROM points").Scan(&rows); err != nil {
			t.Fatal(err)
		}
		stat, err := os.Stat(l.o.Path)
		if err != nil {
			t.Fatal(err)
		}
		return rows, stat.Size()
	}
	for i := range 3 * 24 * 360 {
		w.step(l, 10, float64(i))
		if i%1000 == 0 {
			if rows, bytes := size(); rows > 2*points || bytes > 200_000 {
				t.Fatalf("after %d steps: %d rows in %d bytes", i, rows, bytes)
			}
		}
	}
	if rows, _ := size(); rows != 2*points {
		t.Errorf("%d rows, want %d", rows, 2*points)
	}
}

func TestWhatCannotBeWrittenIsWrittenLater(t *testing.T) {
	w := newWorld()
	l := mustOpen(t, w.options(filepath.Join(t.TempDir(), "timeline.db")))
	w.step(l, 10, 1)
	l.saveOrLog()
	pragma := func(text string) {
		if _, err := l.file.db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	pragma("PRAGMA query_only = 1") // as good as a full disk
	w.step(l, 10, 2)
	l.saveOrLog()
	w.step(l, 10, 3)
	l.saveOrLog()
	if n := strings.Count(w.log.String(), "cannot be written"); n != 1 {
		t.Errorf("the log says it %d times:\n%s", n, w.log.String())
	}
	pragma("PRAGMA query_only = 0")
	l.saveOrLog()
	if !strings.Contains(w.log.String(), "are written again") {
		t.Error("the log does not say that it is over")
	}
	mustClose(t, l)
	l = mustOpen(t, w.options(l.o.Path))
	wantLast(t, l, Hour, 1, nan, 1, 2, 3)
}

func TestCloseSaysWhatCouldNotBeWritten(t *testing.T) {
	w := newWorld()
	l, err := Open(t.Context(), w.options(filepath.Join(t.TempDir(), "timeline.db")))
	if err != nil {
		t.Fatal(err)
	}
	w.step(l, 10, 1)
	if _, err := l.file.db.ExecContext(t.Context(), "PRAGMA query_only = 1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), "writing the last figures") {
		t.Error(err)
	}
}

func TestFileThatIsNotOursIsRefusedWithWhatToDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "timeline.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("words ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), newWorld().options(path)); !errors.Is(err, sqlitefile.ErrForeign) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	w := newWorld()
	first := mustOpen(t, w.options(filepath.Join(t.TempDir(), "timeline.db")))
	if _, err := Open(t.Context(), w.options(first.o.Path)); !errors.Is(err, sqlitefile.ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ended, w.options(filepath.Join(t.TempDir(), "timeline.db"))); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of ctx: %v", err)
	}
}

func TestRowThatNoWaggleWroteIsDamage(t *testing.T) {
	for _, row := range []string{
		"INSERT OR REPLACE INTO points VALUES (2, 0, 0, zeroblob(16))", "INSERT OR REPLACE INTO points VALUES (-1, 0, 0, zeroblob(16))",
		"INSERT OR REPLACE INTO points VALUES (0, 1, 0, zeroblob(16))", "INSERT OR REPLACE INTO points VALUES (0, 0, -360, zeroblob(16))",
		"INSERT OR REPLACE INTO points VALUES (0, 0, 0, zeroblob(15))", "INSERT OR REPLACE INTO points VALUES (0, 40, 9223372036854775000, zeroblob(16))",
		"DELETE FROM series WHERE number = 1",
	} {
		w := newWorld()
		l := mustOpen(t, w.options(filepath.Join(t.TempDir(), "timeline.db")))
		w.step(l, 1, 1)
		if err := l.save(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.file.db.ExecContext(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		mustClose(t, l)
		if _, err := Open(t.Context(), w.options(l.o.Path)); !errors.Is(err, sqlitefile.ErrDamaged) {
			t.Errorf("%s: %v", row, err)
		}
	}
}

func FuzzRowOfAFile(f *testing.F) {
	f.Add(int64(0), int64(0), make([]byte, 16))
	f.Add(int64(1), int64(361), []byte("0123456789abcdef"))
	f.Add(int64(-1), int64(-1), []byte(nil))
	f.Add(int64(7), int64(math.MaxInt64), make([]byte, 17))
	f.Fuzz(func(t *testing.T, place, step int64, values []byte) {
		r := newRing(hourStep, 3)
		err := r.load(place, step, values, 2, []int{1, -1, 0})
		if err != nil {
			if r.newest != none {
				t.Errorf("it was refused (%v), and step %d is the newest", err, r.newest)
			}
			return
		}
		if row := r.at(step); row == nil || !math.IsNaN(row[1]) {
			t.Errorf("step %d at %d has %v", step, place, row)
		}
		r.open(step + 1)
		r.open(0)
	})
}
