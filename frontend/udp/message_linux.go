package udp

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"waggle/bittorrent"
)

// batchSize is the most datagrams of a system call.
const batchSize = 64

// message is the kernel's struct mmsghdr.
type message struct {
	header unix.Msghdr
	length uint32 // bytes of the datagram, as received or sent
}

// batch is the memory of one worker: up to [batchSize] requests, and the answers
// to them. Everything points to its place from the beginning on; a system call
// fills in or takes a part of the messages.
type batch struct {
	requests [batchSize]message
	answers  [batchSize]message
	slots    [batchSize]slot

	hashes [batchSize]bittorrent.InfoHash // of the announces, for warm
	peers  [batchSize]netip.AddrPort

	parked int // requests of the last answer that are answered later
}

// slot is what a request of a batch came with, and room for an answer. The
// answers lie without gaps, so an answer may be in an earlier slot than its
// request.
type slot struct {
	source  [unix.SizeofSockaddrInet6]byte // sockaddr_in or sockaddr_in6
	control [controlLen]byte
	request [maxRequest]byte
	answer  [maxAnswer]byte
	in, out unix.Iovec

	is       query
	admitted bool
}

// newBatch lays out the messages, with control messages if the socket has them.
func newBatch(withControl bool) *batch {
	b := new(batch)
	for i := range b.slots {
		slot, in, out := &b.slots[i], &b.requests[i].header, &b.answers[i].header
		slot.in.Base, slot.out.Base = &slot.request[0], &slot.answer[0]
		slot.in.SetLen(maxRequest)
		in.Iov, out.Iov = &slot.in, &slot.out
		in.SetIovlen(1)
		out.SetIovlen(1)
		in.Name = &slot.source[0]
		in.Namelen = uint32(len(slot.source))
		if withControl {
			in.Control = &slot.control[0]
			in.SetControllen(len(slot.control))
		}
	}
	return b
}

// answer answers the first n requests, in their order, and makes room for the
// next ones. It returns the messages to send, valid until the next call. Answers
// that must wait go out later on a socket.
func (b *batch) answer(p *responder, n int, now time.Time, late *batchSocket) []message {
	for i := range n {
		in, slot := &b.requests[i], &b.slots[i]
		slot.admitted = false
		if from := source(slot.source[:in.header.Namelen]); from.IsValid() {
			slot.is, slot.admitted = p.admit(slot.request[:in.length], from, now)
		}
	}
	b.warm(p, n)
	answers := 0
	b.parked = 0
	for i := range n {
		request, slot := &b.requests[i], &b.slots[i]
		if slot.admitted {
			answer := p.answer(context.Background(), &slot.is, now, b.slots[answers].answer[:])
			if answer != nil {
				b.address(answers, i, len(answer))
				answers++
			} else if p.parked {
				b.park(p, i, now, late)
				b.parked++
			}
		}
		request.header.Namelen = uint32(len(slot.source))
		if request.header.Control != nil {
			request.header.SetControllen(len(slot.control))
		}
	}
	return b.answers[:answers]
}

// park lets a request be answered later, by a batch of one.
func (b *batch) park(p *responder, i int, now time.Time, s *batchSocket) {
	in, slot := &b.requests[i].header, &b.slots[i]
	one := &slotOfOne{source: slot.source, control: slot.control}
	one.message.header.Name, one.message.header.Namelen = &one.source[0], in.Namelen
	if in.Control != nil {
		if control := replyControl(one.control[:in.Controllen]); len(control) > 0 {
			one.message.header.Control = &control[0]
			one.message.header.SetControllen(len(control))
		}
	}
	p.later(slot.is, now, func(answer []byte) bool {
		one.out.Base = &answer[0]
		one.out.SetLen(len(answer))
		one.message.header.Iov = &one.out
		one.message.header.SetIovlen(1)
		return s.send([]message{one.message}) == 0
	})
}

// slotOfOne is what a late answer needs.
type slotOfOne struct {
	source  [unix.SizeofSockaddrInet6]byte
	control [controlLen]byte
	out     unix.Iovec
	message message
}

// warm tells the store of the announces of a batch.
func (b *batch) warm(p *responder, n int) {
	defer p.survive()
	hashes, peers := b.hashes[:0], b.peers[:0]
	for i := range n {
		q := &b.slots[i].is
		if !b.slots[i].admitted || q.header.Action != bittorrent.ActionAnnounce {
			continue
		}
		if h, port, ok := bittorrent.PeekUDPAnnounce(q.packet); ok {
			hashes, peers = append(hashes, h), append(peers, netip.AddrPortFrom(q.from, port))
		}
	}
	p.tracker.Warm(hashes, peers)
}

// address sends the answer, of length bytes, to where the request came from, and
// from where it was sent to.
func (b *batch) address(answer, request, length int) {
	in, out, slot := &b.requests[request].header, &b.answers[answer].header, &b.slots[request]
	b.slots[answer].out.SetLen(length)
	out.Name, out.Namelen = in.Name, in.Namelen
	if in.Control == nil {
		return
	}
	out.Control = nil
	control := replyControl(slot.control[:in.Controllen])
	if out.SetControllen(len(control)); len(control) > 0 {
		out.Control = &control[0]
	}
}

// source reads a socket address of IPv4 or IPv6; the zero value stands for any
// other. IPv4 in IPv6 clothes is IPv4, and the zone is left out.
func source(name []byte) netip.AddrPort {
	if len(name) < unix.SizeofSockaddrInet4 {
		return netip.AddrPort{}
	}
	port := binary.BigEndian.Uint16(name[2:])
	switch family := binary.NativeEndian.Uint16(name); {
	case family == unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(name[4:])), port)
	case family == unix.AF_INET6 && len(name) >= unix.SizeofSockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(name[8:])).Unmap(), port)
	}
	return netip.AddrPort{}
}

// calls are the system calls of a batch; tests give others. Both return how many
// messages went through. An error means that the first did not.
type calls struct {
	receive, send func(fd int, messages []message, flags int) (int, error)
}

var systemCalls = calls{
	receive: func(fd int, messages []message, flags int) (int, error) {
		return multiple(unix.SYS_RECVMMSG, fd, messages, flags)
	},
	send: func(fd int, messages []message, flags int) (int, error) {
		return multiple(unix.SYS_SENDMMSG, fd, messages, flags)
	},
}

// multiple is a raw call where it does not wait: the scheduler, told of a call,
// would take the processor away from a worker in the middle of a long one.
func multiple(call uintptr, fd int, messages []message, flags int) (int, error) {
	var n uintptr
	var errno unix.Errno
	if first := unsafe.SliceData(messages); flags&unix.MSG_DONTWAIT != 0 {
		n, _, errno = unix.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(first)), uintptr(len(messages)), uintptr(flags), 0, 0)
	} else {
		n, _, errno = unix.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(first)), uintptr(len(messages)), uintptr(flags), 0, 0)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// probe tells why the kernel, or whatever filters its system calls, does not take
// batches on a socket.
func (c calls) probe(fd int) error {
	_, receive := c.receive(fd, nil, unix.MSG_DONTWAIT)
	_, send := c.send(fd, nil, unix.MSG_DONTWAIT)
	return errors.Join(receive, send)
}
