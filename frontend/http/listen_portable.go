//go:build !linux || portable

package http

import "net"

// listener gives each connection a goroutine.
type listener struct{ *net.TCPListener }

// newListener takes over l.
func newListener(l *net.TCPListener) (*listener, error) { return &listener{l}, nil }

// accept starts to serve what connects, until Close.
func (l *listener) accept(s *Server, places *slots) {
	s.serving.Go(func() {
		for places.take(s.closing) {
			tcp, err := l.AcceptTCP()
			places.accepted()
			if err == nil {
				s.retries.accepted()
				s.figures.connections.Add(1)
				s.begin(newConn(s, tcp, places))
				continue
			}
			places.free()
			if !s.retry(err) {
				return
			}
		}
	})
}
