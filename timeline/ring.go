package timeline

import "math"

// points is the number of steps that are kept of each length.
const points = 360

// Lengths of steps, in seconds. A step of a day is whole steps of an hour.
const (
	hourStep = 10
	dayStep  = 240
)

// none is where there is no step. Steps are numbered from 1970 on, and no clock is
// before it.
const none = -1

// ring has the values of the latest steps of one length, a row a step. Which step a row
// is of stands beside it: a row of another step than it is looked up for has no values.
type ring struct {
	length  int64         // of a step, in seconds
	width   int           // values in a row, one a series
	newest  int64         // the step that was read last, or none
	steps   [points]int64 // of the rows, or none
	changed [points]bool  // rows that the file does not have like this
	values  []float64     // row after row
}

func newRing(length int64, width int) *ring {
	r := &ring{length: length, width: width, newest: none, values: make([]float64, points*width)}
	for i := range r.steps {
		r.steps[i] = none
	}
	return r
}

func (r *ring) row(place int) []float64 { return r.values[place*r.width : (place+1)*r.width] }

// at returns the row of a step, or nil.
func (r *ring) at(step int64) []float64 {
	if step < 0 || r.steps[step%points] != step {
		return nil
	}
	return r.row(int(step % points))
}

// open returns the row of a step, which is the newest from now on; it is changed, and
// without values if it is new. Later steps are dropped: the clock was put back.
func (r *ring) open(step int64) []float64 {
	if step < r.newest {
		r.dropAfter(step)
	}
	r.newest = step
	place := int(step % points)
	row := r.row(place)
	if r.steps[place] != step {
		r.steps[place] = step
		fill(row)
	}
	r.changed[place] = true
	return row
}

func (r *ring) dropAfter(step int64) {
	for place, of := range r.steps {
		if of > step {
			r.steps[place], r.changed[place] = none, true
		}
	}
}

// fill leaves a row without values.
func fill(row []float64) {
	for i := range row {
		row[i] = math.NaN()
	}
}
