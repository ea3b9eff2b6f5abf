package redis

import (
	"sync/atomic"
)

// breaker keeps requests from a server that is broken. In a cluster each tag has one,
// since some of the nodes may be well. The zero value lets all through.
type breaker struct{ fault atomic.Pointer[string] }

// broken reports whether the server is, and then nothing may be asked but by probes.
func (b *breaker) broken() bool { return b.fault.Load() != nil }

// trip breaks it, and reports whether it was well before.
func (b *breaker) trip(fault string) bool { return b.fault.Swap(&fault) == nil }

// mend lets requests through again.
func (b *breaker) mend() { b.fault.Store(nil) }

// fault returns what is wrong in words; "": nothing.
func (b *breaker) words() string {
	if fault := b.fault.Load(); fault != nil {
		return *fault
	}
	return ""
}
