package memory

import (
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// record is a peer as it lies in memory, without pointers.
type record struct {
	address
	key        uint32
	first      uint32 // Unix seconds
	last       uint32 // Unix seconds
	uploaded   int64
	downloaded int64
	left       int64
	id         bittorrent.PeerID
}

// address is what a peer is known by within its torrent and family.
type address struct {
	ip   [16]byte // IPv4 in the last four bytes
	port uint16
}

func addressOf(addr netip.AddrPort) address {
	return address{ip: addr.Addr().As16(), port: addr.Port()}
}

func (a *address) addrPort(v6 bool) netip.AddrPort {
	if v6 {
		return netip.AddrPortFrom(netip.AddrFrom16(a.ip), a.port)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a.ip[12:])), a.port)
}

func unixSeconds(t time.Time) uint32 { return uint32(min(max(t.Unix(), 0), 1<<32-1)) }

// indexFrom is the number of peers from which on a family has an index: below
// it, looking at each is quicker than a map.
const indexFrom = 32

// peers are those of one family of a torrent: one array with the kinds in the
// order of [swarm.Kind], and ends, where each kind ends in it.
type peers struct {
	records []record
	ends    [3]int
	index   map[address]int32 // nil below indexFrom
}

// find returns where the peer lies, or -1.
func (p *peers) find(a address) int {
	if p.index != nil {
		if i, ok := p.index[a]; ok {
			return int(i)
		}
		return -1
	}
	for i := range p.records {
		if p.records[i].address == a {
			return i
		}
	}
	return -1
}

func (p *peers) kind(i int) swarm.Kind {
	switch {
	case i < p.ends[swarm.Seeder]:
		return swarm.Seeder
	case i < p.ends[swarm.PartialSeed]:
		return swarm.PartialSeed
	}
	return swarm.Leecher
}

// insert adds a peer at the end of its kind and returns where. The first of each
// later kind moves to that kind's end to make room.
func (p *peers) insert(r record, k swarm.Kind) int {
	p.records = append(p.records, record{})
	hole := len(p.records) - 1
	for s := swarm.Leecher; s > k; s-- {
		hole = p.move(p.ends[s-1], hole)
		p.ends[s]++
	}
	p.ends[k]++
	p.records[hole] = r
	p.noteAt(hole)
	return hole
}

// remove takes peer i out. The last of its kind and of each later one moves into
// the hole that the one before left.
func (p *peers) remove(i int) {
	if p.index != nil {
		delete(p.index, p.records[i].address)
	}
	hole := i
	for s := p.kind(i); s <= swarm.Leecher; s++ {
		p.ends[s]--
		hole = p.move(p.ends[s], hole)
	}
	p.records = p.records[:len(p.records)-1]
	p.shrink()
}

// move copies the peer at from into the hole, and returns the hole it leaves.
func (p *peers) move(from, hole int) int {
	if from != hole {
		p.records[hole] = p.records[from]
		if p.index != nil {
			p.index[p.records[hole].address] = int32(hole)
		}
	}
	return from
}

// noteAt puts a new peer into the index, which begins when it pays.
func (p *peers) noteAt(i int) {
	switch {
	case p.index != nil:
		p.index[p.records[i].address] = int32(i)
	case len(p.records) > indexFrom:
		p.index = make(map[address]int32, 2*indexFrom)
		for j := range p.records {
			p.index[p.records[j].address] = int32(j)
		}
	}
}

// shrink gives memory back when three quarters are unused.
func (p *peers) shrink() {
	if len(p.records) == 0 {
		*p = peers{}
		return
	}
	if p.index != nil && len(p.records) <= indexFrom/2 {
		p.index = nil
	}
	if cap(p.records) > indexFrom && len(p.records) < cap(p.records)/4 {
		p.records = append(make([]record, 0, cap(p.records)/2), p.records...)
	}
}

// torrent is one swarm.
type torrent struct {
	downloaded uint32   // completed downloads
	families   [2]peers // IPv4, IPv6
}

func familyIndex(f swarm.Families) int {
	if f == swarm.IPv6 {
		return 1
	}
	return 0
}

func (t *torrent) len() int { return len(t.families[0].records) + len(t.families[1].records) }

func (t *torrent) counts() bittorrent.ScrapeCounts {
	c := bittorrent.ScrapeCounts{Downloaded: t.downloaded}
	for i := range t.families {
		p := &t.families[i]
		c.Complete += uint32(p.ends[swarm.Seeder])
		c.Incomplete += uint32(len(p.records) - p.ends[swarm.Seeder])
		c.Downloaders += uint32(len(p.records) - p.ends[swarm.PartialSeed])
	}
	return c
}

// Len and At make a torrent a [swarm.View].
func (t *torrent) Len(g swarm.Group) int {
	p := &t.families[g&1]
	if g < swarm.Leechers4 {
		return p.ends[swarm.PartialSeed]
	}
	return len(p.records) - p.ends[swarm.PartialSeed]
}

// At is documented at [swarm.View].
func (t *torrent) At(g swarm.Group, i int) (netip.AddrPort, *bittorrent.PeerID) {
	p := &t.families[g&1]
	if g >= swarm.Leechers4 {
		i += p.ends[swarm.PartialSeed]
	}
	r := &p.records[i]
	return r.addrPort(g&1 == 1), &r.id
}

// position translates peer i of a family into what selection counts by.
func (p *peers) position(family, i int) swarm.Position {
	if seeds := p.ends[swarm.PartialSeed]; i >= seeds {
		return swarm.Position{Group: swarm.Leechers4 + swarm.Group(family), Index: i - seeds}
	}
	return swarm.Position{Group: swarm.Seeds4 + swarm.Group(family), Index: i}
}

// peer returns peer i of a family as others see it.
func (p *peers) peer(family, i int) swarm.Peer {
	r := &p.records[i]
	return swarm.Peer{
		ID:         r.id,
		Addr:       r.addrPort(family == 1),
		Key:        r.key,
		Kind:       p.kind(i),
		Uploaded:   r.uploaded,
		Downloaded: r.downloaded,
		Left:       r.left,
		First:      time.Unix(int64(r.first), 0),
		Last:       time.Unix(int64(r.last), 0),
	}
}

func recordOf(p *swarm.Peer) record {
	return record{
		address:    addressOf(p.Addr),
		key:        p.Key,
		first:      unixSeconds(p.First),
		last:       unixSeconds(p.Last),
		uploaded:   p.Uploaded,
		downloaded: p.Downloaded,
		left:       p.Left,
		id:         p.ID,
	}
}
