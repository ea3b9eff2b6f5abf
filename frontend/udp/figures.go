package udp

import "sync"

// Figures count what a server did since it began.
type Figures struct {
	Announces     uint64 // decided by the tracker, refused ones included
	Connects      uint64 // connect requests answered
	Errors        uint64 // requests answered with an error
	BadConnection uint64 // dropped: connection id wrong or too old
	Malformed     uint64 // dropped: too short, a connect without the magic, or from port 0
	Unproxied     uint64 // dropped: from a proxy, without its header
	ReadErrors    uint64 // system calls that failed
	WriteErrors   uint64 // answers that the system did not take
	Panics        uint64 // faults of waggle's
	Overflowed    uint64 // dropped by the system: more came than was read (on Linux; elsewhere 0)
}

func (f *Figures) add(g Figures) {
	f.Announces += g.Announces
	f.Connects += g.Connects
	f.Errors += g.Errors
	f.BadConnection += g.BadConnection
	f.Malformed += g.Malformed
	f.Unproxied += g.Unproxied
	f.ReadErrors += g.ReadErrors
	f.WriteErrors += g.WriteErrors
	f.Panics += g.Panics
	f.Overflowed += g.Overflowed
}

// ledger hands the figures of one worker to whoever reads them. Each worker
// counts in memory of its own and publishes once a batch, so that no two of them
// write to one cache line.
type ledger struct {
	mu      sync.Mutex
	figures Figures
}

func (l *ledger) publish(f Figures) {
	l.mu.Lock()
	l.figures = f
	l.mu.Unlock()
}

func (l *ledger) read() Figures {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.figures
}
