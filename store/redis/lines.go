package redis

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// lines are the connections to servers. The client makes new ones as it needs them.
type lines struct {
	mu     sync.Mutex
	guards map[*guard]struct{}
}

// dial connects, and guards the connection.
func (l *lines) dial(ctx context.Context, address string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	var conn net.Conn
	var err error
	if config != nil {
		conn, err = (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", address)
	} else {
		conn, err = dialer.DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return nil, err
	}
	g := &guard{Conn: conn, lines: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.guards[g] = struct{}{}
	return g, nil
}

// Close ends the connection.
func (g *guard) Close() error {
	g.lines.mu.Lock()
	delete(g.lines.guards, g)
	g.lines.mu.Unlock()
	return g.Conn.Close()
}

// hangUp ends all connections.
func (l *lines) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for g := range l.guards {
		_ = g.Conn.Close()
	}
	clear(l.guards)
}
