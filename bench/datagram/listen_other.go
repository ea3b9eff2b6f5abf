//go:build !linux

package datagram

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// Listener is a server's socket. It belongs to one goroutine.
type Listener struct {
	conn   *net.UDPConn
	buf    [maxPacket]byte
	packet []byte
	from   netip.AddrPort
	answer []byte
	wait   time.Duration
}

// Listen opens a socket at an address. Port 0 leaves the choice to the system.
func Listen(addr netip.AddrPort) (*Listener, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("udp %v cannot be listened on: %w", addr, err)
	}
	return &Listener{conn: conn}, nil
}

// Addr returns the address, with the port that the system chose.
func (l *Listener) Addr() netip.AddrPort { return l.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Receive takes in a packet and returns 1, or 0 where none came within the last
// Wait's time.
func (l *Listener) Receive() (int, error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(l.wait)); err != nil {
		return 0, fmt.Errorf("udp receive: %w", err)
	}
	n, from, err := l.conn.ReadFromUDPAddrPort(l.buf[:])
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("udp receive: %w", err)
	}
	l.packet, l.from = l.buf[:n], from
	return 1, nil
}

// Packet returns the packet that was received last.
func (l *Listener) Packet(int) []byte { return l.packet }

// Reply says what the sender of the packet is answered with, until the next Flush.
func (l *Listener) Reply(_ int, answer []byte) { l.answer = answer }

// Flush sends the reply. One that cannot be sent is lost.
func (l *Listener) Flush() error {
	if l.answer != nil {
		_, _ = l.conn.WriteToUDPAddrPort(l.answer, l.from)
	}
	l.answer = nil
	return nil
}

// Wait lets the next Receive wait for a packet, for the timeout at most.
func (l *Listener) Wait(timeout time.Duration) error {
	l.wait = timeout
	return nil
}

// Close closes the socket.
func (l *Listener) Close() error { return l.conn.Close() }
