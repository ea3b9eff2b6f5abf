package memory

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/swarm"
)

// shard is a part of the torrents, and everything that they need.
type shard struct {
	mu       sync.Mutex
	arena    *arena
	torrents torrents
	peers    int // of all torrents
	lists6   pool[list]
	v4       family[[6]byte]
	v6       family[[18]byte]
	cursor   uint32 // where the search for what may be given up goes on
	selector swarm.Selector
	change   swarm.Change // reused, so that telling allocates nothing
	relayed  bool         // what changes follows from an announce that was relayed
	stopped  bool         // what changes follows from what a peer said itself
	givingUp bool         // who goes may be alive
	view     view         // reused, so that selecting allocates nothing
	rosters  map[*torrent]*roster.Roster
	touched  uint32   // by warm, which would be optimised away if nothing came of it
	_        [64]byte // no shard shares a cache line with the next one's lock
}

// list6 returns a torrent's peers of IPv6, or nil.
func (sh *shard) list6(t *torrent) *list {
	if t.v6 == noIPv6 {
		return nil
	}
	return sh.lists6.one(t.v6)
}

func (sh *shard) peersOf(t *torrent) int {
	n := t.v4.len()
	if l := sh.list6(t); l != nil {
		n += l.len()
	}
	return n
}

func (sh *shard) counts(t *torrent) bittorrent.ScrapeCounts {
	c := bittorrent.ScrapeCounts{Downloaded: t.downloaded}
	addCounts(&c, &t.v4)
	if l := sh.list6(t); l != nil {
		addCounts(&c, l)
	}
	return c
}

func addCounts(c *bittorrent.ScrapeCounts, l *list) {
	c.Complete += l.ends[swarm.Seeder]
	c.Incomplete += uint32(l.len()) - l.ends[swarm.Seeder]
	c.Downloaders += uint32(l.len()) - l.ends[swarm.PartialSeed]
}

// find returns where a peer stands, or -1.
func (sh *shard) find(t *torrent, addr netip.AddrPort) int {
	if addr.Addr().Is4() {
		a := compact4(addr)
		return sh.v4.find(&t.v4, &a)
	}
	l := sh.list6(t)
	if l == nil {
		return -1
	}
	a := compact6(addr)
	return sh.v6.find(l, &a)
}

// listOf returns the list of an address's family, which is made where there is
// none.
func (sh *shard) listOf(t *torrent, addr netip.AddrPort) *list {
	if addr.Addr().Is4() {
		return &t.v4
	}
	if t.v6 == noIPv6 {
		t.v6 = sh.lists6.alloc(sh.arena, runClass(1))
		*sh.lists6.one(t.v6) = list{}
	}
	return sh.lists6.one(t.v6)
}

// entry is what a peer says of itself, on its way into a record and its detail.
type entry struct {
	detail
	key  uint32
	last uint32
	kind swarm.Kind
}

// put stores a peer and returns where it stands. at is where it stood, or
// negative; when it was first seen is kept.
func (sh *shard) put(t *torrent, at int, addr netip.AddrPort, e *entry) int {
	l := sh.listOf(t, addr)
	if addr.Addr().Is4() {
		return putIn(&sh.v4, l, compact4(addr), at, e)
	}
	return putIn(&sh.v6, l, compact6(addr), at, e)
}

func putIn[A addresses](f *family[A], l *list, addr A, at int, e *entry) int {
	if at < 0 {
		return f.insert(l, &addr, e)
	}
	n := f.number(l, at)
	if f.detailed {
		e.first = f.detail(n).first
	}
	if l.kind(at) != e.kind {
		f.remove(l, at)
		return f.insert(l, &addr, e)
	}
	f.set(n, &addr, e)
	return at
}

// remove takes out peer i of the family of addr.
func (sh *shard) remove(t *torrent, v6 bool, i int) {
	if !v6 {
		sh.v4.remove(&t.v4, i)
		return
	}
	l := sh.list6(t)
	sh.v6.remove(l, i)
	if l.n == 0 {
		sh.lists6.release(t.v6, runClass(1))
		t.v6 = noIPv6
	}
}

// peer returns peer i of a family as others see it.
func (sh *shard) peer(t *torrent, v6 bool, i int, out *swarm.Peer) {
	if v6 {
		sh.v6.peer(sh.list6(t), i, out)
		return
	}
	sh.v4.peer(&t.v4, i, out)
}

// length returns the number of peers of a family.
func (sh *shard) length(t *torrent, v6 bool) int {
	if !v6 {
		return t.v4.len()
	}
	if l := sh.list6(t); l != nil {
		return l.len()
	}
	return 0
}

// kind returns what peer i of a family is.
func (sh *shard) kind(t *torrent, v6 bool, i int) swarm.Kind {
	if v6 {
		return sh.list6(t).kind(i)
	}
	return t.v4.kind(i)
}

// lastSeen returns when peer i of a family announced last, in Unix seconds.
func (sh *shard) lastSeen(t *torrent, v6 bool, i int) uint32 {
	if v6 {
		return sh.v6.stay(sh.v6.number(sh.list6(t), i)).last
	}
	return sh.v4.stay(sh.v4.number(&t.v4, i)).last
}

// view is a torrent as selection sees it.
type view struct {
	shard *shard
	lists [2]*list // nil: none
	id    uint16   // of the asker
}

func (sh *shard) viewOf(t *torrent, asker *bittorrent.PeerID) *view {
	sh.view = view{shard: sh, lists: [2]*list{&t.v4, sh.list6(t)}, id: shortID(asker)}
	return &sh.view
}

// position translates peer i of a family into what selection counts by.
func position(l *list, v6 bool, i int) swarm.Position {
	g := swarm.Seeds4
	if seeds := int(l.ends[swarm.PartialSeed]); i >= seeds {
		g, i = swarm.Leechers4, i-seeds
	}
	if v6 {
		g++
	}
	return swarm.Position{Group: g, Index: i}
}

// Len is documented at [swarm.View].
func (v *view) Len(g swarm.Group) int {
	l := v.lists[g&1]
	switch {
	case l == nil:
		return 0
	case g < swarm.Leechers4:
		return int(l.ends[swarm.PartialSeed])
	}
	return l.len() - int(l.ends[swarm.PartialSeed])
}

// Seeders is documented at [swarm.View].
func (v *view) Seeders(g swarm.Group) int {
	if l := v.lists[g&1]; l != nil {
		return int(l.ends[swarm.Seeder])
	}
	return 0
}

// Append is documented at [swarm.View].
func (v *view) Append(g swarm.Group, picks []uint32, a *swarm.Announce, r *swarm.Reply) {
	l := v.lists[g&1]
	first := uint32(0)
	if g >= swarm.Leechers4 {
		first = l.ends[swarm.PartialSeed]
	}
	if g&1 == 0 {
		append4(&v.shard.v4, l, first, picks, v.id, a, &r.Peers)
	} else {
		append6(&v.shard.v6, l, first, picks, v.id, a, &r.Peers)
	}
}

// append4 appends the peers that stand picks behind first. id is the short one of
// the asker.
//
// In a big list each pick is somewhere else in memory. They are looked up first,
// then read by a loop that does nothing else, so that the processor waits for all
// of them at once.
func append4(f *family[[6]byte], l *list, first uint32, picks []uint32, id uint16, a *swarm.Announce, peers *bittorrent.PeerList) {
	peers.V4 = slices.Grow(peers.V4, len(picks)*bittorrent.CompactLen4)
	var some [32]*record[[6]byte]
	for len(picks) > 0 {
		n := min(len(picks), len(some))
		f.lookAt(l, first, picks[:n], some[:n])
		twins := 0
		for _, r := range some[:n] {
			if r.id == id {
				twins++
			}
		}
		if twins > 0 || a.WithIDs && f.detailed {
			append4Each(f, l, first, picks[:n], id, a, peers)
		} else {
			peers.V4 = appendAddrs(peers.V4, some[:n])
		}
		picks = picks[n:]
	}
}

// lookAt finds the records that stand picks behind first.
func (f *family[A]) lookAt(l *list, first uint32, picks []uint32, to []*record[A]) {
	if l.isBig() {
		b := f.bigs[l.ref]
		for i, pick := range picks {
			to[i] = f.inPages(b, int(first+pick))
		}
		return
	}
	records := f.records.at(l.ref, l.len())
	for i, pick := range picks {
		to[i] = &records[first+pick]
	}
}

// appendAddrs appends addresses by two words each, since appending a slice is a
// call. There must be room for them.
func appendAddrs(dst []byte, records []*record[[6]byte]) []byte {
	at, out := len(dst), dst[:len(dst)+len(records)*bittorrent.CompactLen4]
	for _, r := range records {
		put4(out[at:], &r.addr)
		at += bittorrent.CompactLen4
	}
	return out
}

// append4Each appends peers one by one: all but twins of the asker, and with ids
// if it wants any.
func append4Each(f *family[[6]byte], l *list, first uint32, picks []uint32, id uint16, a *swarm.Announce, peers *bittorrent.PeerList) {
	for _, pick := range picks {
		n := f.number(l, int(first+pick))
		r := f.records.one(n)
		if r.id == id && f.isTwin(n, a) {
			continue
		}
		peers.V4 = append(peers.V4, r.addr[:]...)
		if a.WithIDs && f.detailed {
			peers.IDs4 = append(peers.IDs4, f.detail(n).id)
		}
	}
}

// append6 is append4 for IPv6.
func append6(f *family[[18]byte], l *list, first uint32, picks []uint32, id uint16, a *swarm.Announce, peers *bittorrent.PeerList) {
	for _, pick := range picks {
		n := f.number(l, int(first+pick))
		record := f.records.one(n)
		if record.id == id && f.isTwin(n, a) {
			continue
		}
		peers.V6 = append(peers.V6, record.addr[:]...)
		if a.WithIDs && f.detailed {
			peers.IDs6 = append(peers.IDs6, f.detail(n).id)
		}
	}
}

func put4(dst []byte, addr *[6]byte) {
	_ = dst[5]
	binary.NativeEndian.PutUint32(dst, binary.NativeEndian.Uint32(addr[:4]))
	binary.NativeEndian.PutUint16(dst[4:], binary.NativeEndian.Uint16(addr[4:]))
}

// isTwin reports whether a record whose short id is that of the asker is of the
// same client. Without details it is taken to be: one peer in 65,536 is left out
// for nothing.
func (f *family[A]) isTwin(n uint32, a *swarm.Announce) bool {
	return !f.detailed || f.detail(n).id == a.PeerID
}
