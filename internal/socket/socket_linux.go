package socket

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Receive reads what has arrived into p, which is not empty. It returns 0 without an error where
// nothing more will, and unix.EAGAIN where nothing has.
func Receive(fd int, p []byte) (n int, err error) {
	return call(unix.SYS_RECVFROM, fd, p, 0)
}

// Send writes as much of p as there is room for, 0 bytes with an error; unix.EAGAIN: there is no
// room. Flags are those of send(2) besides MSG_NOSIGNAL.
func Send(fd int, p []byte, flags int) (n int, err error) {
	return call(unix.SYS_SENDTO, fd, p, flags|unix.MSG_NOSIGNAL)
}

func call(what uintptr, fd int, p []byte, flags int) (n int, err error) {
	for {
		n, _, errno := unix.RawSyscall6(what, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(flags), 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
			continue
		}
		return 0, errno
	}
}
