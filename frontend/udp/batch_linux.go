package udp

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// batchSocket takes up to [batchSize] packets a system call, and sends all
// answers to them with another. It has one worker.
type batchSocket struct {
	fd       int
	wildcard bool // packets come with the address that they were sent to
	calls    calls
	doorbell *doorbell
	deadline atomic.Pointer[time.Time] // nil until stop
	drops    drops
}

func (s *batchSocket) serve(p *responder) {
	b := newBatch(s.wildcard)
	failures := 0
	for {
		n, err := s.receive(b)
		switch {
		case err == nil:
			failures = 0
			s.answer(p, b, n)
			runtime.Gosched() // calls that do not wait are not points where others get their turn
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, unix.EINTR), errors.Is(err, os.ErrDeadlineExceeded): // stop rang
		default:
			failures++
			p.figures.ReadErrors++
			p.publish()
			backOff(failures)
		}
	}
}

// receive returns how many packets there are, 0 after it had to wait for some.
// The error is [net.ErrClosed] when, after stop, there were none left, or time
// was up.
func (s *batchSocket) receive(b *batch) (int, error) {
	deadline := s.deadline.Load() // before looking for packets: what came before stop must be seen after it
	if deadline != nil && time.Now().After(*deadline) {
		return 0, net.ErrClosed
	}
	n, err := s.calls.receive(s.fd, b.requests[:], unix.MSG_DONTWAIT)
	switch {
	case !errors.Is(err, unix.EAGAIN):
		return n, err
	case deadline != nil:
		return 0, net.ErrClosed
	}
	return 0, s.doorbell.wait()
}

// answer answers the first n requests of a batch, by one reading of the clock, and reads
// it again to count how long that took.
func (s *batchSocket) answer(p *responder, b *batch, n int) {
	if n == 0 {
		return
	}
	began := p.tracker.Now()
	answers := b.answer(p, n, began, s)
	p.publish()
	if failed := s.send(answers); failed > 0 {
		p.figures.WriteErrors += uint64(failed)
		p.publish()
	}
	p.latency.Add(p.tracker.Now().Sub(began), n-b.parked)
}

// send sends the messages and returns how many it could not. One that the kernel
// refuses, for want of a route or by a rule of a firewall, does not keep back
// those behind it.
func (s *batchSocket) send(messages []message) (failed int) {
	flags := unix.MSG_DONTWAIT
	for len(messages) > 0 {
		n, err := s.calls.send(s.fd, messages, flags)
		switch {
		case err == nil:
			messages, flags = messages[n:], unix.MSG_DONTWAIT
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN) && flags != 0:
			flags = 0 // there is no room: wait for some
		case errors.Is(err, unix.EAGAIN):
			return failed + len(messages) // no room for all of sendPatience: the others would wait as long
		default:
			failed++
			messages = messages[1:]
		}
	}
	return failed
}

func (s *batchSocket) stop(deadline time.Time) {
	s.deadline.Store(&deadline)
	s.doorbell.stop()
}

func (s *batchSocket) overflowed() uint64 { return s.drops.read(s.fd) }

func (s *batchSocket) Close() error {
	s.drops.end(s.fd)
	return errors.Join(s.doorbell.close(), os.NewSyscallError("close", unix.Close(s.fd)))
}
