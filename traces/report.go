package traces

import (
	"context"
	"sync/atomic"
	"time"
)

// Figures count spans since the start.
type Figures struct {
	Sent    uint64 // the receiver has them
	Dropped uint64 // there was no room in the queue
	Lost    uint64 // the receiver did not take them

	LastError string // of the last batch that was lost; "" if there was none
}

// counts are Figures that grow.
type counts struct {
	sent, dropped, lost atomic.Uint64
	lastError           atomic.Pointer[string]
}

// count counts a batch.
func (c *counts) count(spans int, err error) {
	if err == nil {
		c.sent.Add(uint64(spans))
		return
	}
	text := err.Error()
	c.lastError.Store(&text)
	c.lost.Add(uint64(spans))
}

// Figures returns the counts as of now.
func (e *Exporter) Figures() Figures {
	f := Figures{Sent: e.figures.sent.Load(), Dropped: e.figures.dropped.Load(), Lost: e.figures.lost.Load()}
	if text := e.figures.lastError.Load(); text != nil {
		f.LastError = *text
	}
	return f
}

// reportEvery is how often losses are logged at most.
const reportEvery = time.Minute

// Report logs once a minute what was lost in it, if anything was, until ctx ends.
func (e *Exporter) Report(ctx context.Context) {
	ticker := time.NewTicker(reportEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			e.tellLosses()
		}
	}
}

// tellLosses logs what was lost since it was last called.
func (e *Exporter) tellLosses() {
	now := e.Figures()
	last := e.told.Swap(&now)
	if now.Dropped+now.Lost == last.Dropped+last.Lost {
		return
	}
	e.log.Warn("traces are lost: see whether the receiver at traces.endpoint runs, and lower traces.share if it is too slow",
		"dropped", now.Dropped-last.Dropped, "not_taken", now.Lost-last.Lost, "error", now.LastError)
}
