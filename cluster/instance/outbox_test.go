package instance

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"waggle/cluster"
	"waggle/cluster/carrier"
)

// postman keeps what is sent.
type postman struct {
	carrier.Carrier
	sent map[netip.AddrPort][][][]byte // packets of messages
}

func (p *postman) Broadcast(messages ...[]byte) { p.Send(netip.AddrPort{}, messages...) }

func (p *postman) Send(to netip.AddrPort, messages ...[]byte) {
	packet := make([][]byte, 0, len(messages))
	for _, b := range messages {
		packet = append(packet, bytes.Clone(b))
	}
	p.sent[to] = append(p.sent[to], packet)
}

func TestMessagesGoInFewPacketsInTheirOrderAndThoseThatBelongTogetherStayTogether(t *testing.T) {
	p := &postman{sent: map[netip.AddrPort][][][]byte{}}
	o := outbox{carrier: p, packets: map[netip.AddrPort]*packet{}}
	rng := rand.New(rand.NewPCG(1, 2))
	addresses := []netip.AddrPort{{}, netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:1")}
	total, buffer := 0, make([]byte, cluster.MaxMessage)
	for n := range uint32(3000) {
		group := make([][]byte, 1+rng.IntN(3))
		for i := range group { // in one buffer, which is used again at once
			b := buffer[i*450 : i*450+9+rng.IntN(440)]
			binary.BigEndian.PutUint32(b, n)
			b[4], b[5] = byte(i), byte(len(group))
			group[i] = b
		}
		o.put(addresses[rng.IntN(3)], group)
		total += len(group)
		if rng.IntN(50) == 0 {
			o.flush()
			for _, packet := range o.packets {
				if len(packet.messages) > 0 {
					t.Fatal("a flush leaves messages behind")
				}
			}
		}
	}
	o.flush()
	packets := 0
	for to, list := range p.sent {
		last := int64(-1)
		for _, packet := range list {
			packets++
			size, missing := 0, 0
			for _, b := range packet {
				size += overhead + len(b)
				n, i := int64(binary.BigEndian.Uint32(b)), int(b[4])
				switch {
				case i == 0 && missing == 0 && n > last:
					missing = int(b[5]) - 1
				case i > 0 && n == last && missing == int(b[5])-i:
					missing--
				default:
					t.Errorf("to %s: message %d of %d comes after %d", to, i, n, last)
				}
				last = n
				total--
			}
			if size > cluster.MaxMessage || missing > 0 {
				t.Errorf("a packet of %d bytes, in which %d are missing", size, missing)
			}
		}
	}
	if total != 0 || packets > 1700 {
		t.Errorf("%d messages are missing; %d packets", total, packets)
	}
}
