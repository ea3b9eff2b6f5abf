package redis

import "sync/atomic"

// breaker keeps requests from a server that is broken. In a cluster each tag has one,
// since some of the nodes may be well. The zero value lets all through.
type breaker struct{ fault atomic.Pointer[fault] }

// fault is what is wrong with a server that is probed until it is well.
type fault struct {
	words string
	full  bool // of memory alone: reads and what makes room are let through
}

// broken reports whether nothing may be asked but by probes.
func (b *breaker) broken() bool {
	f := b.fault.Load()
	return f != nil && !f.full
}

// trip breaks it, and reports whether it was well before.
func (b *breaker) trip(f fault) bool { return b.fault.Swap(&f) == nil }

// mend lets requests through again.
func (b *breaker) mend() { b.fault.Store(nil) }

// words returns what is wrong; "": nothing.
func (b *breaker) words() string {
	if f := b.fault.Load(); f != nil {
		return f.words
	}
	return ""
}
