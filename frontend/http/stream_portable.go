//go:build !linux || portable

package http

import (
	"net"
	"time"
)

// stream is the socket of a connection.
type stream struct{ *net.TCPConn }

func newConn(s *Server, tcp *net.TCPConn, places slots) *conn {
	c := startConn(s, plain(tcp.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()), places)
	c.TCPConn = tcp
	return c
}

// receive waits until there is something to read, and then reads it into c.b,
// which it holds while it waits.
func (c *conn) receive() error {
	if c.b == nil {
		c.b = c.server.takeBuffers()
	}
	n, err := c.Read(c.b.in[c.b.end:])
	c.b.end += n
	return err
}

// send writes c.b.out.
func (c *conn) send() error {
	_ = c.SetWriteDeadline(time.Now().Add(c.server.options.Timeout)) // of a closed connection: writing tells
	_, err := c.Write(c.b.out)
	return err
}

// closeWrite ends what is sent and not what is received.
func (c *conn) closeWrite() error { return c.CloseWrite() }

// intoNetConn makes a connection for net/http of this one, and ends it.
func (c *conn) intoNetConn() (net.Conn, error) { return c.TCPConn, c.SetDeadline(time.Time{}) }
