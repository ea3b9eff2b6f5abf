package timeline

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"
)

// Kind is how readings become values.
type Kind uint8

// The kinds of series.
const (
	Level Kind = iota // a value is a reading
	Rate              // readings count up, and a value is by how much a second
)

// Series is one figure.
type Series struct {
	Name string // in the file; no other has it
	Kind Kind
}

// Options are the settings of a timeline.
type Options struct {
	// Series are what is kept. Read fills in a reading of each, in their order, NaN
	// where it is not known. It is not called concurrently, and must be quick.
	Series []Series
	Read   func(readings []float64)

	// Path is the file that keeps the values; "": they end with the process.
	Path string

	// Now is the clock. nil: time.Now.
	Now func() time.Time

	// Log is told when writing begins to fail, and when that ends. nil: nobody is.
	Log *slog.Logger
}

// Timeline is figures over time. Use [Open]. All methods may be called concurrently.
type Timeline struct {
	o    Options
	file *file // nil: none

	mu      sync.Mutex
	hour    *ring
	day     *ring
	last    reading // at the end of the newest step
	before  reading // at the end of the one before it
	saving  sync.Mutex
	failing bool // under saving

	close  sync.Once
	closed error
}

// reading is what Options.Read said at a time.
type reading struct {
	at     time.Time
	values []float64 // nil: nothing yet
}

// Open returns the timeline that the file has, which is made where it is not there.
// Beside the file, and as long as it is open, lies path.lock, which keeps a second
// process out. The first reading is taken at once, so that the first step has rates.
//
// Errors are [waggle/sqlitefile.ErrForeign], ErrNewer, ErrDamaged, ErrInUse, or one of
// the operating system; each names the path and the remedy, and leaves the file as it
// was.
func Open(ctx context.Context, o Options) (*Timeline, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	t := &Timeline{o: o, hour: newRing(hourStep, len(o.Series)), day: newRing(dayStep, len(o.Series))}
	if o.Path != "" {
		var err error
		if t.file, err = openFile(ctx, o.Path, o.Series, t.rings()); err != nil {
			return nil, err
		}
	}
	t.last = t.read()
	return t, nil
}

func (t *Timeline) rings() [spans]*ring { return [spans]*ring{Hour: t.hour, Day: t.day} }

// read takes a reading. t.mu is held, or nobody else has t yet.
func (t *Timeline) read() reading {
	r := reading{at: t.o.Now(), values: make([]float64, len(t.o.Series))}
	t.o.Read(r.values)
	return r
}

// saveEvery is how many steps are written together.
const saveEvery = 6

// Run reads at the end of each step, and writes once a minute, until ctx ends.
func (t *Timeline) Run(ctx context.Context) {
	for n := 1; ; n++ {
		timer := time.NewTimer(untilNext(t.o.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		t.sample()
		if n%saveEvery == 0 {
			t.saveOrLog()
		}
	}
}

// untilNext returns how long it is to the end of the step, or of the next one where
// that is less than half a step: a timer that fires a little early does not make two
// readings of one step.
func untilNext(now time.Time) time.Duration {
	const step = hourStep * time.Second
	left := step - time.Duration(now.UnixNano())%step
	if left < step/2 {
		left += step
	}
	return left
}

// endedStep returns the step of an hour that ended last, give or take half a step.
func endedStep(now time.Time) int64 { return max((now.Unix()+hourStep/2)/hourStep-1, 0) }

// sample takes a reading, and makes values of the step that has just ended.
func (t *Timeline) sample() {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.read()
	step := endedStep(r.at)
	t.since(t.last, r, t.hour.open(step))
	t.before, t.last = t.last, r
	t.summarise(step)
}

// since makes values of two readings, one after the other.
func (t *Timeline) since(from, to reading, values []float64) {
	seconds := to.at.Sub(from.at).Seconds()
	for i, s := range t.o.Series {
		switch {
		case s.Kind == Level:
			values[i] = to.values[i]
		case from.values == nil || seconds <= 0 || to.values[i] < from.values[i]:
			values[i] = math.NaN()
		default:
			values[i] = (to.values[i] - from.values[i]) / seconds
		}
	}
}

// summarise makes the values of the step of a day that a step of an hour is in.
func (t *Timeline) summarise(step int64) {
	const each = dayStep / hourStep
	first := step / each * each
	row := t.day.open(step / each)
	for i, s := range t.o.Series {
		sum, n, last := 0.0, 0, math.NaN()
		for at := first; at <= step; at++ {
			if values := t.hour.at(at); values != nil && !math.IsNaN(values[i]) {
				sum, n, last = sum+values[i], n+1, values[i]
			}
		}
		if row[i] = last; s.Kind == Rate && n > 0 {
			row[i] = sum / float64(n)
		}
	}
}

// saveOrLog writes what has changed. It logs when that begins to fail, not each time
// that it does.
func (t *Timeline) saveOrLog() {
	err := t.save()
	t.saving.Lock()
	defer t.saving.Unlock()
	switch {
	case err != nil && !t.failing:
		t.o.Log.Error("figures over time cannot be written: they are kept in memory until they can", "error", err)
	case err == nil && t.failing:
		t.o.Log.Info("figures over time are written again")
	}
	t.failing = err != nil
}

// save writes the rows that the file does not have. Nobody waits for it but others
// who write.
func (t *Timeline) save() error {
	if t.file == nil {
		return nil
	}
	t.saving.Lock()
	defer t.saving.Unlock()
	t.mu.Lock()
	rows := takeChanged(t.rings())
	t.mu.Unlock()
	err := t.file.write(rows)
	if err != nil {
		t.mu.Lock()
		giveBack(t.rings(), rows)
		t.mu.Unlock()
	}
	return err
}

// Close writes what is left and closes the file. Run must have ended.
func (t *Timeline) Close() error {
	t.close.Do(func() {
		if t.file != nil {
			t.closed = t.file.end(t.save())
		}
	})
	return t.closed
}
