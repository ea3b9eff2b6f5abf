package reach

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"waggle/swarm"
)

// doubt is by how many seconds an announce may be older than what is known of its address. What is newer than that
// was noted while the clock was ahead, and would count until it is there again.
const doubt = 60

// ways is how many entries share a place of the table: with more, the one that was tried first is forgotten.
const ways = 8

// entry is what is known of an address.
type entry struct {
	ip    [16]byte
	port  uint16 // 0: the entry is empty
	reach swarm.Reach
	tried bool  // reach is what an attempt found
	again int64 // Unix seconds, from which on it may be tried
	at    int64 // Unix seconds of when it was tried or claimed last
}

// place is some entries under one lock.
type place struct {
	mu      sync.Mutex
	entries [ways]entry
}

// table remembers addresses, in memory that it takes at once.
type table struct {
	seed   maphash.Seed
	places []place
}

func newTable(addresses int) *table {
	return &table{seed: maphash.MakeSeed(), places: make([]place, max((addresses+ways-1)/ways, 1))}
}

func (t *table) place(ip *[16]byte, port uint16) *place {
	var key [18]byte
	copy(key[:], ip[:])
	binary.BigEndian.PutUint16(key[16:], port)
	return &t.places[maphash.Bytes(t.seed, key[:])%uint64(len(t.places))]
}

func (p *place) find(ip *[16]byte, port uint16) *entry {
	for i := range p.entries {
		if e := &p.entries[i]; e.port == port && e.ip == *ip {
			return e
		}
	}
	return nil
}

// claim reports whether an address is to be tried, and has nobody else be told so until a time.
func (t *table) claim(addr netip.AddrPort, now time.Time, until time.Duration) bool {
	ip, port := addr.Addr().As16(), addr.Port()
	p := t.place(&ip, port)
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.find(&ip, port)
	switch {
	case e == nil:
		e = &p.entries[0]
		for i := range p.entries {
			if other := &p.entries[i]; other.port == 0 || e.port != 0 && other.at < e.at {
				e = other
			}
		}
		*e = entry{ip: ip, port: port}
	case e.again > now.Unix() && e.at <= now.Unix()+doubt:
		return false
	}
	e.at, e.again = now.Unix(), now.Add(until).Unix()
	return true
}

// set notes what an attempt found. Who was forgotten meanwhile stays so.
func (t *table) set(addr netip.AddrPort, r swarm.Reach, now time.Time, again time.Duration) {
	ip, port := addr.Addr().As16(), addr.Port()
	p := t.place(&ip, port)
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.find(&ip, port); e != nil {
		e.reach, e.tried, e.at, e.again = r, true, now.Unix(), now.Add(again).Unix()
	}
}

func (t *table) of(addr netip.AddrPort) swarm.Reach {
	ip, port := addr.Addr().As16(), addr.Port()
	p := t.place(&ip, port)
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.find(&ip, port); e != nil {
		return e.reach
	}
	return swarm.ReachUnknown
}

// count returns how many addresses were tried, by what was found.
func (t *table) count() (found [3]int) {
	for i := range t.places {
		p := &t.places[i]
		p.mu.Lock()
		for j := range p.entries {
			if e := &p.entries[j]; e.port != 0 && e.tried {
				found[e.reach]++
			}
		}
		p.mu.Unlock()
	}
	return found
}
