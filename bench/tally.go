package bench

import (
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// tally is what a worker has counted in a phase.
type tally struct {
	sent      int64 // announces and scrapes
	announces int64 // answered well
	scrapes   int64 // answered well
	peers     int64 // told of
	errors    int64 // answered otherwise, or not to be asked
	timeouts  int64 // not answered in time
	late      int64 // answers that nobody waited for any more
	unsent    int64 // announces that were due, and never sent
	spoofed   int64 // packets sent beside, to be dropped
	failures  map[string]int64
	latency   *hdrhistogram.Histogram // nanoseconds

	// Of WebSocket. Offers that were relayed are peers told of.
	messagesIn  int64                   // to the tracker
	messagesOut int64                   // of the tracker
	relayed     int64                   // answers to offers
	meeting     *hdrhistogram.Histogram // nanoseconds from an offer to its answer
	open        int                     // connections at the end

	began int64
	heard int64 // when the last answer came, or when it began
	ended int64 // when nothing more was sent
}

// Latencies from a microsecond to a minute are kept to three digits.
const (
	shortest = 1_000
	longest  = 60_000_000_000
)

func newTally(now int64) *tally {
	return &tally{
		failures: map[string]int64{},
		latency:  hdrhistogram.New(shortest, longest, 3),
		meeting:  hdrhistogram.New(shortest, longest, 3),
		began:    now,
		heard:    now,
		ended:    now,
	}
}

// answered counts an answer to what was meant to be sent at a time.
func (t *tally) answered(meant, now int64) {
	_ = t.latency.RecordValue(within(now - meant)) // within its range
}

// met counts an answer to an offer that was meant to be sent at a time.
func (t *tally) met(meant, now int64) {
	t.relayed++
	_ = t.meeting.RecordValue(within(now - meant))
}

func within(d int64) int64 { return min(max(d, shortest), longest) }

// maxKinds keeps a server that invents errors from filling the memory.
const maxKinds = 16

// fail counts a request that came to nothing, by what the error says.
func (t *tally) fail(err error) {
	t.errors++
	t.note(err)
}

// note counts an error that is not that of an announce or a scrape.
func (t *tally) note(err error) {
	said := err.Error()
	if _, known := t.failures[said]; !known && len(t.failures) >= maxKinds {
		said = "other errors"
	}
	t.failures[said]++
}

// add adds what another worker has counted at the same time.
func (t *tally) add(other *tally) {
	t.sent += other.sent
	t.announces += other.announces
	t.scrapes += other.scrapes
	t.peers += other.peers
	t.errors += other.errors
	t.timeouts += other.timeouts
	t.late += other.late
	t.unsent += other.unsent
	t.spoofed += other.spoofed
	for said, n := range other.failures {
		t.failures[said] += n
	}
	t.messagesIn += other.messagesIn
	t.messagesOut += other.messagesOut
	t.relayed += other.relayed
	t.open += other.open
	t.latency.Merge(other.latency)
	t.meeting.Merge(other.meeting)
	t.began = min(t.began, other.began)
	t.heard = max(t.heard, other.heard)
	t.ended = max(t.ended, other.ended)
}

// SilentError is the error of a run whose tracker has stopped to answer.
type SilentError struct{ URL string }

// Error says which tracker, and what to look for.
func (e SilentError) Error() string {
	return fmt.Sprintf("%s does not answer any more: has it stopped?", e.URL)
}

// NoTrackerError is the error of a run that finds no tracker.
type NoTrackerError struct {
	URL string
	err error
}

// Error says where, and what to look for.
func (e NoTrackerError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("no tracker answers at %s: is it running?", e.URL)
	}
	return fmt.Sprintf("no tracker answers at %s: is it running? (%v)", e.URL, e.err)
}

// Unwrap returns what the network said, or nil where it was silent.
func (e NoTrackerError) Unwrap() error { return e.err }
