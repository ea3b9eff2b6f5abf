package udp

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// doorbell lets a goroutine wait for the packets of a socket, and costs nothing
// while there are any.
//
// Go's poller cannot have the socket itself: it would be told of each packet that
// comes and of each answer that leaves, waited for or not. A thread that waits in
// the kernel keeps one of Go's processors for a while, and others wait with it.
// So a doorbell is an epoll of its own, which Go's poller has, and in which the
// socket is only while someone waits.
type doorbell struct {
	socket int // its descriptor
	epoll  int
	file   *os.File // of epoll, for Go's poller
	raw    syscall.RawConn
	event  unix.EpollEvent
	rung   func(uintptr) bool

	armed bool  // the socket is in the epoll
	fault error // why it is not
}

func newDoorbell(socket int) (*doorbell, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(epoll, true); err != nil { // NewFile leaves to Go's poller what does not block
		return nil, errors.Join(err, unix.Close(epoll))
	}
	d := &doorbell{socket: socket, epoll: epoll, file: os.NewFile(uintptr(epoll), "epoll")}
	d.event.Events = unix.EPOLLIN
	d.rung = d.armOrWake
	if d.raw, err = d.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, d.file.Close())
	}
	return d, nil
}

// wait returns when there may be packets, and after stop at once, with
// [os.ErrDeadlineExceeded]. One goroutine at a time may wait.
func (d *doorbell) wait() error {
	err := d.raw.Read(d.rung)
	if !d.armed {
		return errors.Join(err, d.fault)
	}
	d.armed = false
	if err := unix.EpollCtl(d.epoll, unix.EPOLL_CTL_DEL, d.socket, nil); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	return err
}

// armOrWake is what Go's poller calls before it waits, and again when the epoll
// has something. Arming before would be too early, since the poller begins by
// forgetting what was reported so far.
func (d *doorbell) armOrWake(uintptr) bool {
	if d.armed {
		return true
	}
	d.fault = os.NewSyscallError("epoll_ctl", unix.EpollCtl(d.epoll, unix.EPOLL_CTL_ADD, d.socket, &d.event))
	d.armed = d.fault == nil
	return !d.armed
}

// stop ends waiting for good. It may be called from any goroutine.
func (d *doorbell) stop() { _ = d.file.SetReadDeadline(time.Now()) }

func (d *doorbell) close() error { return d.file.Close() }
