package main

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"waggle/config"
	"waggle/store/memory"
	"waggle/store/sqlite"
	"waggle/tracker"
)

// memoryBound keeps this process below limits.memory. The zero value has no limit.
type memoryBound struct {
	limit   int64 // bytes; 0: none
	garbage int64 // what Go's heap may grow to, as it was before
	pressed bool  // the store does not grow
}

// Of the limit, so much is not for peers: the program itself, its heap, buffers of
// connections. Garbage is collected so that all stays below heapShare as long as it can;
// from pressedShare on the store does not grow, whatever took the memory.
const (
	fixedMemory   = 64 << 20
	leastForPeers = 16 << 20
	heapShare     = 0.80
	pressedShare  = 0.90
	calmShare     = 0.87
)

// memoryEvery is how often the resident memory is looked at. A flood of newcomers makes
// it grow by some MB meanwhile.
const memoryEvery = 100 * time.Millisecond

// limitMemory puts limits.memory into force, of what there is at most.
func (s *service) limitMemory(there int64) {
	s.memoryLimit = there
	limit := s.config.Limits.Memory.Of(there)
	if limit == 0 {
		return
	}
	s.memory.limit = limit
	if there == 0 || limit < there {
		s.memoryLimit = limit
	}
}

// forPeers returns how many bytes peers and torrents may take beside the tables of addresses and
// peers, which a flood fills as it fills the store; 0: no limit.
func (m *memoryBound) forPeers(l *config.Limits) int64 {
	if m.limit == 0 {
		return 0
	}
	tables := int64(l.Addresses)*tracker.AddressBytes + int64(l.RecognisedPeers)*tracker.RecognisedBytes
	return max(m.limit/8*5-fixedMemory-tables, leastForPeers)
}

// keepMemory has garbage collected as often as the limit demands, and the store not grow
// near it, until ctx ends.
func (s *service) keepMemory(ctx context.Context) {
	m := &s.memory
	if m.limit == 0 {
		return
	}
	m.garbage = debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(m.garbage)
	ticker := time.NewTicker(memoryEvery)
	defer ticker.Stop()
	heap := int64(math.MaxInt64)
	hold, release := s.holdPeers()
	for {
		used := memoryInUse()
		heap = m.limitHeap(heap, max(used-memoryOfGo(), 0))
		switch was, is := m.look(used); {
		case is && !was:
			hold()
			s.log.Warn("limits.memory is near: newcomers take the place of peers that were silent for longest", "limit", m.limit)
		case was && !is:
			release()
			s.log.Info("there is memory for newcomers again")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look takes in how much memory is in use, and reports whether that was, and is, too
// near the limit.
func (m *memoryBound) look(used int64) (was, is bool) {
	was = m.pressed
	share := pressedShare
	if was {
		share = calmShare
	}
	is = float64(used) >= share*float64(m.limit)
	m.pressed = is
	return was, is
}

// holdPeers returns what keeps peers from being more than they are, and what lets them
// be more again: nothing, where they are not in this process.
func (s *service) holdPeers() (hold, release func()) {
	switch store := s.store.(type) {
	case *memory.Store:
		return store.Hold, store.Release
	case *sqlite.Store:
		return store.Hold, store.Release
	}
	return func() {}, func() {}
}

// limitHeap leaves to Go's heap what else does not take, of what the store may grow to.
// It returns what is in force, which stays where it would change by little: each change
// stops everything for a moment.
func (m *memoryBound) limitHeap(was, others int64) int64 {
	heap := min(max(int64(heapShare*float64(m.limit))-others, fixedMemory/4), m.garbage)
	if diff := heap - was; diff < m.limit/64 && diff > -m.limit/64 {
		return was
	}
	debug.SetMemoryLimit(heap)
	return heap
}

// memoryOfGo returns the memory that Go has of the system, in bytes.
func memoryOfGo() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}
