package udp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// prepare sets what a socket needs whoever reads it.
func prepare(conn *net.UDPConn) error {
	local := localAddr(conn).Addr()
	return withDescriptor(conn, func(fd int) error {
		// A wish: the first needs a privilege, the second stops at the system's maximum.
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
		}
		if !local.IsUnspecified() {
			return nil
		}
		notOfGroups(fd, local)
		return rememberDestination(fd, local)
	})
}

// notOfGroups has a socket not hear the multicast groups that others of this machine have
// joined, which Linux does by default: what goes to a group is for who joined it. It is a wish,
// as Linux before 4.20 cannot do it for IPv6.
func notOfGroups(fd int, local netip.Addr) {
	if local.Is4() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
	} else {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0)
	}
}

// openSockets turns conn, the first socket of an address, into a socket for each
// worker, among which the kernel spreads the packets by where they come from.
// Where the system has no such thing, it is a portable one for all workers. What
// it opened comes back even with an error.
func openSockets(ctx context.Context, conn *net.UDPConn, o *Options) ([]socket, error) {
	return openBatches(ctx, conn, o, systemCalls)
}

// openBatches is openSockets by way of given system calls.
//
// The first socket was bound alone: without SO_REUSEPORT, a bind fails where
// there is any other socket. Only then does it begin to share. So of two servers
// on an address the second is refused, although all sockets of both share in the
// end.
func openBatches(ctx context.Context, conn *net.UDPConn, o *Options, c calls) ([]socket, error) {
	wildcard := localAddr(conn).Addr().IsUnspecified()
	if err := withDescriptor(conn, c.probe); err != nil {
		return openPortable(conn, o, err)
	}
	others, err := openOthers(ctx, conn, o.Readers-1, o.BesideGroups && wildcard)
	if err != nil {
		for _, other := range others {
			_ = other.Close()
		}
		return openPortable(conn, o, err)
	}
	var sockets []socket
	var errs []error
	for _, conn := range append([]*net.UDPConn{conn}, others...) {
		s, err := newBatchSocket(conn, wildcard, c)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		sockets = append(sockets, s)
	}
	return sockets, errors.Join(errs...)
}

func openPortable(conn *net.UDPConn, o *Options, reason error) ([]socket, error) {
	o.Log.Warn("udp answers packets one by one: the system refuses what batches need",
		"address", conn.LocalAddr(), "error", reason)
	return []socket{&portableSocket{conn}}, nil
}

// openOthers opens n more sockets on the address of conn. What it opened comes
// back even with an error. share has others on the port even if n is 0.
func openOthers(ctx context.Context, conn *net.UDPConn, n int, share bool) (others []*net.UDPConn, err error) {
	if n == 0 && !share {
		return nil, nil // conn keeps the address to itself
	}
	if err := withDescriptor(conn, sharePort); err != nil {
		return nil, err
	}
	network := "udp6"
	if localAddr(conn).Addr().Is4() {
		network = "udp4"
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return control(raw, sharePort)
	}}
	for range n {
		other, err := listenNetwork(ctx, config, network, conn.LocalAddr().String())
		if err != nil {
			return others, err
		}
		others = append(others, other)
	}
	return others, nil
}

func sharePort(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

// newBatchSocket takes over a socket from package net, which is closed in any
// case.
func newBatchSocket(conn *net.UDPConn, wildcard bool, c calls) (*batchSocket, error) {
	fd, err := detach(conn)
	if err != nil {
		return nil, err
	}
	bell, err := newDoorbell(fd)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &batchSocket{fd: fd, wildcard: wildcard, calls: c, doorbell: bell}, nil
}

// sendPatience is how long a worker waits for room for its answers where an
// interface is slower than it, before it gives them up.
const sendPatience = time.Second

// detach takes a socket away from package net and its poller, and closes conn in
// any case. The descriptor that it returns blocks.
func detach(conn *net.UDPConn) (fd int, err error) {
	err = withDescriptor(conn, func(original int) (err error) {
		fd, err = unix.FcntlInt(uintptr(original), unix.F_DUPFD_CLOEXEC, 0)
		return err
	})
	if err = errors.Join(err, conn.Close()); err != nil {
		return 0, err
	}
	patience := unix.NsecToTimeval(sendPatience.Nanoseconds())
	err = errors.Join(unix.SetNonblock(fd, false), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &patience))
	if err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func withDescriptor(conn *net.UDPConn, do func(fd int) error) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	return control(raw, do)
}

func control(raw syscall.RawConn, do func(fd int) error) error {
	var done error
	err := raw.Control(func(fd uintptr) { done = do(int(fd)) })
	return errors.Join(err, done)
}
