package datagram

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func dial(locals []netip.Addr, remote netip.AddrPort) (Sockets, error) {
	return dialBatched(locals, remote)
}

// batched are sockets on which one call takes many packets.
type batched struct {
	polls    []unix.PollFd
	received receiveMessages
	sending  messages
	control  []byte // the length of a segment, for each message to be sent
	segments int    // packets that the kernel takes as one message: 1 where it cannot part them
}

// maxSegments is how many packets every kernel that parts any takes as one.
const maxSegments = 64

var segmentControlLen = unix.CmsgSpace(2)

func dialBatched(locals []netip.Addr, remote netip.AddrPort) (Sockets, error) {
	s := &batched{
		received: newReceiveMessages(),
		sending:  newMessages(Batch),
		control:  make([]byte, Batch*segmentControlLen),
		segments: maxSegments,
	}
	for i := range Batch {
		header := (*unix.Cmsghdr)(unsafe.Pointer(&s.segmentControl(i)[0]))
		header.Level, header.Type = unix.SOL_UDP, unix.UDP_SEGMENT
		header.SetLen(unix.CmsgLen(2))
	}
	for _, local := range locals {
		fd, err := dialOne(local, remote)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.polls = append(s.polls, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	return s, nil
}

func dialOne(local netip.Addr, remote netip.AddrPort) (int, error) {
	fd, err := open(remote.Addr())
	if err != nil {
		return -1, err
	}
	if local.IsValid() {
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(local, 0))); err != nil {
			return -1, errors.Join(fmt.Errorf("udp socket from %v: %w", local, err), unix.Close(fd))
		}
	}
	if err := unix.Connect(fd, sockaddr(remote)); err != nil {
		return -1, errors.Join(fmt.Errorf("udp socket to %v: %w", remote, err), unix.Close(fd))
	}
	return fd, nil
}

func (s *batched) segmentControl(n int) []byte {
	return s.control[n*segmentControlLen:][:segmentControlLen]
}

func (s *batched) Send(socket int, packets *Packets) error {
	fd := int(s.polls[socket].Fd)
	for next := 0; next < packets.Len(); {
		var err error
		if next, err = s.sendSome(fd, packets, next); err != nil {
			return fmt.Errorf("udp send: %w", err)
		}
	}
	return nil
}

// sendSome sends packets from one on, and returns the first that it did not send.
func (s *batched) sendSome(fd int, packets *Packets, first int) (next int, err error) {
	var firsts [Batch + 1]int // of each message
	n := 0
	for next = first; n < Batch && next < packets.Len(); n++ {
		firsts[n] = next
		next = s.load(n, packets, next)
	}
	firsts[n] = next
	for sent := 0; sent < n; {
		went, errno := s.sending.send(fd, sent, n)
		switch errno {
		case 0:
			sent += went
		case unix.EAGAIN, unix.ENOBUFS:
			return next, nil // lost
		case unix.ECONNREFUSED:
			// The error was that of an earlier packet. Nothing was sent.
			continue
		case unix.EIO, unix.EINVAL, unix.EOPNOTSUPP, unix.ENOPROTOOPT:
			if s.segments == 1 {
				return next, errno
			}
			s.segments = 1
			return firsts[sent], nil
		default:
			return next, errno
		}
	}
	return next, nil
}

// load makes message n of a run of packets, and returns the packet behind it.
func (s *batched) load(n int, packets *Packets, first int) (next int) {
	next = packets.run(first, s.segments)
	from, length := packets.span(first)
	_, to := packets.span(next - 1)
	s.sending.point(n, packets.buf[from:to])
	header := &s.sending.headers[n].header
	if next-first == 1 {
		header.Control = nil
		header.SetControllen(0)
		return next
	}
	control := s.segmentControl(n)
	binary.NativeEndian.PutUint16(control[unix.CmsgLen(0):], uint16(length-from))
	header.Control = &control[0]
	header.SetControllen(len(control))
	return next
}

func (s *batched) Receive(socket int) (int, error) {
	n, errno := s.received.receive(int(s.polls[socket].Fd))
	switch errno {
	case 0:
		return n, nil
	case unix.EAGAIN:
		return 0, nil
	}
	return 0, fmt.Errorf("udp receive: %w", errno)
}

func (s *batched) Packet(n int) []byte { return s.received.packet(n) }

func (s *batched) Wait(timeout time.Duration) error { return wait(s.polls, timeout) }

// wait waits until one of the sockets is ready, or for the timeout.
func wait(polls []unix.PollFd, timeout time.Duration) error {
	t := unix.NsecToTimespec(int64(max(0, timeout)))
	if _, err := unix.Ppoll(polls, &t, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("waiting for packets: %w", err)
	}
	return nil
}

func (s *batched) Close() error {
	var errs []error
	for _, p := range s.polls {
		errs = append(errs, unix.Close(int(p.Fd)))
	}
	return errors.Join(errs...)
}
