package memory

import (
	"errors"
	"sync"
	"unsafe"
)

// arena hands out memory for arrays without pointers. It lies outside of Go's
// heap: peers are most of what a tracker holds and never garbage, and counting
// them as heap would let as much garbage grow beside them before it is collected.
type arena struct {
	mu      sync.Mutex
	regions [][]byte
	free    []byte // the rest of the last region
}

// regionSize is what is asked of the system at a time, in bytes. It costs
// addresses, not memory, until it is used.
const regionSize = 16 << 20

// array returns n zeroed elements. T must not hold pointers, since the garbage
// collector does not look there.
func array[T any](a *arena, n int) []T {
	var zero T
	bytes := n * int(unsafe.Sizeof(zero))
	const alignment = 64 // a cache line, and more than any T needs
	bytes = (bytes + alignment - 1) &^ (alignment - 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.free) < bytes {
		region := mapRegion(max(regionSize, bytes))
		a.regions = append(a.regions, region)
		a.free = region
	}
	block := a.free[:bytes:bytes]
	a.free = a.free[bytes:]
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(block))), n)
}

// release gives everything back to the system. What was handed out must not be
// touched any more.
func (a *arena) release() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, region := range a.regions {
		errs = append(errs, unmapRegion(region))
	}
	a.regions, a.free = nil, nil
	return errors.Join(errs...)
}
