package timeline

import (
	"slices"
	"time"
)

// Span is how far back a view goes.
type Span uint8

// The spans, and what their steps are.
const (
	Hour Span = iota // 10 seconds
	Day              // 4 minutes
	spans
)

// View is what the figures were.
type View struct {
	Step   time.Duration // from one value to the next
	From   time.Time     // when the step of the first value began
	Values [][]float64   // of each series, the oldest first; NaN: none. Of all the same number
}

// View returns the values of a span, up to the step that ended last; that of a day may
// still go on.
func (t *Timeline) View(span Span) View {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rings()[span]
	first := t.newest()*hourStep/r.length - points + 1
	v := View{
		Step:   time.Duration(r.length) * time.Second,
		From:   time.Unix(first*r.length, 0).UTC(),
		Values: make([][]float64, r.width),
	}
	all := make([]float64, points*r.width)
	fill(all)
	for i := range v.Values {
		v.Values[i] = all[i*points : (i+1)*points : (i+1)*points]
	}
	for n := range int64(points) {
		for i, value := range r.at(first + n) {
			v.Values[i][n] = value
		}
	}
	return v
}

// newest returns the last step of an hour that views show. While the one that has just
// ended is about to be read, that is the one before.
func (t *Timeline) newest() int64 {
	ended := t.o.Now().Unix()/hourStep - 1
	if ended <= t.hour.newest+1 && t.hour.newest != none {
		return t.hour.newest
	}
	return ended
}

// Moment is what the figures are now.
type Moment struct {
	Over   time.Duration // before now, that rates are of; 0: there are none
	Values []float64     // of each series; NaN: not known
}

// Rates of a moment are of shortest at least where there is such a reading, and of no
// more than a step longer; of less than briefest there are none.
const (
	shortest = hourStep / 2 * time.Second
	briefest = time.Second
)

// Now reads the figures as they are now. Rates are of the last 5 to 15 seconds.
func (t *Timeline) Now() Moment {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.read()
	from := t.last
	if now.at.Sub(from.at) < shortest && t.before.values != nil {
		from = t.before
	}
	m := Moment{Over: now.at.Sub(from.at), Values: make([]float64, len(t.o.Series))}
	if m.Over < briefest {
		m.Over, from.values = 0, nil
	}
	t.since(from, now, m.Values)
	return m
}

// Series returns the series, in the order of their values.
func (t *Timeline) Series() []Series { return slices.Clone(t.o.Series) }
