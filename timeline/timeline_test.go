package timeline

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a clock and two figures: a count and a level.
type world struct {
	now    time.Time
	counts float64
	level  float64
	log    strings.Builder
}

// noon is the end of a step of an hour, and of one of a day.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newWorld() *world { return &world{now: noon} }

var series = []Series{{Name: "count", Kind: Rate}, {Name: "level", Kind: Level}}

func (w *world) options(path string) Options {
	return Options{
		Series: series, Path: path,
		Read: func(r []float64) { r[0], r[1] = w.counts, w.level },
		Now:  func() time.Time { return w.now },
		Log:  slog.New(slog.NewTextHandler(&w.log, nil)),
	}
}

func mustOpen(t *testing.T, o Options) *Timeline {
	t.Helper()
	l, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, l) })
	return l
}

func mustClose(t *testing.T, l *Timeline) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// step lets ten seconds pass in which the count grows, and reads.
func (w *world) step(l *Timeline, grows, level float64) {
	w.now = w.now.Add(10 * time.Second)
	w.counts, w.level = w.counts+grows, level
	l.sample()
}

var nan = math.NaN()

// wantLast compares the last values of a series.
func wantLast(t *testing.T, l *Timeline, span Span, series int, want ...float64) {
	t.Helper()
	all := l.View(span).Values[series]
	if got := all[len(all)-len(want):]; !slices.EqualFunc(got, want, same) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

func TestRateIsBySecondAndLevelAsRead(t *testing.T) {
	w := newWorld()
	l := mustOpen(t, w.options(""))
	w.step(l, 500, 7)
	w.step(l, 0, 8)
	w.step(l, 5, 9)
	wantLast(t, l, Hour, 0, nan, 50, 0, 0.5)
	wantLast(t, l, Hour, 1, nan, 7, 8, 9)
	v := l.View(Hour)
	if n := len(v.Values[0]); n != 360 || v.Step != 10*time.Second || !v.From.Equal(w.now.Add(-time.Hour)) {
		t.Errorf("%d values from %v on, each %v", n, v.From, v.Step)
	}
}

func TestCountThatShrinksAndFigureThatIsNotKnownHaveNoValue(t *testing.T) {
	w := newWorld()
	l := mustOpen(t, w.options(""))
	w.step(l, 100, nan)
	w.step(l, -50, 1)
	w.step(l, 30, 2)
	w.step(l, nan, 3)
	wantLast(t, l, Hour, 0, 10, nan, 3, nan)
	wantLast(t, l, Hour, 1, nan, 1, 2, 3)
}

func TestStepThatNobodyReadIsAGap(t *testing.T) {
	w := newWorld()
	l := mustOpen(t, w.options(""))
	w.step(l, 10, 1)
	w.now = w.now.Add(20 * time.Second) // asleep
	w.step(l, 30, 2)
	wantLast(t, l, Hour, 0, nan, 1, nan, nan, 1)
	wantLast(t, l, Hour, 1, nan, 1, nan, nan, 2)
}

func TestViewEndsNowWhereNobodyReadsAnyMore(t *testing.T) {
	w := newWorld()
	l := mustOpen(t, w.options(""))
	w.step(l, 10, 1)
	w.now = w.now.Add(10*time.Second + time.Millisecond) // about to be read
	wantLast(t, l, Hour, 1, nan, 1)
	w.now = w.now.Add(10 * time.Second)
	wantLast(t, l, Hour, 1, nan, 1, nan, nan)
	w.now = w.now.Add(2 * time.Hour)
	if v := l.View(Hour); slices.ContainsFunc(v.Values[1], func(x float64) bool { return !math.IsNaN(x) }) || w.now.Sub(v.From) > time.Hour+20*time.Second {
		t.Errorf("from %v: %v", v.From, v.Values)
	}
}

func TestReadingALittleEarlyOrLateIsOfItsStep(t *testing.T) {
	w := newWorld()
	l := mustOpen(t, w.options(""))
	for i, off := range []time.Duration{-time.Millisecond, 4 * time.Second, -4 * time.Second, 0} {
		w.now = noon.Add(time.Duration(i+1)*10*time.Second + off)
		w.level = float64(i)
		l.sample()
	}
	wantLast(t, l, Hour, 1, nan, 0, 1, 2, 3)
}

func TestDayHasMeansOfRatesAndTheLastOfLevels(t *testing.T) {
	w := newWorld()
	l := mustOpen(t, w.options(""))
	for i := range 24 + 3 {
		w.step(l, float64(10*(i%2)), float64(i))
	}
	wantLast(t, l, Day, 0, nan, 0.5, 1.0/3)
	wantLast(t, l, Day, 1, nan, 23, 26)
	if v := l.View(Day); len(v.Values) != 2 || len(v.Values[0]) != 360 || v.Step != 4*time.Minute || !v.From.Equal(noon.Add(8*time.Minute-24*time.Hour)) {
		t.Errorf("from %v, each %v", v.From, v.Step)
	}
}

func TestMeanOfAStepIsOfWhatIsKnown(t *testing.T) {
	w := newWorld()
	l := mustOpen(t, w.options(""))
	w.step(l, 20, 5)
	w.now = w.now.Add(100 * time.Second)
	w.step(l, 440, nan) // 4 a second
	wantLast(t, l, Day, 0, nan, 3)
	wantLast(t, l, Day, 1, nan, 5)
}

func TestClockThatIsPutBackDropsWhatIsToComeAgain(t *testing.T) {
	w := newWorld()
	l := mustOpen(t, w.options(filepath.Join(t.TempDir(), "timeline.db")))
	for i := range 60 {
		w.step(l, 10, float64(i))
	}
	if err := l.save(); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(-5 * time.Minute)
	w.step(l, 10, 100)
	wantLast(t, l, Hour, 1, 28, 29, 100) // it is 30 steps back, and one on
	wantLast(t, l, Hour, 0, 1, 1, nan)   // no time has passed for a rate
	w.step(l, 10, 101)
	wantLast(t, l, Hour, 0, 1, 1, nan, 1)
	wantLast(t, l, Day, 1, nan, 23, 101)
	mustClose(t, l)
	l = mustOpen(t, w.options(l.o.Path))
	wantLast(t, l, Hour, 1, 28, 29, 100, 101)
	wantLast(t, l, Day, 1, nan, 23, 101)
}

func TestNowHasRatesOfTheLastSeconds(t *testing.T) {
	w := newWorld()
	l := mustOpen(t, w.options(""))
	if m := l.Now(); m.Over != 0 || !same(m.Values[0], nan) || m.Values[1] != 0 {
		t.Errorf("at once: %+v", m)
	}
	for _, at := range []struct {
		wait, grows, over, rate float64 // seconds; counts; seconds; counts a second
		ends                    bool    // a step
	}{
		{wait: 2, grows: 20, over: 2, rate: 10}, // since it was opened
		{wait: 8, grows: 160, over: 10, rate: 18, ends: true},
		{wait: 1, grows: 100, over: 11, rate: 280.0 / 11}, // since then too: the step is too short
		{wait: 5, over: 6, rate: 100.0 / 6},               // since the step
		{wait: 9, over: 15, rate: 100.0 / 15},
	} {
		w.now, w.counts = w.now.Add(time.Duration(at.wait)*time.Second), w.counts+at.grows
		if m := l.Now(); m.Over.Seconds() != at.over || math.Abs(m.Values[0]-at.rate) > 1e-9 {
			t.Errorf("%v s later: %+v, want %v a second over %v s", at.wait, m, at.rate, at.over)
		}
		if at.ends {
			l.sample()
		}
	}
	w.now = w.now.Add(-time.Hour)
	if m := l.Now(); m.Over != 0 || !same(m.Values[0], nan) {
		t.Errorf("by a clock that was put back: %+v", m)
	}
}

func TestRunReadsAtTheEndOfEachStepAndWritesOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now() // midnight of 2000, the beginning of a step
		time.Sleep(6 * time.Second)
		level := 0.0
		path := filepath.Join(t.TempDir(), "timeline.db")
		l, err := Open(t.Context(), Options{Series: series[1:], Path: path, Read: func(r []float64) { level++; r[0] = level }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { l.Run(ctx); close(ended) }()
		time.Sleep(13 * time.Second) // to 19: the step that ends at 10 has not lasted half of one
		wantLast(t, l, Hour, 0, nan, nan)
		time.Sleep(2 * time.Second) // to 21
		wantLast(t, l, Hour, 0, nan, 2)
		if v := l.View(Hour); !v.From.Add(359 * v.Step).Equal(start.Add(10 * time.Second)) {
			t.Errorf("from %v", v.From)
		}
		rows := func() (n int) {
			l.saving.Lock()
			defer l.saving.Unlock()
			if err := l.file.db.QueryRowContext(t.Context(), "SELECT count(*) FROM points WHERE span = 0").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := rows(); n != 0 {
			t.Errorf("%d rows after one step", n)
		}
		time.Sleep(50 * time.Second)
		if n := rows(); n != 6 {
			t.Errorf("%d rows after a minute", n)
		}
		cancel()
		<-ended
		mustClose(t, l)
	})
}

// TestRandomHistoriesAgreeWithAModel moves the clock as it likes, restarts now and then,
// and compares with a map of what was read when.
func TestRandomHistoriesAgreeWithAModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	w := newWorld()
	o := w.options(filepath.Join(t.TempDir(), "timeline.db"))
	l := mustOpen(t, o)
	model := map[int64]float64{} // by the end of the step
	for n := range 3000 {
		switch random.IntN(100) {
		case 0:
			w.now = w.now.Add(-time.Duration(random.IntN(3000)) * time.Second)
		case 1:
			w.now = w.now.Add(time.Duration(random.IntN(3000)) * time.Second)
		case 2:
			mustClose(t, l)
			l = mustOpen(t, o)
		}
		w.now = w.now.Truncate(10 * time.Second)
		w.step(l, 1, float64(n))
		for at := range model {
			if lost := (at-w.now.Unix())%3600 == 0; lost || at > w.now.Unix() { // another has its place
				delete(model, at)
			}
		}
		model[w.now.Unix()] = float64(n)
		v := l.View(Hour)
		for i, got := range v.Values[1] {
			want, ok := model[v.From.Unix()+int64(i+1)*10]
			if !ok {
				want = nan
			}
			if !same(got, want) {
				t.Fatalf("step %d: value %d is %v, want %v", n, i, got, want)
			}
		}
	}
}

func BenchmarkView(b *testing.B) {
	w := newWorld()
	o := w.options("")
	o.Series = slices.Repeat(series, 12)
	o.Read = func(r []float64) { clear(r) }
	l, err := Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	for range points {
		w.step(l, 1, 1)
	}
	for b.Loop() {
		l.View(Hour)
	}
}
