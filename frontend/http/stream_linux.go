//go:build !portable

package http

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// plainStream is the socket of a connection. As a file it costs the system calls of
// registering it with the runtime's poller and no more.
type plainStream struct {
	*os.File
	conn               *conn
	raw                syscall.RawConn
	readable, writable func(uintptr) bool // readReady and writeReady, made once
	n                  int                // bytes that they moved
	err                error              // and why not
}

func newConn(s *Server, fd socket, from netip.Addr, places *slots) *conn {
	c := startConn(s, from, places)
	p := &plainStream{File: os.NewFile(uintptr(fd), ""), conn: c}
	p.raw, _ = p.SyscallConn() // fails for no file that there is
	p.readable, p.writable = p.readReady, p.writeReady
	c.stream = p
	return c
}

// receive is of [stream]. It holds no buffers while it waits for a request.
func (p *plainStream) receive() error {
	if err := p.raw.Read(p.readable); err != nil {
		return err
	}
	switch {
	case p.err != nil:
		return p.err
	case p.n == 0:
		return io.EOF
	}
	p.conn.b.end += p.n
	return nil
}

// readReady reads what is there. It returns false where nothing is: then the
// runtime waits and calls it again.
func (p *plainStream) readReady(fd uintptr) bool {
	c := p.conn
	if c.b == nil {
		c.b = c.server.takeBuffers()
	}
	p.n, p.err = socket(fd).read(c.b.in[c.b.end:])
	if !errors.Is(p.err, unix.EAGAIN) {
		return true
	}
	if c.idle() {
		c.dropBuffers()
	}
	return false
}

// send is of [stream]. Only what the client does not take at once needs a deadline.
func (p *plainStream) send() error {
	if err := p.raw.Write(p.writable); err != nil {
		return err
	}
	if p.err != nil && !errors.Is(p.err, unix.EAGAIN) {
		return p.err
	}
	out := p.conn.b.out
	if p.n == len(out) {
		return nil
	}
	_ = p.SetWriteDeadline(time.Now().Add(p.conn.server.options.Timeout)) // of a closed connection: writing tells
	_, err := p.Write(out[p.n:])
	_ = p.SetWriteDeadline(time.Time{})
	return err
}

func (p *plainStream) writeReady(fd uintptr) bool {
	p.n, p.err = socket(fd).write(p.conn.b.out, 0)
	return true
}

// closeWrite is of [stream].
func (p *plainStream) closeWrite() error {
	return p.raw.Control(func(fd uintptr) { socket(fd).closeWrite() })
}

// cut is of [stream].
func (p *plainStream) cut() { _ = p.Close() }

// intoNetConn is of [stream].
func (p *plainStream) intoNetConn() (net.Conn, error) {
	tcp, err := net.FileConn(p.File)
	return tcp, errors.Join(err, p.Close())
}
