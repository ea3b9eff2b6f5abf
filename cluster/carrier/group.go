package carrier

import (
	"bytes"
	"net/netip"
	"sync/atomic"
)

// Group hears the group that peers send their requests to, and answers them. It is safe for use
// by many goroutines.
type Group struct {
	sockets  *sockets
	queue    *queue[Datagram]
	received atomic.Uint64
	answered atomic.Uint64
	failed   atomic.Uint64
}

// Datagram is what a peer sent. It belongs to the receiver.
type Datagram struct {
	From    netip.AddrPort
	ToGroup bool // else to [Group.Address], which a peer knows from an answer
	Bytes   []byte
}

// GroupFigures count the datagrams of peers.
type GroupFigures struct {
	Received uint64
	Answered uint64
	Failed   uint64 // answers that could not be sent
	Lost     uint64 // no room in the queue
}

// JoinGroup joins a group. Errors say what to do.
func JoinGroup(o GroupOptions) (*Group, error) {
	s, err := join(o)
	if err != nil {
		return nil, err
	}
	g := &Group{sockets: s, queue: newQueue[Datagram]()}
	s.listen(func(from netip.AddrPort, toAll bool, datagram []byte) {
		g.received.Add(1)
		g.queue.put(Datagram{From: from, ToGroup: toAll, Bytes: bytes.Clone(datagram)})
	})
	return g, nil
}

// Address is where answers come from; what peers send there is received, too.
func (g *Group) Address() netip.AddrPort { return g.sockets.address }

// Receive returns the queue of what came, of at most [QueueLength] datagrams; it is the same at
// each call. Close closes it.
func (g *Group) Receive() <-chan Datagram { return g.queue.c }

// Answer sends a datagram to a peer. It waits while the network interface has no room.
func (g *Group) Answer(to netip.AddrPort, datagram []byte) error {
	if err := g.sockets.write(to, datagram); err != nil {
		g.failed.Add(1)
		return err
	}
	g.answered.Add(1)
	return nil
}

// Figures returns what was counted so far.
func (g *Group) Figures() GroupFigures {
	return GroupFigures{Received: g.received.Load(), Answered: g.answered.Load(), Failed: g.failed.Load(), Lost: g.queue.overflow()}
}

// Close leaves the group, and waits until nothing goes on. A second call does nothing.
func (g *Group) Close() error {
	err := g.sockets.close()
	g.queue.close()
	return err
}
