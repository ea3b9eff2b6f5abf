package core

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// puppet is the other end of a link, which says what a test wants; and the host of
// the node that it is linked with.
type puppet struct {
	t       testing.TB
	now     time.Time
	node    *Node
	link    LinkID
	seq     uint32
	sent    [][]byte // by the node
	closed  []Reason
	events  []Event
	store   map[netip.AddrPort]swarm.Peer
	removed int
	counted map[bittorrent.InfoHash]uint32
	files   []FileMessage
}

func newPuppet(t testing.TB, o Options) *puppet {
	p := &puppet{
		t: t, now: time.Unix(1_800_000_000, 0),
		store: map[netip.AddrPort]swarm.Peer{}, counted: map[bittorrent.InfoHash]uint32{},
	}
	o.Origin = 1 << 40
	if o.Lifetime == 0 {
		o.Lifetime = time.Hour
	}
	p.node = New(p.now, o, p)
	return p
}

func (p *puppet) Send(_ LinkID, b []byte)                        { p.sent = append(p.sent, b) }
func (p *puppet) Close(_ LinkID, why Reason)                     { p.closed = append(p.closed, why) }
func (p *puppet) Put(_ bittorrent.InfoHash, peer *swarm.Peer)    { p.store[peer.Addr] = *peer }
func (p *puppet) Remove(_ bittorrent.InfoHash, a netip.AddrPort) { delete(p.store, a); p.removed++ }
func (p *puppet) Completed(h bittorrent.InfoHash, total uint32)  { p.counted[h] = total }
func (p *puppet) Happened(e Event)                               { p.events = append(p.events, e) }
func (p *puppet) File(_ LinkID, f FileMessage)                   { p.files = append(p.files, f) }

// greet opens the link and says hello.
func (p *puppet) greet(o LinkOptions, h hello) {
	if o.Name == "" {
		o.Name = "puppet"
	}
	p.link, p.seq = p.node.Open(p.now, o), 0
	if h.origin == 0 {
		h.origin = 77
	}
	if h.clock == 0 {
		h.clock = p.now.UnixMilli()
	}
	if h.name == "" {
		h.name = "the puppet"
	}
	p.node.Receive(p.now, p.link, h.message())
}

func (p *puppet) greetAll(o LinkOptions) {
	o.Receive, o.Send = true, true
	p.greet(o, hello{wants: modeAll, offers: modeAll})
}

// say sends a message with the next sequence number.
func (p *puppet) say(k kind, body []byte) {
	p.seq++
	b := begin(k, len(body))
	binary.BigEndian.PutUint32(b[1:], p.seq)
	p.node.Receive(p.now, p.link, append(b, body...))
}

// change says changes of a torrent.
func (p *puppet) change(h bittorrent.InfoHash, changes ...change) {
	base := p.now.UnixMilli()
	b := binary.AppendUvarint(nil, uint64(base))
	b = binary.AppendUvarint(append(b, h[:]...), uint64(len(changes)))
	var o origins
	o.reset()
	for i := range changes {
		b = changes[i].append(b, base, &o)
	}
	p.say(kindBatch, b)
}

// pass lets time pass; the puppet stays audible, and acknowledges.
func (p *puppet) pass(d time.Duration) {
	for ; d > 0; d -= 100 * time.Millisecond {
		p.now = p.now.Add(100 * time.Millisecond)
		p.node.Tick(p.now)
		if s := p.node.session(p.link); s != nil && s.up {
			p.say(kindAck, binary.BigEndian.AppendUint32(nil, s.seq))
		}
	}
}

// wait lets time pass in silence.
func (p *puppet) wait(d time.Duration) {
	for ; d > 0; d -= 100 * time.Millisecond {
		p.now = p.now.Add(100 * time.Millisecond)
		p.node.Tick(p.now)
	}
}

// said returns the node's messages of a kind since the last call, without type and
// sequence number, and forgets all.
func (p *puppet) said(k kind) (found [][]byte) {
	for _, b := range p.sent {
		if kind(b[0]) == k && k != kindHello && k != kindBye {
			found = append(found, b[5:])
		} else if kind(b[0]) == k {
			found = append(found, b[1:])
		}
	}
	p.sent = nil
	return found
}

// changes returns the changes that the node has said since the last call.
func (p *puppet) changes() (found []change) {
	for _, body := range p.said(kindBatch) {
		r := reader{b: body}
		base := int64(r.uvarint())
		var o origins
		o.reset()
		for len(r.b) > 0 {
			r.hash()
			for count := r.uvarint(); count > 0; count-- {
				var c change
				c.read(&r, base, &o)
				found = append(found, c)
			}
		}
		if err := r.end(); err != nil {
			p.t.Fatal(err)
		}
	}
	return found
}

// shut returns why the node closed the link, and fails if it did not.
func (p *puppet) shut(code Code, words string) {
	p.t.Helper()
	if len(p.closed) == 0 {
		p.t.Fatalf("the link was not closed, want: %v", code)
	}
	if why := p.closed[len(p.closed)-1]; why.Code != code || !strings.Contains(why.Words, words) {
		p.t.Fatalf("closed because %+v, want %v, words with %q", why, code, words)
	}
}

var someHash = bittorrent.InfoHash{5, 6, 7}

func addrOf(i int) [16]byte {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).As16()
}

// putOf is a change that brings a peer.
func (p *puppet) putOf(i int) change {
	return change{
		what: whatPut, kind: swarm.Leecher, addr: addrOf(i), port: 6881, origin: 77,
		stamp: stampOf(p.now.UnixMilli()), id: bittorrent.PeerID{1, byte(i)}, key: uint32(i), left: 1000,
	}
}

func (p *puppet) goneOf(i int) change {
	return change{what: whatGone, addr: addrOf(i), port: 6881, origin: 77, stamp: stampOf(p.now.UnixMilli())}
}

// countOf says that so many origins have each counted a download.
func (p *puppet) countOf(origins int) {
	for i := range origins {
		o := Origin(1000 + i)
		p.change(someHash, change{what: whatCount, origin: o, stamp: 1, addr: counterAddr(o)})
	}
}

// local lets a peer announce at the node.
func (p *puppet) local(i int, kind swarm.ChangeKind) {
	addr := netip.AddrPortFrom(netip.AddrFrom16(addrOf(i)).Unmap(), 6881)
	p.node.Local(p.now, &swarm.Change{Kind: kind, InfoHash: someHash, Peer: swarm.Peer{
		Addr: addr, ID: bittorrent.PeerID{2, byte(i)}, Key: uint32(i), Kind: swarm.Leecher, Left: 500, Last: p.now,
	}})
}
