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

// stream is the socket of a connection. As a file it costs the system calls of
// registering it with the runtime's poller and no more.
type stream struct {
	*os.File
	raw                syscall.RawConn
	readable, writable func(uintptr) bool // conn.readReady and conn.writeReady, made once
	n                  int                // bytes that they moved
	err                error              // and why not
}

func newConn(s *Server, fd socket, from netip.Addr, places slots) *conn {
	c := startConn(s, from, places)
	c.File = os.NewFile(uintptr(fd), "")
	c.raw, _ = c.SyscallConn() // fails for no file that there is
	c.readable, c.writable = c.readReady, c.writeReady
	return c
}

// receive waits until there is something to read, and then reads it into c.b. It
// holds no buffers while it waits for a request.
func (c *conn) receive() error {
	if err := c.raw.Read(c.readable); err != nil {
		return err
	}
	switch {
	case c.err != nil:
		return c.err
	case c.n == 0:
		return io.EOF
	}
	c.b.end += c.n
	return nil
}

// readReady reads what is there. It returns false where nothing is: then the
// runtime waits and calls it again.
func (c *conn) readReady(fd uintptr) bool {
	if c.b == nil {
		c.b = c.server.takeBuffers()
	}
	c.n, c.err = socket(fd).read(c.b.in[c.b.end:])
	if !errors.Is(c.err, unix.EAGAIN) {
		return true
	}
	if c.idle() {
		c.dropBuffers()
	}
	return false
}

// send writes c.b.out. Only what the client does not take at once needs a
// deadline.
func (c *conn) send() error {
	if err := c.raw.Write(c.writable); err != nil {
		return err
	}
	if c.err != nil && !errors.Is(c.err, unix.EAGAIN) {
		return c.err
	}
	if c.n == len(c.b.out) {
		return nil
	}
	_ = c.SetWriteDeadline(time.Now().Add(c.server.options.Timeout)) // of a closed connection: writing tells
	_, err := c.Write(c.b.out[c.n:])
	_ = c.SetWriteDeadline(time.Time{})
	return err
}

func (c *conn) writeReady(fd uintptr) bool {
	c.n, c.err = socket(fd).write(c.b.out, 0)
	return true
}

// closeWrite ends what is sent and not what is received.
func (c *conn) closeWrite() error {
	return c.raw.Control(func(fd uintptr) { socket(fd).closeWrite() })
}

// intoNetConn makes a connection for net/http of this one, and ends it.
func (c *conn) intoNetConn() (net.Conn, error) {
	tcp, err := net.FileConn(c.File)
	return tcp, errors.Join(err, c.Close())
}
