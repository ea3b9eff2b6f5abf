package memory

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// torrent is one swarm: 44 bytes, and what its lists hold.
type torrent struct {
	hash       bittorrent.InfoHash
	downloaded uint32 // completed downloads
	v4         list
	v6         uint32 // of the shard's lists of IPv6, or one of the two below
}

// What a torrent's number of a list of IPv6 is where it is none: numbers of a
// pool's first page are never handed out.
const (
	noTorrent = 0 // there is no torrent under this number
	noIPv6    = 1 // it has no peers of IPv6
)

// torrents finds a shard's torrents by info hash: a table with open addressing
// of their numbers.
type torrents struct {
	pool[torrent]
	table []place
	count int
	seed  [2]uint64
}

// place is a place of the table: a torrent's number, and above it bits of its
// hash, so that a search looks at hardly any other torrent than its own. 0: empty.
type place uint32

const (
	numberBits  = 24
	maxTorrents = 1<<numberBits - pageLen // numbers of a shard
)

func (p place) number() uint32 { return uint32(p) & (1<<numberBits - 1) }

func (p place) is(hash uint64) bool { return uint32(p)>>numberBits == uint32(hash>>(64-32+numberBits)) }

func makePlace(n uint32, hash uint64) place {
	return place(n | uint32(hash>>32)&^(1<<numberBits-1))
}

// hash spreads info hashes. It is keyed, so that nobody can choose some that fall
// together.
func (t *torrents) hash(h *bittorrent.InfoHash) uint64 {
	high, low := bits.Mul64(binary.LittleEndian.Uint64(h[4:])^t.seed[0], binary.LittleEndian.Uint64(h[12:])^t.seed[1])
	return high ^ low
}

// slot returns where the search for a hash begins.
func (t *torrents) slot(hash uint64) uint32 { return uint32(hash) & uint32(len(t.table)-1) }

// find returns the number of a torrent, or 0.
func (t *torrents) find(h *bittorrent.InfoHash) uint32 {
	if len(t.table) == 0 {
		return 0
	}
	hash := t.hash(h)
	for at := t.slot(hash); ; at = t.after(at) {
		p := t.table[at]
		if p == 0 {
			return 0
		}
		if n := p.number(); p.is(hash) && same(&t.one(n).hash, h) {
			return n
		}
	}
}

// same compares two hashes by words, which is quicker than by a call.
func same(a, b *bittorrent.InfoHash) bool {
	return binary.NativeEndian.Uint64(a[12:]) == binary.NativeEndian.Uint64(b[12:]) &&
		binary.NativeEndian.Uint64(a[4:]) == binary.NativeEndian.Uint64(b[4:]) &&
		binary.NativeEndian.Uint32(a[:]) == binary.NativeEndian.Uint32(b[:])
}

func (t *torrents) after(at uint32) uint32 { return (at + 1) & uint32(len(t.table)-1) }

// full reports whether there is a number for one more torrent.
func (t *torrents) full() bool { return t.count >= maxTorrents }

// add puts in a torrent that is not there, and returns its number. It must not be
// full.
func (t *torrents) add(a *arena, h *bittorrent.InfoHash) uint32 {
	if (t.count+1)*8 > len(t.table)*7 {
		t.resize(max(8, 2*len(t.table)))
	}
	n := t.alloc(a, runClass(1))
	*t.one(n) = torrent{hash: *h, v6: noIPv6}
	t.enter(n)
	t.count++
	return n
}

func (t *torrents) enter(n uint32) {
	hash := t.hash(&t.one(n).hash)
	at := t.slot(hash)
	for t.table[at] != 0 {
		at = t.after(at)
	}
	t.table[at] = makePlace(n, hash)
}

func (t *torrents) resize(size int) {
	t.table = make([]place, size)
	for n := uint32(pageLen); n < t.end(); n++ { // one behind the other in memory, as the table has them not
		if t.is(n) {
			t.enter(n)
		}
	}
}

// delete takes out torrent n, and moves up those behind it that would not be
// found across the gap.
func (t *torrents) delete(n uint32) {
	gap := t.slot(t.hash(&t.one(n).hash))
	for t.table[gap].number() != n {
		gap = t.after(gap)
	}
	for at := t.after(gap); t.table[at] != 0; at = t.after(at) {
		home := t.slot(t.hash(&t.one(t.table[at].number()).hash))
		if mask := uint32(len(t.table) - 1); (at-home)&mask >= (at-gap)&mask {
			t.table[gap] = t.table[at]
			gap = at
		}
	}
	t.table[gap] = 0
	*t.one(n) = torrent{v6: noTorrent}
	t.release(n, runClass(1))
	t.count--
	if len(t.table) > 64 && t.count*8 < len(t.table) {
		t.resize(len(t.table) / 2)
	}
}

// is reports whether there is a torrent under a number below end.
func (t *torrents) is(n uint32) bool { return n >= pageLen && t.one(n).v6 != noTorrent }

func compact4(addr netip.AddrPort) (a [6]byte) {
	ip := addr.Addr().As4()
	copy(a[:], ip[:])
	binary.BigEndian.PutUint16(a[4:], addr.Port())
	return a
}

func compact6(addr netip.AddrPort) (a [18]byte) {
	ip := addr.Addr().As16()
	copy(a[:], ip[:])
	binary.BigEndian.PutUint16(a[16:], addr.Port())
	return a
}

func expand[A addresses](a *A) netip.AddrPort {
	switch b := any(a).(type) {
	case *[6]byte:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), binary.BigEndian.Uint16(b[4:]))
	case *[18]byte:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[:16])), binary.BigEndian.Uint16(b[16:]))
	}
	return netip.AddrPort{}
}

// shortID is the part of a peer id that a record has room for.
func shortID(id *bittorrent.PeerID) uint16 {
	h := binary.LittleEndian.Uint64(id[:]) ^ binary.LittleEndian.Uint64(id[8:])*3 ^ uint64(binary.LittleEndian.Uint32(id[16:]))*5
	return uint16(h * 0x9e3779b97f4a7c15 >> 48)
}

func unixSeconds(t time.Time) uint32 { return uint32(min(max(t.Unix(), 0), 1<<32-1)) }

// peer returns peer i of a list as others see it. What the options did not keep
// is zero.
func (f *family[A]) peer(l *list, i int, out *swarm.Peer) {
	n := f.number(l, i)
	stay := f.stay(n)
	*out = swarm.Peer{
		Addr: expand(&f.records.one(n).addr), Key: stay.key, Kind: l.kind(i), Last: time.Unix(int64(stay.last), 0),
	}
	if !f.detailed {
		if out.Kind != swarm.Seeder {
			out.Left = bittorrent.LeftUnknown
		}
		out.First = out.Last
		return
	}
	d := f.detail(n)
	out.ID, out.Uploaded, out.Downloaded, out.Left = d.id, d.uploaded, d.downloaded, d.left
	out.First = time.Unix(int64(d.first), 0)
}
