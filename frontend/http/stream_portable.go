//go:build !linux || portable

package http

import (
	"net"
	"time"
)

// plainStream is the socket of a connection.
type plainStream struct {
	*net.TCPConn
	conn *conn
}

func newConn(s *Server, tcp *net.TCPConn, places *slots) *conn {
	c := startConn(s, remoteOf(tcp), places)
	c.stream = &plainStream{tcp, c}
	return c
}

// receive is of [stream]. It holds buffers while it waits.
func (p *plainStream) receive() error {
	c := p.conn
	if c.b == nil {
		c.b = c.server.takeBuffers()
	}
	n, err := p.Read(c.b.in[c.b.end:])
	c.b.end += n
	return err
}

// send is of [stream].
func (p *plainStream) send() error {
	_ = p.SetWriteDeadline(time.Now().Add(p.conn.server.options.Timeout)) // of a closed connection: writing tells
	_, err := p.Write(p.conn.b.out)
	return err
}

// closeWrite is of [stream].
func (p *plainStream) closeWrite() error { return p.CloseWrite() }

// cut is of [stream].
func (p *plainStream) cut() { _ = p.Close() }

// intoNetConn is of [stream].
func (p *plainStream) intoNetConn() (net.Conn, error) { return p.TCPConn, p.SetDeadline(time.Time{}) }
