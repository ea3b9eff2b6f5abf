package console

import "sync/atomic"

// Requests counts those of a console. The zero value is ready to use, by several
// goroutines.
type Requests struct {
	all      atomic.Uint64
	underWay atomic.Int64
}

// All returns how many there were, refused ones and those under way included.
func (r *Requests) All() uint64 { return r.all.Load() }

// UnderWay returns how many have not ended, pages that stay open included.
func (r *Requests) UnderWay() int { return int(r.underWay.Load()) }

// begin counts a request, which ends when what it returns is called.
func (r *Requests) begin() (end func()) {
	r.all.Add(1)
	r.underWay.Add(1)
	return func() { r.underWay.Add(-1) }
}
