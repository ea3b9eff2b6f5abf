//go:build !portable

package websocket

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"waggle/internal/socket"
)

// poller reads and writes the TCP connections that have no goroutines: each of its loops
// waits for many, answers what has come by all of them, and then writes what followed. So
// an idle connection takes no stack, and several messages to a client go out in one call.
type poller struct {
	loops []*loop
	next  atomic.Uint32
}

// loop has a part of the connections.
type loop struct {
	server *Server
	file   *os.File // of epoll, which the runtime waits for as for a socket
	raw    syscall.RawConn
	fd     int

	mu    sync.Mutex
	conns []*polled // by the number that their events have; nil: it is free
	free  []uint32
}

// polled is the stream of a connection.
type polled struct {
	*conn
	loop *loop
	fd   int    // of a socket that does not block; -1: it is closed. c.mu is for those who do not read
	slot uint32 // among the loop's
	more bool   // something is to be answered; or else the client is to hang up
}

func newPoller(s *Server) (*poller, error) {
	p := new(poller)
	for range runtime.GOMAXPROCS(0) {
		l, err := newLoop(s)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.loops = append(p.loops, l)
	}
	return p, nil
}

func newLoop(s *Server) (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // as files have to be that the runtime waits for
		return nil, errors.Join(err, unix.Close(fd))
	}
	l := &loop{server: s, file: os.NewFile(uintptr(fd), "epoll"), fd: fd}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, l.file.Close())
	}
	s.serving.Go(l.run)
	return l, nil
}

// close ends the loops, which have no connections any more.
func (p *poller) close() error {
	var errs []error
	for _, l := range p.loops {
		errs = append(errs, l.file.Close())
	}
	return errors.Join(errs...)
}

// take takes a connection over. It reports false where it does not: then the connection is
// as it was.
func (p *poller) take(c *conn, tcp *net.TCPConn) (taken bool) {
	fd, err := duplicate(tcp)
	if err != nil {
		return false
	}
	_ = tcp.Close() // the socket stays open by its other descriptor
	l := p.loops[p.next.Add(1)%uint32(len(p.loops))]
	s := &polled{conn: c, loop: l, fd: fd, more: true}
	if !c.begin(s) || l.add(s) != nil {
		s.end()
	}
	return true
}

// duplicate returns a descriptor of its own for a connection.
func duplicate(tcp *net.TCPConn) (fd int, err error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return -1, err
	}
	var failed error
	err = raw.Control(func(of uintptr) { fd, failed = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, failed)
}

// add begins to wait for a connection.
func (l *loop) add(s *polled) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		s.slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		s.slot = uint32(len(l.conns))
		l.conns = append(l.conns, nil)
	}
	if err := unix.EpollCtl(l.fd, unix.EPOLL_CTL_ADD, s.fd, s.event(unix.EPOLLIN)); err != nil {
		l.free = append(l.free, s.slot)
		return err
	}
	l.conns[s.slot] = s
	return nil
}

func (l *loop) remove(s *polled) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[s.slot] = nil
	l.free = append(l.free, s.slot)
}

func (l *loop) at(slot int32) *polled {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns[slot]
}

// Sizes of what a loop does at a time: of one read, which a whole message fits, and how
// many connections.
const (
	readSize  = maxMessage + 1<<10
	batchSize = 128
)

// rounds is how many times a loop reads from those that are ready before it writes, while
// there are any: the more messages wait for a client, the fewer calls are theirs. It takes
// some ten milliseconds at most, and only of one that has all its hands full.
const rounds = 32

// run answers until the loop is closed.
func (l *loop) run() {
	w := l.server.newWork()
	in := make([]byte, readSize)
	events := make([]unix.EpollEvent, batchSize)
	var n, unwritten int
	var err error
	wait := func(fd uintptr) (done bool) {
		n, err = unix.EpollWait(int(fd), events, 0)
		if errors.Is(err, unix.EINTR) {
			n, err = 0, nil
		}
		if unwritten++; n == 0 && err == nil || unwritten > rounds {
			w.end()
			unwritten = 0
		}
		return n > 0 || err != nil
	}
	for l.raw.Read(wait) == nil && err == nil {
		w.begin()
		for i := range events[:n] {
			s := l.at(events[i].Fd)
			if events[i].Events&unix.EPOLLOUT != 0 {
				s.writable()
			}
			if events[i].Events&^unix.EPOLLOUT != 0 {
				s.readable(w, in)
			}
		}
	}
}

// event is what to wait for.
func (s *polled) event(what uint32) *unix.EpollEvent {
	return &unix.EpollEvent{Events: what, Fd: int32(s.slot)}
}

// readable reads what is there, and answers it.
func (s *polled) readable(w *work, in []byte) {
	kept := s.unread()
	have := len(kept)
	if have > 0 && s.more {
		in = kept[have:cap(kept)]
	}
	n, err := socket.Receive(s.fd, in)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return
	case err != nil || n == 0:
		s.loop.remove(s)
		s.end()
		return
	case !s.more: // until the client hangs up
		return
	case have > 0:
		in = kept[:have+n]
	default:
		in = in[:n]
	}
	s.heard.Store(w.second)
	s.more = s.receive(w, in)
}

// end closes the connection, which is waited for no more.
func (s *polled) end() {
	s.mu.Lock()
	s.state, s.busy = gone, false
	_ = unix.Close(s.fd)
	s.fd = -1
	s.mu.Unlock()
	s.ended()
}

// flush is of stream.
func (s *polled) flush(c *conn) {
	n, err := socket.Send(s.fd, c.out.frames, 0)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		c.lose()
		return
	}
	c.wrote(n)
	switch {
	case c.out != nil:
		c.busy = true
		c.deaf.CompareAndSwap(0, c.server.seconds())
		s.watch(unix.EPOLLIN | unix.EPOLLOUT)
	case c.state == closing:
		_ = unix.Shutdown(s.fd, unix.SHUT_WR) // who reads notices what is wrong
	case c.deaf.Load() != 0:
		c.deaf.Store(0)
	}
}

// writable writes what had to wait.
func (s *polled) writable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == gone {
		return
	}
	s.busy = false
	s.watch(unix.EPOLLIN)
	if s.out != nil {
		s.flush(s.conn)
	}
}

// watch changes what is waited for.
func (s *polled) watch(what uint32) {
	if err := unix.EpollCtl(s.loop.fd, unix.EPOLL_CTL_MOD, s.fd, s.event(what)); err != nil {
		s.lose()
	}
}

// cutOff is of stream.
func (s *polled) cutOff() {
	if s.fd >= 0 {
		_ = unix.Shutdown(s.fd, unix.SHUT_RDWR) // who reads notices
	}
}
