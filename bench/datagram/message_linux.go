package datagram

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// message is struct mmsghdr: one packet, or on sending a run of them.
type message struct {
	header unix.Msghdr
	length uint32 // bytes received or sent
}

// messages is what a call of recvmmsg or sendmmsg works on. Its slices never grow,
// since the headers point into each other.
type messages struct {
	headers []message
	vectors []unix.Iovec
}

func newMessages(n int) messages {
	m := messages{headers: make([]message, n), vectors: make([]unix.Iovec, n)}
	for i := range m.headers {
		m.headers[i].header.Iov = &m.vectors[i]
		m.headers[i].header.SetIovlen(1)
	}
	return m
}

// point lets message n be what buf holds, or what it has room for.
func (m *messages) point(n int, buf []byte) {
	m.vectors[n].Base = unsafe.SliceData(buf)
	m.vectors[n].SetLen(len(buf))
}

// receive takes in what has arrived, without waiting.
func (m *messages) receive(fd int) (int, unix.Errno) {
	return m.call(unix.SYS_RECVMMSG, fd, len(m.headers))
}

// send sends the first n messages, without waiting, and returns how many went.
func (m *messages) send(fd, from, to int) (int, unix.Errno) {
	sent := messages{headers: m.headers[from:to]}
	return sent.call(unix.SYS_SENDMMSG, fd, to-from)
}

// call is a raw one: since it does not wait, the scheduler need not know.
func (m *messages) call(number uintptr, fd, n int) (int, unix.Errno) {
	for {
		done, _, errno := unix.RawSyscall6(number, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(m.headers))), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return int(int32(done)), errno
		}
	}
}

// receiveMessages are messages with a buffer each.
type receiveMessages struct {
	messages
	buf []byte
}

func newReceiveMessages() receiveMessages {
	r := receiveMessages{messages: newMessages(Batch), buf: make([]byte, Batch*maxPacket)}
	for i := range Batch {
		r.point(i, r.buf[i*maxPacket:][:maxPacket])
	}
	return r
}

func (r *receiveMessages) packet(n int) []byte {
	return r.buf[n*maxPacket:][:r.headers[n].length]
}

// open opens a socket that never waits.
func open(addr netip.Addr) (fd int, err error) {
	family := unix.AF_INET
	if addr.Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("udp socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer) // a wish: the kernel has its own maximum
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, receiveBuffer)
	return fd, nil
}

// sockaddr returns an address as system calls want it.
func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
}
