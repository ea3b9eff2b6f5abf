package udp

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// drops follows the kernel's count of the packets that a socket had no room for.
// Asking for it costs packets nothing, unlike a note with each of them
// (SO_RXQ_OVFL).
type drops struct {
	mu    sync.Mutex
	ended bool
	last  uint32 // the kernel's count, which wraps
	sum   uint64
}

// read returns the count, as of end after that.
func (d *drops) read(fd int) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.update(fd)
}

// end takes the last count: the descriptor is about to be closed.
func (d *drops) end(fd int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.update(fd)
	d.ended = true
}

func (d *drops) update(fd int) uint64 {
	if !d.ended {
		now := memoryInfo(fd)[skMeminfoDrops]
		d.sum += uint64(now - d.last)
		d.last = now
	}
	return d.sum
}

// What SO_MEMINFO tells (linux/sock_diag.h).
const (
	skMeminfoDrops = 8
	skMeminfoVars  = 9
)

// memoryInfo returns zeros where the kernel tells nothing (before 4.12).
func memoryInfo(fd int) (info [skMeminfoVars]uint32) {
	size := uint32(unsafe.Sizeof(info))
	_, _, _ = unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	return info
}
