package datagram

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Listener is a server's socket. It belongs to one goroutine.
type Listener struct {
	polls    []unix.PollFd
	addr     netip.AddrPort
	received receiveMessages
	names    []unix.RawSockaddrAny // whom the packets came from
	replies  messages
	loaded   int
}

// Listen opens a socket at an address; several may be open there (SO_REUSEPORT), and
// the kernel spreads the senders over them. Port 0 leaves the choice to the system.
func Listen(addr netip.AddrPort) (*Listener, error) {
	fd, err := open(addr.Addr())
	if err != nil {
		return nil, err
	}
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1), unix.Bind(fd, sockaddr(addr)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("udp %v cannot be listened on: %w", addr, err), unix.Close(fd))
	}
	l := &Listener{
		polls:    []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}},
		received: newReceiveMessages(),
		names:    make([]unix.RawSockaddrAny, Batch),
		replies:  newMessages(Batch),
	}
	for i := range Batch {
		l.received.headers[i].header.Name = (*byte)(unsafe.Pointer(&l.names[i]))
	}
	l.addr, err = boundTo(fd, addr)
	return l, err
}

func boundTo(fd int, addr netip.AddrPort) (netip.AddrPort, error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return addr, errors.Join(fmt.Errorf("udp %v: %w", addr, err), unix.Close(fd))
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(addr.Addr(), uint16(name.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(addr.Addr(), uint16(name.Port)), nil
	}
	return addr, nil
}

// Addr returns the address, with the port that the system chose.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Receive takes in up to Batch packets that have arrived, and returns how many.
func (l *Listener) Receive() (int, error) {
	for i := range l.received.headers {
		l.received.headers[i].header.Namelen = unix.SizeofSockaddrAny
	}
	n, errno := l.received.receive(int(l.polls[0].Fd))
	switch errno {
	case 0:
		return n, nil
	case unix.EAGAIN:
		return 0, nil
	}
	return 0, fmt.Errorf("udp receive: %w", errno)
}

// Packet returns packet n of those that were received last.
func (l *Listener) Packet(n int) []byte { return l.received.packet(n) }

// Reply says what the sender of packet n is answered with, until the next Flush.
// Each packet is answered once at most.
func (l *Listener) Reply(n int, answer []byte) {
	to := &l.replies.headers[l.loaded].header
	from := &l.received.headers[n].header
	to.Name, to.Namelen = from.Name, from.Namelen
	l.replies.point(l.loaded, answer)
	l.loaded++
}

// Flush sends the replies. What a full buffer has no room for is lost.
func (l *Listener) Flush() error {
	loaded := l.loaded
	l.loaded = 0
	for sent := 0; sent < loaded; {
		n, errno := l.replies.send(int(l.polls[0].Fd), sent, loaded)
		switch errno {
		case 0:
			sent += n
		case unix.EAGAIN, unix.ENOBUFS:
			return nil
		case unix.ECONNREFUSED, unix.EPERM, unix.EHOSTUNREACH, unix.ENETUNREACH:
			sent++ // that one cannot be sent; the rest can
		default:
			return fmt.Errorf("udp send: %w", errno)
		}
	}
	return nil
}

// Wait waits until a packet arrives, or for the timeout.
func (l *Listener) Wait(timeout time.Duration) error { return wait(l.polls, timeout) }

// Close closes the socket.
func (l *Listener) Close() error { return unix.Close(int(l.polls[0].Fd)) }
