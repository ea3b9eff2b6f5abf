package cluster

import (
	"encoding/binary"
	"net/netip"
	"time"

	"waggle/bittorrent"
)

// client is a peer of one torrent, who asks by multicast and waits for an answer.
type client struct {
	index    int
	sequence int64 // of its requests; also what it says that it downloaded
	request  Request
	waits    bool
	resent   time.Time
	first    time.Time
	left     int64
	unicast  bool // it asks one instance
	only     int  // which; -1: whichever it finds
}

// ack is that a peer was told that its request is committed, and by whom it is held.
type ack struct {
	request Request
	holders [][2]int // instance and life
}

// firstPort is the first peer's.
const firstPort = 7000

// Finished answers a peer.
func (i *instance) Finished(r *Request, err error) {
	if err != nil {
		return
	}
	w, c, sequence := i.w, i.w.clientOf(r), sequenceOf(r)
	a := ack{request: *r}
	w.note("%d: tells peer %d that request %d is done", i.index+1, c.index+1, sequence)
	for _, other := range w.nodes {
		if other.up && other.holds(r) {
			a.holders = append(a.holders, [2]int{other.index, other.life})
		}
	}
	if len(a.holders) == 0 {
		w.fail("peer %d is told by %d that request %d is done, which nobody has", c.index+1, i.index+1, sequence)
	}
	w.acks = append(w.acks, a)
	if w.chance("answer", c.index, int(sequence), i.index).Float64() < w.loss {
		return
	}
	if c.waits && sequence == c.sequence {
		c.waits = false
	}
}

// holds reports whether an instance has a request, or a later one of the same peer.
func (i *instance) holds(r *Request) bool {
	row, _, _ := peerOf(r)
	have := i.node.table.get(row.cursor())
	return have != nil && !have.Bare && have.Downloaded >= row.Downloaded
}

func (w *world) clientOf(r *Request) *client { return w.peers[int(r.Source.Port())-firstPort] }

// sequenceOf is a request's number among those of its peer.
func sequenceOf(r *Request) int64 { return int64(binary.BigEndian.Uint64(r.Packet[56:])) }

// peer returns one of the peers, and has those come that have not.
func (w *world) peer(index int) *client {
	for len(w.peers) <= index {
		w.peers = append(w.peers, &client{index: len(w.peers), left: 1000, only: -1})
	}
	return w.peers[index]
}

// ask has a peer announce, and again every fifteen seconds until it is answered.
func (w *world) ask(c *client, e bittorrent.Event) {
	if c.waits && w.now.Sub(c.resent) < time.Second { // its last request may still be on its way
		w.at(time.Second, func() { w.ask(c, e) })
		return
	}
	c.sequence++
	if e == bittorrent.EventCompleted {
		c.left = 0
	}
	a := bittorrent.AnnounceRequest{
		InfoHash: bittorrent.InfoHash{byte(c.index % 3), byte(c.index)}, PeerID: bittorrent.PeerID{byte(c.index + 1)}, Left: c.left,
		Downloaded: c.sequence, Event: e, Port: uint16(firstPort + c.index), NumWant: -1,
	}
	c.request.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(c.index)}), a.Port)
	copy(c.request.Packet[:], bittorrent.AppendUDPAnnounce(nil, uint64(c.index)<<32|77, uint32(c.sequence), &a, ""))
	c.waits, c.first = true, w.now
	w.shout(c, c.sequence)
}

// shout sends a peer's request to all.
func (w *world) shout(c *client, sequence int64) {
	if !c.waits || c.sequence != sequence || w.now.Sub(c.first) >= 75*time.Second {
		return
	}
	r := c.request
	c.resent = w.now
	w.note("peer %d asks %d", c.index+1, sequence)
	rng := w.chance("peer", c.index, int(sequence), int(w.now.Sub(c.first)/time.Second))
	alone := rng.IntN(len(w.nodes))
	if c.only >= 0 {
		alone = c.only
	}
	for _, i := range w.nodes {
		if rng.Float64() < w.loss || !i.up || c.unicast && i.index != alone || w.loses("announce", c.index, i.index) {
			continue
		}
		life := i.life
		w.at(time.Duration(rng.Int64N(int64(w.delay))), func() {
			switch {
			case !i.up || i.life != life:
			case c.unicast:
				i.act(func() { i.node.Propose(i.time(), &r) })
			default:
				i.act(func() { i.node.Heard(i.time(), &r) })
			}
		})
	}
	w.at(15*time.Second, func() { w.shout(c, sequence) })
}
