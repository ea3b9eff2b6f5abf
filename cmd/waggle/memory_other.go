//go:build !linux

package main

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
)

// memoryInUse returns the memory that Go has of the system, in bytes: nearly all of
// this process.
func memoryInUse() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

// memoryLimit returns how much memory this process may have, in bytes, where GOMEMLIMIT
// says so; 0: nobody does.
func memoryLimit() int64 {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}
