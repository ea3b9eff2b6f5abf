//go:build !portable

package http

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	raw "waggle/internal/socket"
)

// socket is the descriptor of a connection that does not block. As its calls
// never wait, the runtime is not told of them: its monitor would be woken, which
// takes as long as parsing and deciding a request.
type socket int

// acceptFrom accepts a connection. unix.EAGAIN: there is none.
func acceptFrom(listening uintptr) (s socket, from netip.Addr, err error) {
	for {
		var name unix.RawSockaddrInet6 // an IPv4 one is shorter
		size := uint32(unsafe.Sizeof(name))
		fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, listening, uintptr(unsafe.Pointer(&name)),
			uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			return socket(fd), addressOf(&name), nil
		case unix.EINTR, unix.ECONNABORTED: // the client has gone already
		default:
			return -1, netip.Addr{}, errno
		}
	}
}

func addressOf(name *unix.RawSockaddrInet6) netip.Addr {
	switch name.Family {
	case unix.AF_INET:
		var ip [4]byte // lies where IPv6 has its flow
		binary.NativeEndian.PutUint32(ip[:], name.Flowinfo)
		return netip.AddrFrom4(ip)
	case unix.AF_INET6:
		return plain(netip.AddrFrom16(name.Addr))
	}
	return netip.Addr{}
}

// read is [waggle/internal/socket.Receive].
func (s socket) read(p []byte) (n int, err error) { return raw.Receive(int(s), p) }

// write is [waggle/internal/socket.Send].
func (s socket) write(p []byte, flags int) (n int, err error) { return raw.Send(int(s), p, flags) }

// closeWrite ends what is sent and not what is received.
func (s socket) closeWrite() {
	_, _, _ = unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(s), unix.SHUT_WR, 0)
}

func (s socket) close() { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(s), 0, 0) }
