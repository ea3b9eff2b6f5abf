//go:build !portable

package http

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// listener answers a connection that asks once and wants it closed where it is
// accepted: no goroutine, no registration with the runtime's poller, five system
// calls in all. Others get a goroutine.
type listener struct {
	file *os.File // the listening socket
	raw  syscall.RawConn

	// free is how many of the goroutines that accept are not answering. The last
	// one never answers: a store that keeps all others waiting must not keep
	// connections from being accepted.
	free atomic.Int32
}

// acceptors is how many goroutines accept on an address: some for each
// processor, as one whose thread is not running at the moment counts as busy.
func acceptors() int { return 4 + 4*runtime.GOMAXPROCS(0) }

// deferSeconds is how long the kernel keeps a new connection to itself while the
// client has sent nothing.
const deferSeconds = 5

// newListener takes over l.
func newListener(l *net.TCPListener) (*listener, error) {
	file, err := l.File()
	if err = errors.Join(err, l.Close()); err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	// Connections inherit the first, which keeps the answers to requests that are
	// not waited for from being held back, and are reported with their first
	// request there by the second. Where that cannot be had, they are slower.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferSeconds)
	})
	return &listener{file: file, raw: raw}, nil
}

// Close ends accept.
func (l *listener) Close() error { return l.file.Close() }

// accept starts to serve what connects, until Close.
func (l *listener) accept(s *Server, places *slots) {
	n := acceptors()
	l.free.Store(int32(n))
	for range n {
		s.serving.Go(func() { l.acceptAndAnswer(s, places) })
	}
}

func (l *listener) acceptAndAnswer(s *Server, places *slots) {
	var fd socket
	var from netip.Addr
	var err error
	accept := func(listening uintptr) (done bool) {
		fd, from, err = acceptFrom(listening)
		return !errors.Is(err, unix.EAGAIN)
	}
	for places.take(s.closing) {
		if closed := l.raw.Read(accept); closed != nil {
			err = closed
		}
		places.accepted()
		if err != nil {
			places.free()
			if !s.retry(err) {
				return
			}
			continue
		}
		s.retries.accepted()
		s.figures.connections.Add(1)
		if l.free.Add(-1) > 0 && !s.isProxy(from) {
			s.answerAtOnce(fd, from, places)
		} else {
			s.begin(newConn(s, fd, from, places))
		}
		l.free.Add(1)
	}
}

// answerAtOnce answers what a new connection has sent by now. With that it ends
// if the client wants no more and nothing has to be waited for; otherwise it gets
// a goroutine.
func (s *Server) answerAtOnce(fd socket, from netip.Addr, places *slots) {
	b := s.takeBuffers()
	n, err := fd.read(b.in[:])
	if errors.Is(err, unix.EAGAIN) {
		s.keep(b)
		s.begin(newConn(s, fd, from, places))
		return
	}
	if err != nil || n == 0 {
		s.keep(b)
		fd.close()
		places.free()
		return
	}
	b.end, b.now = n, s.options.Tracker.Now()
	then := s.answer(b, from)
	if then == hangUp && b.start == b.end && n < len(b.in) && fd.writeLast(b) {
		s.count(b)
		fd.close()
		s.keep(b)
		places.free()
		return
	}
	c := newConn(s, fd, from, places)
	c.take(b, then)
	s.begin(c)
}

// writeLast writes the answers and the end of the connection, in one packet if
// they fit one. It returns false, with what is left in b.out, where the answers
// are not taken whole.
func (s socket) writeLast(b *buffers) bool {
	n, _ := s.write(b.out, unix.MSG_MORE) // a fault shows again in writing the rest
	b.out = b.out[:copy(b.out, b.out[n:])]
	if len(b.out) > 0 {
		return false
	}
	// Closing alone would do it too, but drop the answer if the client has sent
	// something more by now.
	s.closeWrite()
	return true
}
