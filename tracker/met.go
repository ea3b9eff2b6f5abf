package tracker

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"waggle/bittorrent"
	"waggle/swarm"
)

// met remembers peers that announced here: by torrent and address which key they had and
// until when another announce is too early; by torrent, id and key at which address they
// were last. It remembers a fixed number of either, and forgets those first that have been
// quiet for longest. All methods may be called concurrently.
type met struct {
	start  time.Time
	seed   maphash.Seed
	places []placeSet         // 2^n
	homes  [][homesOfSet]home // as many
	locks  [256]sync.Mutex    // of the sets
	warmed atomic.Uint32      // what was read ahead, so that it is read
}

// placeSet is where a peer may be remembered by its address: one line of a processor's
// cache, 16 bytes for each. Tags are of their hashes; 0: nobody. They may be read without
// the lock.
type placeSet struct {
	tags   [placesOfSet]atomic.Uint32
	places [placesOfSet]place
}

// place is what is remembered of a peer by its address.
type place struct {
	key     uint16 // folded; 0: it has none
	id      uint16 // folded
	due     uint32 // from when on it may announce again, in seconds since the start
	early   uint16 // announces that came too early, less those in time
	event   uint8  // of its last announce
	stopped bool
}

// home is where a peer was last, 24 bytes.
type home struct {
	ip   [16]byte
	port uint16
	seen uint16 // when it was found there first, in homeTicks since the start, modulo
	tag  uint32 // of its hash; 0: nobody
}

// RecognisedBytes is what the tables take for each peer that is recognised.
const RecognisedBytes = int64(unsafe.Sizeof(placeSet{}))/placesOfSet + int64(unsafe.Sizeof(home{}))

const (
	placesOfSet = 4
	homesOfSet  = 4
	homeTick    = 4 * time.Second
)

// together is how close to each other a client announces that has several addresses at a
// time: one that moves takes longer.
const together = 3 // homeTicks

// newMet returns one that remembers at least so many peers; nil, which remembers nobody,
// for less than one.
func newMet(peers int, start time.Time) *met {
	if peers < 1 {
		return nil
	}
	sets := 1 << bits.Len(uint(max(1, (peers+placesOfSet-1)/placesOfSet)-1))
	return &met{
		start: start, seed: maphash.MakeSeed(),
		places: make([]placeSet, sets), homes: make([][homesOfSet]home, sets),
	}
}

// bytes returns how many the tables take.
func (m *met) bytes() int64 {
	if m == nil {
		return 0
	}
	return int64(len(m.places))*int64(unsafe.Sizeof(placeSet{})) + int64(len(m.homes))*int64(unsafe.Sizeof([homesOfSet]home{}))
}

// encounter is what is found of a peer when it announces.
type encounter struct {
	early   int           // how many times too early by now; 0: it is in time
	wait    time.Duration // until it may announce again, if it is early
	foreign bool          // it stops, and another client is at its address
	moved   netip.AddrPort
}

// meet takes in an announce, and presumes that its peer is told to be silent for quiet.
func (m *met) meet(a *swarm.Announce, quiet time.Duration, most int) (e encounter) {
	if m == nil {
		return e
	}
	now := m.seconds(a.Now)
	set, tag := m.placeOf(a.InfoHash, a.Addr())
	stops := a.Event == bittorrent.EventStopped
	m.locks[set%len(m.locks)].Lock()
	p := m.places[set].find(tag)
	known := p != nil && !p.stopped && p.key == foldKey(a.Key)
	switch {
	case stops && p == nil:
	case stops && p.isOfAnother(a):
		e.foreign = !p.stopped
	case stops:
		p.stopped, p.event = true, uint8(a.Event)
	default:
		if p == nil {
			p = m.places[set].add(tag)
		}
		e = p.announce(a, now, m.seconds(a.Now.Add(graced(quiet))), most)
	}
	m.locks[set%len(m.locks)].Unlock()
	if a.Key != 0 && !e.foreign && (stops || !known) {
		e.moved = m.settle(a, stops)
	}
	return e
}

// announce takes in that a peer announces, which may do so again when it is due. One that
// has been early too often is let be: it is not told when it is due.
func (p *place) announce(a *swarm.Announce, now, due uint32, most int) (e encounter) {
	if p.isEarly(a, now) {
		p.early = uint16(min(int(p.early)+1, math.MaxUint16))
		e.early, e.wait = int(p.early), time.Duration(p.due-now)*time.Second
	} else {
		p.early /= 2
	}
	if e.early == 0 || most == 0 || e.early < most {
		p.due = due
	}
	p.key, p.id, p.event, p.stopped = foldKey(a.Key), foldID(&a.PeerID), uint8(a.Event), false
	return e
}

// isOfAnother reports whether the client that announces is not the one that did so before from this
// address. It has another key then, and another id: over UDP aria2 has a new key in every announce.
func (p *place) isOfAnother(a *swarm.Announce) bool {
	key := foldKey(a.Key)
	return p.key != 0 && key != 0 && p.key != key && p.id != foldID(&a.PeerID)
}

// foldKey makes a key as short as there is room for. It leaves 0 to who has none.
func foldKey(key uint32) uint16 {
	if key == 0 {
		return 0
	}
	return max(1, uint16(key)^uint16(key>>16))
}

// foldID does so with an id.
func foldID(id *bittorrent.PeerID) uint16 {
	const spread = 0x9e3779b97f4a7c15 // by the golden ratio, as Knuth has it
	x := binary.NativeEndian.Uint64(id[:])*spread ^ binary.NativeEndian.Uint64(id[8:])
	return uint16((x*spread ^ uint64(binary.NativeEndian.Uint32(id[16:]))) * spread >> 48)
}

// isEarly reports whether nothing but impatience made a peer announce. An event is a
// reason, once; a client that begins anew has another key.
func (p *place) isEarly(a *swarm.Announce, now uint32) bool {
	switch {
	case now >= p.due, p.stopped:
		return false
	case a.Event == bittorrent.EventNone, a.Event == bittorrent.EventPaused:
		return true
	}
	return p.event == uint8(a.Event) && p.key == foldKey(a.Key)
}

// graced is after how much of the time that it was told a peer is not early any more:
// packets are under way for different times, and clients round.
func graced(quiet time.Duration) time.Duration { return quiet - quiet/4 }

// tell corrects for how long a peer was told to be silent.
func (m *met) tell(a *swarm.Announce, quiet time.Duration) {
	if m == nil {
		return
	}
	set, tag := m.placeOf(a.InfoHash, a.Addr())
	m.locks[set%len(m.locks)].Lock()
	defer m.locks[set%len(m.locks)].Unlock()
	if p := m.places[set].find(tag); p != nil {
		p.due = m.seconds(a.Now.Add(graced(quiet)))
	}
}

// settle remembers where a peer is that was not known there, and returns where it was
// before, if that is elsewhere. One that stops is nowhere.
func (m *met) settle(a *swarm.Announce, stops bool) (before netip.AddrPort) {
	set, tag := m.homeOf(a)
	now := uint16(a.Now.Sub(m.start) / homeTick)
	addr := a.Addr()
	m.locks[set%len(m.locks)].Lock()
	h := findHome(&m.homes[set], tag)
	switch {
	case stops && h != nil && h.addr() == addr:
		*h = home{}
	case stops:
	case h == nil:
		*oldestHome(&m.homes[set], now) = homeAt(addr, now, tag)
	default:
		if was := h.addr(); was != addr && now-h.seen > together {
			before = was
		}
		*h = homeAt(addr, now, tag)
	}
	m.locks[set%len(m.locks)].Unlock()
	if before.IsValid() && !m.leave(a, before) {
		return netip.AddrPort{}
	}
	return before
}

// leave forgets that a peer is at an address. It reports false where another client is
// there by now.
func (m *met) leave(a *swarm.Announce, at netip.AddrPort) bool {
	set, tag := m.placeOf(a.InfoHash, at)
	m.locks[set%len(m.locks)].Lock()
	defer m.locks[set%len(m.locks)].Unlock()
	p := m.places[set].find(tag)
	if p != nil && p.key != foldKey(a.Key) {
		return false
	}
	if p != nil {
		m.places[set].remove(tag)
	}
	return true
}

func homeAt(addr netip.AddrPort, now uint16, tag uint32) home {
	return home{ip: addr.Addr().As16(), port: addr.Port(), seen: now, tag: tag}
}

func (h *home) addr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(h.ip).Unmap(), h.port)
}

// seconds are since a moment long before the start, so that no time is 0.
func (m *met) seconds(t time.Time) uint32 {
	const before = 1 << 20
	return uint32(min(max(t.Sub(m.start)/time.Second+before, 1), math.MaxUint32))
}

// placeOf spreads peers by torrent and address, homeOf by torrent, id, key and family,
// such that nobody can choose some that fall together.
func (m *met) placeOf(h bittorrent.InfoHash, addr netip.AddrPort) (set int, tag uint32) {
	var b [20 + 16 + 2]byte
	copy(b[:], h[:])
	ip := addr.Addr().As16()
	copy(b[20:], ip[:])
	binary.NativeEndian.PutUint16(b[36:], addr.Port())
	return m.spread(maphash.Bytes(m.seed, b[:]))
}

func (m *met) homeOf(a *swarm.Announce) (set int, tag uint32) {
	var b [20 + 20 + 4 + 1]byte
	copy(b[:], a.InfoHash[:])
	copy(b[20:], a.PeerID[:])
	binary.NativeEndian.PutUint32(b[40:], a.Key)
	b[44] = byte(swarm.FamilyOf(a.From))
	return m.spread(maphash.Bytes(m.seed, b[:]))
}

func (m *met) spread(hash uint64) (set int, tag uint32) {
	return int(hash & uint64(len(m.places)-1)), max(1, uint32(hash>>32)) // 0 is an empty place
}

// find returns the place with a tag, or nil.
func (s *placeSet) find(tag uint32) *place {
	for i := range s.tags {
		if s.tags[i].Load() == tag {
			return &s.places[i]
		}
	}
	return nil
}

// add gives a tag a place that is empty, or whose peer was to announce again for longest.
func (s *placeSet) add(tag uint32) *place {
	at := 0
	for i := range s.tags {
		if s.tags[i].Load() == 0 {
			at = i
			break
		}
		if s.places[i].due < s.places[at].due {
			at = i
		}
	}
	s.tags[at].Store(tag)
	s.places[at] = place{}
	return &s.places[at]
}

func (s *placeSet) remove(tag uint32) {
	for i := range s.tags {
		s.tags[i].CompareAndSwap(tag, 0)
	}
}

// warm reads where peers that are about to announce may be remembered. The processor waits
// for all of it together, as for what the store looks ahead for.
func (m *met) warm(hashes []bittorrent.InfoHash, peers []netip.AddrPort) {
	if m == nil {
		return
	}
	const group = 64
	var sets [group]*placeSet
	for len(hashes) > 0 {
		n := min(len(hashes), group)
		for i := range n {
			set, _ := m.placeOf(hashes[i], peers[i])
			sets[i] = &m.places[set]
		}
		touched := uint32(0)
		for _, set := range sets[:n] {
			touched += set.tags[0].Load()
		}
		m.warmed.Store(touched)
		hashes, peers = hashes[n:], peers[n:]
	}
}

func findHome(set *[homesOfSet]home, tag uint32) *home {
	for i := range set {
		if set[i].tag == tag {
			return &set[i]
		}
	}
	return nil
}

func oldestHome(set *[homesOfSet]home, now uint16) *home {
	out := &set[0]
	for i := range set {
		if set[i].tag == 0 {
			return &set[i]
		}
		if now-set[i].seen > now-out.seen {
			out = &set[i]
		}
	}
	return out
}
