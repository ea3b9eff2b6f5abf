//go:build !linux || portable

package websocket

import "net"

// poller is nothing: each connection has a goroutine.
type poller struct{}

func newPoller(*Server) (*poller, error) { return nil, nil }

func (*poller) take(*conn, *net.TCPConn) bool { return false }

func (*poller) close() error { return nil }
