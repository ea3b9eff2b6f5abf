package datagram

import (
	"net/netip"
	"time"
)

// Batch is how many packets one call takes at most.
const Batch = 64

// maxPacket is the length in bytes of the longest packet that is received whole: an
// answer of a tracker is at most 1,232. An odd number of cache lines keeps the
// buffers of a batch out of each other's way.
const maxPacket = 21 * 64

// Sockets are connected UDP sockets. They belong to one goroutine.
type Sockets interface {
	// Send sends packets through a socket. Where nobody listens, or a buffer is full,
	// packets are lost without an error, as they are on a network.
	Send(socket int, packets *Packets) error

	// Receive takes in up to Batch packets that have arrived at a socket, and returns
	// how many, 0 where there are none. The error is syscall.ECONNREFUSED, wrapped,
	// where the other side has said that nobody listens; receiving may go on.
	Receive(socket int) (int, error)

	// Packet returns packet n of those that were received last.
	Packet(n int) []byte

	// Wait waits until a packet arrives at any socket, or for the timeout.
	Wait(timeout time.Duration) error

	Close() error
}

// Packets are packets to be sent, one behind the other. The zero value is empty.
type Packets struct {
	buf  []byte
	ends []int
}

// Begin returns the buffer that the next packet is to be appended to, for End.
func (p *Packets) Begin() []byte { return p.buf }

// End takes back the buffer with a packet appended.
func (p *Packets) End(buf []byte) {
	p.buf = buf
	p.ends = append(p.ends, len(buf))
}

// Len returns the number of packets.
func (p *Packets) Len() int { return len(p.ends) }

// Reset empties and keeps the memory.
func (p *Packets) Reset() { p.buf, p.ends = p.buf[:0], p.ends[:0] }

// span returns where a packet begins and ends.
func (p *Packets) span(n int) (from, to int) {
	if n > 0 {
		from = p.ends[n-1]
	}
	return from, p.ends[n]
}

// run returns the packet after those from n on that are of the same length, of at
// most limit.
func (p *Packets) run(n, limit int) (next int) {
	from, to := p.span(n)
	for next = n + 1; next < len(p.ends) && next-n < limit && p.ends[next]-p.ends[next-1] == to-from; next++ {
	}
	return next
}

// Dial opens a socket for each local address, connected to the remote one. An
// invalid address, the zero value, leaves the choice to the system.
func Dial(locals []netip.Addr, remote netip.AddrPort) (Sockets, error) { return dial(locals, remote) }
