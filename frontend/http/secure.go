package http

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// secureListener gives each connection a goroutine, in which it speaks TLS.
type secureListener struct {
	*net.TCPListener
	address netip.AddrPort
}

func (s *Server) listenSecure(ctx context.Context, address string) error {
	tcp, err := listenTCP(ctx, address)
	if err != nil {
		return err
	}
	s.secure = append(s.secure, &secureListener{tcp, tcp.Addr().(*net.TCPAddr).AddrPort()})
	return nil
}

// SecureAddrs returns the addresses that are listened on for TLS, as [Server.Addrs] does.
func (s *Server) SecureAddrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(s.secure))
	for i, l := range s.secure {
		addrs[i] = l.address
	}
	return slices.Clip(addrs)
}

// accept starts to serve what connects, until Close.
func (l *secureListener) accept(s *Server, places *slots) {
	s.serving.Go(func() {
		for places.take(s.closing) {
			tcp, err := l.AcceptTCP()
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
			from := remoteOf(tcp)
			counts, ok := s.enter(from)
			release := sync.OnceFunc(func() {
				places.free()
				s.crowd.leave(counts)
			})
			if !ok {
				_ = tcp.Close()
				release()
				continue
			}
			c := startConn(s, from, nil) // its place is given back by what is below TLS
			c.of = places
			secure := &secureStream{conn: c, below: &below{TCPConn: tcp, release: release}}
			secure.Conn = tls.Server(secure.below, s.options.TLS)
			c.stream = secure
			s.beginWith(c, secure.serve)
		}
	})
}

func remoteOf(tcp *net.TCPConn) netip.Addr {
	return plain(tcp.RemoteAddr().(*net.TCPAddr).AddrPort().Addr())
}

// below is a TCP connection that TLS is spoken over.
type below struct {
	*net.TCPConn
	client  netip.AddrPort // that a proxy named; invalid: none did
	release func()         // called once, at the first Close
}

// RemoteAddr is of [net.Conn].
func (b *below) RemoteAddr() net.Addr {
	if b.client.IsValid() {
		return net.TCPAddrFromAddrPort(b.client)
	}
	return b.TCPConn.RemoteAddr()
}

// Close is of [net.Conn].
func (b *below) Close() error {
	defer b.release()
	return b.TCPConn.Close()
}

// LeavePlace gives the place of the connection to another one: whoever has taken it over counts it
// elsewhere.
func (b *below) LeavePlace() { b.release() }

// secureStream is a connection over TLS.
type secureStream struct {
	*tls.Conn
	conn  *conn
	below *below
	first [1]byte
}

// serve shakes hands, and gives HTTP/2 to net/http for the whole life of its connection.
func (t *secureStream) serve() {
	c := t.conn
	if err := t.open(); err != nil {
		t.refuse(err)
		c.leave()
		c.cut()
		return
	}
	c.server.figures.handshakes.Add(1)
	switch t.ConnectionState().NegotiatedProtocol {
	case "", "http/1.1":
		c.serve()
	case "h2":
		c.leave()
		c.server.figures.handedOver.Add(1)
		c.server.handover.give(t.Conn)
	default: // an authority has seen what it wanted
		c.leave()
		c.shut()
	}
}

// open reads the PROXY header, where there must be one, and shakes hands, all within the time for a
// request.
func (t *secureStream) open() error {
	c := t.conn
	if err := t.below.SetDeadline(c.due); err != nil {
		return err
	}
	if c.expects {
		client, err := readHeader(t.below)
		if err != nil {
			return err
		}
		c.expects = false
		c.meet(client)
		t.below.client = client
	}
	// The deadline ends it, and Close does; a context that can end would cost a goroutine.
	if err := t.HandshakeContext(context.Background()); err != nil {
		return err
	}
	// The request has its own time, of which the read deadline is that of conn.
	c.now = time.Now()
	c.due = c.now.Add(c.server.options.Timeout)
	return t.below.SetDeadline(time.Time{})
}

// spokenToPlainly is what who speaks HTTP without TLS is told, as by net/http.
const spokenToPlainly = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nthis address speaks TLS: write https:// in place of http://\n"

// refuse counts and tells why a connection did not come to its first request.
func (t *secureStream) refuse(err error) {
	c, s := t.conn, t.conn.server
	record, isRecord := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, errNoHeader), errors.Is(err, errVersion1), errors.Is(err, errBadHeader):
		s.refuseHeader(c.from, err)
		return
	case isRecord && startsLikeProxyHeader(record.RecordHeader[:]):
		s.refuseHeader(c.from, errNoProxy)
		return
	case isRecord && looksLikeHTTP(record.RecordHeader):
		_, _ = io.WriteString(t.below, spokenToPlainly) // within the deadline of open
	}
	s.figures.failedHandshakes.Add(1)
	s.options.Log.Debug("a handshake of TLS failed", "from", c.from, "error", err)
}

func looksLikeHTTP(head [5]byte) bool {
	return slices.Contains([]string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO"}, string(head[:]))
}

// receive is of [stream]. It holds no buffers while it waits for a request: TLS cannot tell that there
// is something to read but by reading it, which is why the first byte comes alone.
func (t *secureStream) receive() error {
	c := t.conn
	if c.idle() {
		n, err := t.Read(t.first[:])
		if n == 0 {
			return err
		}
		if c.b == nil {
			c.b = c.server.takeBuffers()
		}
		c.b.end = copy(c.b.in[:], t.first[:n])
		return nil
	}
	n, err := t.Read(c.b.in[c.b.end:])
	if c.b.end += n; n > 0 {
		return nil // the error comes again
	}
	return err
}

// send is of [stream].
func (t *secureStream) send() error {
	_ = t.below.SetWriteDeadline(time.Now().Add(t.conn.server.options.Timeout)) // of a closed connection: writing tells
	_, err := t.Write(t.conn.b.out)
	return err
}

// closeWrite is of [stream].
func (t *secureStream) closeWrite() error { return t.CloseWrite() }

// cut is of [stream]. It does not wait for the client to be told.
func (t *secureStream) cut() { _ = t.below.Close() }

// intoNetConn is of [stream].
func (t *secureStream) intoNetConn() (net.Conn, error) {
	return t.Conn, t.below.SetDeadline(time.Time{})
}
