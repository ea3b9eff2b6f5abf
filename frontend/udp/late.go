package udp

import (
	"bytes"
	"context"
	"sync"
	"time"

	"waggle/bittorrent"
	"waggle/frontend"
	"waggle/tracker"
)

// maxLate is how many announces wait for the location of their address at a time.
// The others are answered at once, as unlocated.
const maxLate = 1024

// late are the announces that wait. Each has a goroutine of its own, so that the
// workers go on.
type late struct {
	places  chan struct{}
	running *sync.WaitGroup

	latency frontend.Latency

	mu      sync.Mutex
	figures Figures
	ledger  ledger
}

func newLate(running *sync.WaitGroup) *late {
	return &late{places: make(chan struct{}, maxLate), running: running}
}

// enter takes a place, and reports whether there was one.
func (l *late) enter() bool {
	select {
	case l.places <- struct{}{}:
		return true
	default:
		return false
	}
}

// count adds what a late answer counted.
func (l *late) count(f Figures) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.figures.add(f)
	l.ledger.publish(l.figures)
}

// later answers a query that has entered in a goroutine of its own, and sends the
// answer by send, which reports whether it could. The packet is copied.
func (p *responder) later(q query, now time.Time, send func([]byte) bool) {
	p.parked = false
	q.packet = bytes.Clone(q.packet)
	own := &responder{tracker: p.tracker, secret: p.secret, maxScrape: p.maxScrape, log: p.log, late: p.late, waits: true}
	p.late.running.Go(func() {
		defer func() { <-own.late.places }()
		out := make([]byte, maxAnswer)
		if answer := own.follow(&q, now, out); answer != nil && !send(answer) {
			own.figures.WriteErrors++
		}
		own.late.count(own.figures)
		own.late.latency.Add(own.tracker.Now().Sub(now), 1)
	})
}

// follow answers the one query that p is for, and has a trace of it if it is an announce.
func (p *responder) follow(q *query, now time.Time, out []byte) []byte {
	if q.header.Action != bittorrent.ActionAnnounce {
		return p.answer(context.Background(), q, now, out)
	}
	ctx, trace := p.tracker.Trace(context.Background(), tracker.UDP)
	answer := p.answer(ctx, q, now, out)
	switch {
	case p.figures.Panics > 0:
		trace.Conclude(tracker.Fault)
	case p.figures.Errors > 0:
		trace.Conclude(tracker.Refused)
	case answer == nil:
		trace.Conclude(tracker.Shed)
	default:
		trace.Conclude(tracker.Answered)
	}
	trace.End(&p.announce)
	return answer
}
