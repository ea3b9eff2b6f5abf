//go:build !linux

package main

import (
	"math"
	"runtime/debug"
)

// memoryInUse returns the memory that Go has of the system, in bytes: nearly all of
// this process.
func memoryInUse() int64 { return memoryOfGo() }

// memoryLimit returns how much memory this process may have, in bytes, where GOMEMLIMIT
// says so; 0: nobody does.
func memoryLimit() int64 {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}
