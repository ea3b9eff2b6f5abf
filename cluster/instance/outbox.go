package instance

import (
	"net/netip"

	"waggle/cluster"
	"waggle/cluster/carrier"
)

// outbox gathers what goes to other instances, so that it goes in few packets.
type outbox struct {
	carrier carrier.Carrier
	packets map[netip.AddrPort]*packet // the zero address is all
	order   []netip.AddrPort           // of those that have messages
}

// packet is messages that go together.
type packet struct {
	messages [][]byte // slices of bytes, in which they lie one behind the other
	bytes    []byte
	size     int
}

const (
	// overhead is what a message takes beside itself where there are several.
	overhead = 2

	// mostPackets is how many instances packets are kept ready for.
	mostPackets = 512
)

// put adds messages that belong together to what goes to an instance.
func (o *outbox) put(to netip.AddrPort, messages [][]byte) {
	size := 0
	for _, b := range messages {
		size += len(b) + overhead
	}
	p := o.packets[to]
	if p == nil {
		p = &packet{}
		o.packets[to] = p
	}
	if p.size+size > cluster.MaxMessage && p.size > 0 {
		o.send(to, p)
	} else if p.size == 0 {
		o.order = append(o.order, to)
	}
	for _, b := range messages {
		at := len(p.bytes)
		p.bytes = append(p.bytes, b...) // where they move, those before stay where they were
		p.messages = append(p.messages, p.bytes[at:len(p.bytes):len(p.bytes)])
	}
	p.size += size
}

func (o *outbox) send(to netip.AddrPort, p *packet) {
	if to.IsValid() {
		o.carrier.Send(to, p.messages...)
	} else {
		o.carrier.Broadcast(p.messages...)
	}
	p.messages, p.bytes, p.size = p.messages[:0], p.bytes[:0], 0
}

// flush sends all that waits.
func (o *outbox) flush() {
	for _, to := range o.order {
		if p := o.packets[to]; p.size > 0 {
			o.send(to, p)
		}
	}
	o.order = o.order[:0]
	if len(o.packets) > mostPackets {
		clear(o.packets)
	}
}
