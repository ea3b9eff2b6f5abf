package carrier

import (
	"net/netip"
	"sync"
	"time"
)

// Carrier takes messages to other instances and brings theirs. Its methods are safe for use by
// many goroutines. Messages may be lost, doubled where there is no secret, or overtaken; those
// of one call go together if they fit.
type Carrier interface {
	// Address is how the others know this instance. It never changes.
	Address() netip.AddrPort

	// Send sends messages to an instance, Broadcast to all others. Messages are good to be
	// changed afterwards. What cannot be sent is counted.
	Send(to netip.AddrPort, messages ...[]byte)
	Broadcast(messages ...[]byte)

	// Receive returns the queue of what came, of at most [QueueLength] packets; it is the same
	// at each call. What finds no room in it is lost and counted. Close closes it.
	Receive() <-chan Packet

	Figures() Figures

	// Close ends all that goes on, and waits for it. A second call does nothing.
	Close() error
}

// QueueLength is how many packets wait for who receives them, at most.
const QueueLength = 4096

// Packet is the messages of a datagram, at least one. They belong to the receiver.
type Packet struct {
	From     netip.AddrPort
	Messages [][]byte
}

// Figures count the datagrams of a carrier.
type Figures struct {
	Seals
	Sent     uint64
	Failed   uint64 // could not be sent
	Received uint64 // but its own
	Lost     uint64 // no room in the queue
	Fault    string // why the last one that failed did; "": none did
}

// post is what both carriers have in common: it seals what goes out, and opens what comes in.
type post struct {
	queue *queue[Packet]
	now   func() time.Time
	write func(to netip.AddrPort, datagram []byte) error // zero: to all; the datagram is good during the call

	mu      sync.Mutex // of what follows
	seal    *Seal
	figures Figures
}

func newPost(seal *Seal, now func() time.Time) *post {
	if now == nil {
		now = time.Now
	}
	return &post{queue: newQueue[Packet](), now: now, seal: seal}
}

// Address is how the others know this instance.
func (p *post) Address() netip.AddrPort { return p.seal.o.Address }

// Receive returns the queue of what came.
func (p *post) Receive() <-chan Packet { return p.queue.c }

// Broadcast sends messages to all others.
func (p *post) Broadcast(messages ...[]byte) { p.Send(netip.AddrPort{}, messages...) }

// Send sends messages to an instance.
func (p *post) Send(to netip.AddrPort, messages ...[]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, datagram := range p.seal.Seal(to, messages...) {
		p.send(to, datagram)
	}
}

func (p *post) send(to netip.AddrPort, datagram []byte) {
	if err := p.write(to, datagram); err != nil {
		p.figures.Failed++
		p.figures.Fault = err.Error()
		return
	}
	p.figures.Sent++
}

// arrived takes in a datagram, which it keeps. Those of this instance itself it drops.
func (p *post) arrived(from netip.AddrPort, toAll bool, datagram []byte) {
	if bare(from) == p.Address() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.figures.Received++
	messages, reply, err := p.seal.Open(p.now(), from, toAll, datagram)
	if reply != nil {
		p.send(from, reply)
	}
	if err == nil && len(messages) > 0 {
		p.queue.put(Packet{From: bare(from), Messages: messages})
	}
}

// Figures returns what was counted so far.
func (p *post) Figures() Figures {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.figures
	f.Seals, f.Lost = p.seal.Figures(), p.queue.overflow()
	return f
}

// queue is bounded: what finds no room is lost and counted.
type queue[T any] struct {
	c chan T

	mu     sync.Mutex
	closed bool
	lost   uint64
}

func newQueue[T any]() *queue[T] { return &queue[T]{c: make(chan T, QueueLength)} }

func (q *queue[T]) put(v T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	select {
	case q.c <- v:
	default:
		q.lost++
	}
}

func (q *queue[T]) overflow() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

func (q *queue[T]) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.c)
	}
}

// bare returns an address as all instances see it: one of IPv6 without its zone, which
// is another on each machine, and one of IPv4 as such.
func bare(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
