package udp

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/frontend"
	"waggle/tracker"
)

// maxLate is how many announces wait for the location of their address at a time.
// The others are answered at once, as unlocated. Of those that wait for a remote store
// there are more, some 10 KB each, and the others are shed.
const (
	maxLate   = 1024
	maxRemote = 4096
)

// late are the queries that wait. Each has a goroutine of its own, so that the workers
// go on. A goroutine that is done waits for the next query, as far as few do: a new one
// would have to grow its stack first.
type late struct {
	places  chan struct{}
	queries chan *oneLate // for those who wait for one
	idle    atomic.Int32  // who wait for one, about
	ended   chan struct{} // closed when there are no more
	running sync.WaitGroup
	spare   sync.Pool // of *oneLate

	latency frontend.Latency

	mu      sync.Mutex
	figures Figures
	ledger  ledger
}

// oneLate is what a query needs that waits.
type oneLate struct {
	responder responder
	query     query
	now       time.Time
	send      func([]byte) bool
	packet    [maxRequest]byte
	via       [proxyHeader]byte
	out       [maxAnswer]byte
}

func newLate(o *Options) *late {
	n := maxLate
	if o.Tracker.Remote() {
		n = maxRemote
	}
	if o.late > 0 {
		n = o.late
	}
	return &late{places: make(chan struct{}, n), queries: make(chan *oneLate), ended: make(chan struct{})}
}

// take returns what a query needs that p has looked at, which give takes back.
func (l *late) take(p *responder, q *query) *oneLate {
	one, _ := l.spare.Get().(*oneLate)
	if one == nil {
		one = new(oneLate)
		own := &one.responder
		own.tracker, own.secret, own.maxScrape, own.log, own.late, own.waits = p.tracker, p.secret, p.maxScrape, p.log, l, true
		own.group, own.passkeys = p.group, p.passkeys
	}
	one.query = *q
	one.query.packet = one.packet[:copy(one.packet[:], q.packet)]
	if q.via != nil {
		one.query.via = one.via[:copy(one.via[:], q.via)]
	}
	return one
}

// give takes back what a query needed, and counts what was counted there.
func (l *late) give(one *oneLate) {
	l.count(one.responder.figures)
	one.responder.figures, one.send = Figures{}, nil
	l.spare.Put(one)
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
	l := p.late
	one := l.take(p, &q)
	one.now, one.send = now, send
	select {
	case l.queries <- one:
	default:
		l.running.Go(func() { l.serve(one) })
	}
}

// maxIdle is how many goroutines may wait for queries.
const maxIdle = 256

// serve answers a query, and those that come then.
func (l *late) serve(one *oneLate) {
	for {
		l.answer(one)
		if l.idle.Add(1) > maxIdle {
			l.idle.Add(-1)
			return
		}
		select {
		case one = <-l.queries:
			l.idle.Add(-1)
		case <-l.ended:
			return
		}
	}
}

func (l *late) answer(one *oneLate) {
	defer func() { <-l.places }()
	own := &one.responder
	if answer := own.follow(&one.query, one.now, one.out[:]); answer != nil && !one.send(answer) {
		own.figures.WriteErrors++
	}
	l.latency.Add(own.tracker.Now().Sub(one.now), 1)
	l.give(one)
}

// close waits until all have been answered. None may come any more.
func (l *late) close() {
	close(l.ended)
	l.running.Wait()
}

// follow answers the one query that p is for, and has a trace of it if it is an announce.
func (p *responder) follow(q *query, now time.Time, out []byte) []byte {
	ctx := context.Background()
	if q.within != nil {
		ctx = q.within(ctx)
	}
	if q.header.Action != bittorrent.ActionAnnounce {
		return p.answer(ctx, q, now, out)
	}
	ctx, trace := p.tracker.Trace(ctx, tracker.UDP)
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
