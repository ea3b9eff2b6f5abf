package stream

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	raw "waggle/internal/socket"
)

func dial(streams int, locals []netip.Addr, remote netip.AddrPort) (Streams, error) {
	return dialEpoll(streams, locals, remote)
}

// epoll are streams on bare sockets.
type epoll struct {
	fd      int
	sockets []socket
	locals  []netip.Addr
	remote  netip.AddrPort
	events  []unix.EpollEvent
}

type socket struct {
	fd     int  // -1: not open
	writes bool // Wait looks for room to write, too
}

func dialEpoll(streams int, locals []netip.Addr, remote netip.AddrPort) (Streams, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	e := &epoll{fd: fd, locals: locals, remote: remote, events: make([]unix.EpollEvent, 256)}
	for range streams {
		e.sockets = append(e.sockets, socket{fd: -1})
	}
	return e, nil
}

func (e *epoll) Open(stream int) error {
	family := unix.AF_INET
	if e.remote.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("tcp socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err := e.connect(stream, fd); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	e.sockets[stream] = socket{fd: fd}
	return nil
}

func (e *epoll) connect(stream, fd int) error {
	if local := e.locals[stream%len(e.locals)]; local.IsValid() {
		// Without this option the port is chosen now, and must be free for all
		// destinations.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(local, 0))); err != nil {
			return fmt.Errorf("tcp socket from %v: %w", local, err)
		}
	}
	if err := unix.Connect(fd, sockaddr(e.remote)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("tcp socket to %v: %w", e.remote, err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(stream)}
	if err := unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
}

func (e *epoll) Write(stream int, b []byte) (int, error) {
	n, err := raw.Send(e.sockets[stream].fd, b, 0)
	switch {
	case errors.Is(err, unix.EAGAIN):
		n = 0
	case err != nil:
		return 0, fmt.Errorf("tcp write: %w", err)
	}
	return n, e.lookForRoom(stream, n < len(b))
}

// lookForRoom changes what Wait looks for in a stream, where that is a change.
func (e *epoll) lookForRoom(stream int, writes bool) error {
	s := &e.sockets[stream]
	if s.writes == writes {
		return nil
	}
	s.writes = writes
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(stream)}
	if writes {
		event.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(e.fd, unix.EPOLL_CTL_MOD, s.fd, &event); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

func (e *epoll) Read(stream int, b []byte) (int, error) {
	n, err := raw.Receive(e.sockets[stream].fd, b)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("tcp read: %w", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (e *epoll) Shut(stream int) {
	_ = unix.Close(e.sockets[stream].fd) // which takes it out of the epoll
	e.sockets[stream].fd = -1
}

func (e *epoll) Wait(timeout time.Duration, ready func(stream int)) error {
	n, err := unix.EpollWait(e.fd, e.events, 0)
	if n == 0 && timeout > 0 {
		// Milliseconds are too coarse for a load that keeps to a rate; ppoll knows
		// nanoseconds.
		t := unix.NsecToTimespec(int64(timeout))
		_, _ = unix.Ppoll([]unix.PollFd{{Fd: int32(e.fd), Events: unix.POLLIN}}, &t, nil)
		n, err = unix.EpollWait(e.fd, e.events, 0)
	}
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("waiting for streams: %w", err)
	}
	for i := range max(0, n) {
		if stream := int(e.events[i].Fd); e.sockets[stream].fd >= 0 {
			ready(stream)
		}
	}
	return nil
}

func (e *epoll) Close() error {
	for stream := range e.sockets {
		if e.sockets[stream].fd >= 0 {
			e.Shut(stream)
		}
	}
	return unix.Close(e.fd)
}
