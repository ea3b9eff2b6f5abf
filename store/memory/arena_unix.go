//go:build unix

package memory

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// mapRegion returns zeroed memory outside of Go's heap, of which only what is
// touched becomes resident.
func mapRegion(bytes int) []byte {
	region, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(fmt.Sprintf("memory: %d bytes more cannot be had from the system: %v", bytes, err))
	}
	adviseHuge(region)
	return region
}

func unmapRegion(region []byte) error { return unix.Munmap(region) }
