package http

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// handover is a listener without a socket: it accepts the connections that it is
// given.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newHandover() *handover {
	h := &handover{conns: make(chan net.Conn), closed: make(chan struct{})}
	h.close = sync.OnceFunc(func() { close(h.closed) })
	return h
}

// give waits until the connection is accepted, and closes it if it never will be.
func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		_ = c.Close()
	}
}

// Accept is of [net.Listener].
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close is of [net.Listener].
func (h *handover) Close() error {
	h.close()
	return nil
}

// Addr is of [net.Listener]. There is no address.
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }

// handed is a connection of which something has been read already. It is an
// embedded interface, so that nothing of a TCP connection that reads in other
// ways passes by what was read.
type handed struct {
	net.Conn
	client  netip.AddrPort // that a proxy named; invalid: none did
	read    []byte         // before Conn
	release func()         // called once, at the first Close
}

// RemoteAddr is of [net.Conn].
func (h *handed) RemoteAddr() net.Addr {
	if h.client.IsValid() {
		return net.TCPAddrFromAddrPort(h.client)
	}
	return h.Conn.RemoteAddr()
}

// Read is of [net.Conn].
func (h *handed) Read(p []byte) (int, error) {
	if len(h.read) == 0 {
		return h.Conn.Read(p)
	}
	n := copy(p, h.read)
	if h.read = h.read[n:]; len(h.read) == 0 {
		h.read = nil
	}
	return n, nil
}

// CloseWrite ends what is sent and not what is received. net/http looks for it.
func (h *handed) CloseWrite() error { return h.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// Detach is for those who speak another protocol from now on: it gives the place back that
// the connection has among those of HTTP, and returns what is under it, with what was read
// of that and is not taken.
func (h *handed) Detach() (under net.Conn, read []byte) {
	h.release()
	read, h.read = h.read, nil
	return h.Conn, read
}

// Close is of [net.Conn].
func (h *handed) Close() error {
	h.release()
	return h.Conn.Close()
}

// handedSecure is one over TLS.
type handedSecure struct {
	*handed
	secure *tls.Conn
}

// ConnectionState says that requests came over TLS. net/http looks for it.
func (h *handedSecure) ConnectionState() tls.ConnectionState { return h.secure.ConnectionState() }

// serveGeneral has net/http serve what is handed over.
func (s *Server) serveGeneral() {
	if err := s.general.Serve(s.handover); !errors.Is(err, http.ErrServerClosed) {
		s.options.Log.Error("http answers nothing but announces and scrapes: restart waggle", "error", err)
	}
}
