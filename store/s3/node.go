package s3

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/dchest/siphash"

	"waggle/bittorrent"
	"waggle/swarm"
)

// node is what an object of a swarm holds: peers, or, where it was split, the names of
// the objects that have them. It is never changed, but cloned.
type node struct {
	// branches are the objects that the peers lie in, by the next [fanBits] bits of the
	// hash of their addresses. nil: they lie here.
	branches []string
	split    int64 // when it was, Unix seconds

	// hold is until when whoever reads this should not write, Unix milliseconds: somebody is
	// splitting it, which fails if others write. Nothing else depends on it.
	hold int64

	closed    bool // its peers are being brought back to the object above: nobody writes here
	located   bool // it has, or had, a located peer
	completed uint32
	peers     [groups][]peer // each in the order of addresses; no address is in two
}

// A group is the peers of a kind and family: twice the kind, and 1 for IPv6.
const groups = 6

func groupOf(k swarm.Kind, at *place) int { return 2*int(k) + at.family() }

// place is where a peer is reached: 16 bytes of address and the port. IPv4 is in IPv6
// clothes.
type place [18]byte

func placeOf(addr netip.AddrPort) (p place) {
	ip := addr.Addr().As16()
	copy(p[:], ip[:])
	binary.BigEndian.PutUint16(p[16:], addr.Port())
	return p
}

func (p *place) addr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(p[:16])).Unmap(), binary.BigEndian.Uint16(p[16:]))
}

var clothes = []byte{10: 0xff, 11: 0xff}

// family is 0 for IPv4 and 1 for IPv6.
func (p *place) family() int {
	if bytes.Equal(p[:12], clothes) {
		return 0
	}
	return 1
}

func (p *place) compare(q *place) int { return bytes.Compare(p[:], q[:]) }

// hash spreads places over the parts of a swarm. Its highest bits choose first.
func (p *place) hash(h *bittorrent.InfoHash) uint64 {
	return siphash.Hash(binary.LittleEndian.Uint64(h[:]), binary.LittleEndian.Uint64(h[8:]), p[:])
}

// peer is what is kept of a peer, but for its kind.
type peer struct {
	at                         place
	id                         bittorrent.PeerID
	key                        uint32
	uploaded, downloaded, left int64
	first, last                int64 // Unix seconds
}

func peerOf(p *swarm.Peer) peer {
	return peer{
		at: placeOf(p.Addr), id: p.ID, key: p.Key, uploaded: p.Uploaded, downloaded: p.Downloaded, left: p.Left,
		first: seconds(p.First), last: seconds(p.Last),
	}
}

func (p *peer) public(k swarm.Kind) swarm.Peer {
	return swarm.Peer{
		ID: p.id, Addr: p.at.addr(), Key: p.key, Kind: k, Uploaded: p.uploaded, Downloaded: p.downloaded, Left: p.left,
		First: time.Unix(p.first, 0), Last: time.Unix(p.last, 0),
	}
}

func (n *node) clone() *node {
	c := *n
	for g := range c.peers {
		c.peers[g] = slices.Clone(n.peers[g])
	}
	return &c
}

func (n *node) len() (all int) {
	for g := range n.peers {
		all += len(n.peers[g])
	}
	return all
}

// blank reports whether nothing would be lost with the object.
func (n *node) blank() bool { return n.branches == nil && n.completed == 0 && n.len() == 0 }

// weight is about how many bytes it takes in memory.
func (n *node) weight() int {
	const one, base, name = 112, 512, 40
	return base + one*n.len() + name*len(n.branches)
}

// find returns where a peer is, or would be in a group.
func (n *node) find(at *place) (group, index int, known bool) {
	for k := swarm.Seeder; k <= swarm.Leecher; k++ {
		group = groupOf(k, at)
		if index, known = slices.BinarySearchFunc(n.peers[group], at, func(p peer, at *place) int { return p.at.compare(at) }); known {
			return group, index, true
		}
	}
	return 0, 0, false
}

// put puts a peer in, in place of the one at the same address.
func (n *node) put(p *peer, k swarm.Kind) {
	group := groupOf(k, &p.at)
	if was, i, known := n.find(&p.at); known && was == group {
		n.peers[group][i] = *p
		return
	} else if known {
		n.peers[was] = slices.Delete(n.peers[was], i, i+1)
	}
	i, _ := slices.BinarySearchFunc(n.peers[group], p, func(q peer, p *peer) int { return q.at.compare(&p.at) })
	n.peers[group] = slices.Insert(n.peers[group], i, *p)
}

// remove takes a peer out, and reports whether it was there.
func (n *node) remove(at *place) bool {
	group, i, known := n.find(at)
	if known {
		n.peers[group] = slices.Delete(n.peers[group], i, i+1)
	}
	return known
}

// purge takes out the peers that were seen last before a time.
func (n *node) purge(before int64) (gone []netip.AddrPort) {
	for g := range n.peers {
		n.peers[g] = slices.DeleteFunc(n.peers[g], func(p peer) bool {
			if p.last < before {
				gone = append(gone, p.at.addr())
				return true
			}
			return false
		})
	}
	return gone
}

// Where a swarm is split: one object into 8, at most so many times in a row, which is
// for more peers than there are addresses.
const (
	fanBits  = 3
	fan      = 1 << fanBits
	maxDepth = 10
)

// branch is which of the objects below one of a depth a hash belongs to.
func branch(hash uint64, depth int) int { return int(hash >> (64 - fanBits*(depth+1)) & (fan - 1)) }

// divide returns what the objects below one of a depth hold.
func (n *node) divide(h *bittorrent.InfoHash, depth int) (parts [fan]*node) {
	for i := range parts {
		parts[i] = &node{located: n.located}
	}
	parts[0].completed = n.completed
	for g := range n.peers {
		for i := range n.peers[g] {
			p := &n.peers[g][i]
			part := parts[branch(p.at.hash(h), depth)]
			part.peers[g] = append(part.peers[g], *p)
		}
	}
	return parts
}

// merged returns what the object above some holds when they are put together.
func merged(parts []*node) *node {
	all := &node{}
	for _, part := range parts {
		all.located = all.located || part.located
		all.completed += part.completed
		for g := range part.peers {
			all.peers[g] = append(all.peers[g], part.peers[g]...)
		}
	}
	for g := range all.peers {
		slices.SortFunc(all.peers[g], func(a, b peer) int { return a.at.compare(&b.at) })
	}
	return all
}

// sum is what is remembered of a node when its peers are forgotten.
type sum struct {
	counts    [groups]uint32
	completed uint32
	located   bool
	closed    bool
	oldest    int64 // when the peer that was silent longest was seen last; of no peers: 0
	branches  []string
	split     int64
}

func (n *node) sum() (s sum) {
	s = sum{completed: n.completed, located: n.located, closed: n.closed, branches: n.branches, split: n.split}
	oldest := maxTime
	for g := range n.peers {
		s.counts[g] = uint32(len(n.peers[g]))
		for i := range n.peers[g] {
			oldest = min(oldest, n.peers[g][i].last)
		}
	}
	if s.peers() > 0 {
		s.oldest = oldest
	}
	return s
}

// add adds up what parts of a swarm have. The oldest is each part's own.
func (s *sum) add(part *sum) {
	for g := range s.counts {
		s.counts[g] += part.counts[g]
	}
	s.completed += part.completed
	s.located = s.located || part.located
}

func (s *sum) kind(k swarm.Kind) uint32 { return s.counts[2*k] + s.counts[2*k+1] }

func (s *sum) peers() uint32 {
	return s.kind(swarm.Seeder) + s.kind(swarm.PartialSeed) + s.kind(swarm.Leecher)
}

// known reports whether there is such a torrent.
func (s *sum) known() bool { return s.completed > 0 || s.peers() > 0 }

func (s *sum) scrape() bittorrent.ScrapeCounts {
	return bittorrent.ScrapeCounts{
		Complete: s.kind(swarm.Seeder), Incomplete: s.kind(swarm.PartialSeed) + s.kind(swarm.Leecher),
		Downloaders: s.kind(swarm.Leecher), Downloaded: s.completed,
	}
}
