//go:build !linux

package udp

import (
	"context"
	"net"
)

const controlLen = 0

// prepare does not ask for the destination of packets: on this system a socket
// that listens on one address answers from it, and a wildcard one from the
// address that the route back has.
func prepare(conn *net.UDPConn) error {
	_ = conn.SetReadBuffer(receiveBuffer) // a wish: the system has its own maximum
	return nil
}

func replyControl([]byte) []byte { return nil }

// openSockets leaves it at one socket for all workers.
func openSockets(_ context.Context, conn *net.UDPConn, _ *Options) ([]socket, error) {
	return []socket{&portableSocket{conn}}, nil
}
