package events

import (
	"bytes"
	"fmt"
)

// between is what stands between two events of a batch, and nowhere within one.
var between = []byte(",\n")

// piece is what is delivered at once of a batch: all of it, or some of its events, where an end takes
// no more bytes than that. Pieces are halves, and halves of halves, so that one that is delivered again
// after a kill is the same as before.
type piece struct {
	*batch
	from, to int    // the events of the batch, from 0 on, the latter not included
	events   []byte // as they are in the batch
}

// pieceOf returns the piece of a batch that begins with one of its events, and has at most so many bytes of
// events or is a single one. 0: any number.
func pieceOf(b *batch, events []byte, from, most int) piece {
	if from == 0 && (most == 0 || len(events) <= most) {
		return piece{b, 0, b.count, events}
	}
	starts := make([]int, 1, b.count+1)
	for at := 0; ; {
		i := bytes.Index(events[at:], between)
		if i < 0 {
			break
		}
		at += i + len(between)
		starts = append(starts, at)
	}
	starts = append(starts, len(events)+len(between))
	within := func(low, high int) []byte { return events[starts[low] : starts[high]-len(between)] }
	low, high := 0, len(starts)-1
	for high-low > 1 && (low < from || most > 0 && len(within(low, high)) > most) {
		if middle := (low + high) / 2; from < middle {
			high = middle
		} else {
			low = middle
		}
	}
	return piece{b, low, high, within(low, high)}
}

// count is how many events it has.
func (p *piece) count() int { return p.to - p.from }

// end is the number after that of its last event.
func (p *piece) end() uint64 { return p.first + uint64(p.to) }

// id is what a receiver knows it by: the batch's, and for a part of that which of its events it has,
// from 1 on.
func (p *piece) id() string {
	if p.count() == p.batch.count {
		return p.batch.id()
	}
	return fmt.Sprintf("%s.%d-%d", p.batch.id(), p.from+1, p.to)
}
