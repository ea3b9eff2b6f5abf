package carrier

import (
	"errors"
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
	Failed   uint64         // could not be sent
	Received uint64         // but its own to all
	Lost     uint64         // no room in the queue
	Fault    string         // why the last one that failed did; "": none did
	Stranger netip.AddrPort // where the last one came from that was forged or malformed
}

// post is what both carriers have in common: it seals what goes out, and opens what comes in.
type post struct {
	queue *queue[Packet]
	now   func() time.Time
	write func(to netip.AddrPort, datagram []byte) error // zero: to all; the datagram is good during the call
	loops bool                                           // what goes to all comes back, too

	sending sync.Mutex // what is sealed first goes out first; held while the network has no room

	mu      sync.Mutex // of what follows; nobody waits for the network under it
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
	p.sending.Lock()
	defer p.sending.Unlock()
	for _, datagram := range p.sealed(to, messages) {
		p.send(to, datagram)
	}
}

func (p *post) sealed(to netip.AddrPort, messages [][]byte) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	datagrams := p.seal.Seal(to, messages...)
	p.figures.Sent += uint64(len(datagrams))
	return datagrams
}

// send sends what was counted as sent.
func (p *post) send(to netip.AddrPort, datagram []byte) {
	if err := p.write(to, datagram); err != nil {
		p.failed(err)
	}
}

// failed counts a datagram as one that failed after all.
func (p *post) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.figures.Sent--
	p.figures.Failed++
	p.figures.Fault = err.Error()
}

// arrived takes in a datagram, which is the caller's again afterwards.
func (p *post) arrived(from netip.AddrPort, toAll bool, datagram []byte) {
	from = bare(from)
	if from == p.Address() {
		if !toAll || !p.loops {
			p.count(from, errStrange)
		}
		return
	}
	messages, reply := p.open(from, toAll, datagram)
	if reply != nil {
		p.send(from, reply)
	}
	if len(messages) > 0 {
		p.queue.put(Packet{From: from, Messages: messages})
	}
}

// open returns the messages of a datagram, and what is to be sent back for it.
func (p *post) open(from netip.AddrPort, toAll bool, datagram []byte) (messages [][]byte, reply []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	messages, reply, err := p.seal.Open(p.now(), from, toAll, datagram)
	p.received(from, err)
	if reply != nil {
		p.figures.Sent++
		reply = append([]byte(nil), reply...)
	}
	return messages, reply
}

// count counts what came and was not opened.
func (p *post) count(from netip.AddrPort, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seal.count(err)
	p.received(from, err)
}

// received counts a datagram, and remembers who may have another secret.
func (p *post) received(from netip.AddrPort, err error) {
	p.figures.Received++
	if errors.Is(err, errForged) || errors.Is(err, errMalformed) {
		p.figures.Stranger = from
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
