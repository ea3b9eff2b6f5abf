package memory

import (
	"bytes"
	"math"
	"net/netip"
	"slices"

	"waggle/bittorrent"
	"waggle/swarm"
)

// WalkStep is the number of peers, or of torrents, that are copied under one lock:
// some microseconds.
const WalkStep = 256

// Torrents returns the info hashes of a shard's torrents, in their order. It holds
// the shard's lock for some of them at a time: of those that come or go meanwhile
// any may be there.
func (s *Store) Torrents(shard int) []bittorrent.InfoHash {
	sh := &s.shards[shard]
	sh.mu.Lock()
	hashes := make([]bittorrent.InfoHash, 0, sh.torrents.count)
	sh.mu.Unlock()
	for n, more := uint32(0), true; more; {
		n, more = sh.appendHashes(&hashes, n)
	}
	slices.SortFunc(hashes, func(a, b bittorrent.InfoHash) int { return bytes.Compare(a[:], b[:]) })
	return hashes
}

func (sh *shard) appendHashes(hashes *[]bittorrent.InfoHash, from uint32) (next uint32, more bool) {
	return sh.eachFrom(from, func(t *torrent) { *hashes = append(*hashes, t.hash) })
}

// eachFrom shows the torrents of the next WalkStep numbers under the lock of the shard.
func (sh *shard) eachFrom(from uint32, see func(*torrent)) (next uint32, more bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	end := sh.torrents.end()
	for next = from; next < min(end, from+WalkStep); next++ {
		if sh.torrents.is(next) {
			see(sh.torrents.one(next))
		}
	}
	return next, next < end
}

// Counts returns how many peers a torrent has, and its completed downloads; ok is
// false where it is not known.
func (s *Store) Counts(h bittorrent.InfoHash) (c bittorrent.ScrapeCounts, ok bool) {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	n := sh.torrents.find(&h)
	if n == 0 {
		return bittorrent.ScrapeCounts{}, false
	}
	return sh.counts(sh.torrents.one(n)), true
}

// AllCounts shows the counts of the torrents of some shards, from the first to the
// last, some at a time and in no order, and holds a lock only while it copies those. It
// ends early where see returns false, and says so. Of torrents that come or go meanwhile
// any may be shown; any other is shown once. Hash i has the counts i; both are see's
// until it returns.
func (s *Store) AllCounts(first, last byte, see func([]bittorrent.InfoHash, []bittorrent.ScrapeCounts) bool) bool {
	hashes := make([]bittorrent.InfoHash, 0, WalkStep)
	counts := make([]bittorrent.ScrapeCounts, 0, WalkStep)
	for shard := int(first); shard <= int(last); shard++ {
		sh := &s.shards[shard]
		for n, more := uint32(0), true; more; {
			hashes, counts = hashes[:0], counts[:0]
			n, more = sh.eachFrom(n, func(t *torrent) {
				hashes, counts = append(hashes, t.hash), append(counts, sh.counts(t))
			})
			if len(hashes) > 0 && !see(hashes, counts) {
				return false
			}
		}
	}
	return true
}

// Walk shows all peers of a torrent, some at a time, and holds the lock only while
// it copies those. Of peers that come, go or change meanwhile any may be shown; any
// other is shown once. It ends early where see returns false, and says so. The
// peers are see's until it returns. buf is used if it has room for WalkStep.
func (s *Store) Walk(h bittorrent.InfoHash, buf []swarm.Peer, see func([]swarm.Peer) bool) bool {
	for _, v6 := range []bool{false, true} {
		w := walk{shard: s.shard(h), hash: h, v6: v6, peers: slices.Grow(buf[:0], WalkStep)}
		for more := true; more; {
			if more = w.step(); len(w.peers) > 0 && !see(w.peers) {
				w.end()
				return false
			}
		}
	}
	return true
}

// walk is a walk through the peers of one family.
type walk struct {
	shard *shard
	hash  bittorrent.InfoHash
	v6    bool
	tour  *tour
	peers []swarm.Peer // of the step
}

// step copies the next peers, and reports whether there are more.
func (w *walk) step() (more bool) {
	sh := w.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	w.peers = w.peers[:0]
	l, t := w.find()
	if l == nil {
		w.leave()
		return false
	}
	if w.tour == nil && l.len() <= WalkStep {
		for at := range l.len() {
			w.add(t, at)
		}
		return false
	}
	if w.tour == nil {
		w.tour = &tour{list: l}
		*sh.tours(w.v6) = append(*sh.tours(w.v6), w.tour)
	}
	for ; w.tour.next < l.len() && len(w.peers) < WalkStep; w.tour.next++ {
		if p := w.add(t, w.tour.next); w.tour.skips(p.Addr) {
			w.peers = w.peers[:len(w.peers)-1]
		}
	}
	if len(w.peers) == WalkStep {
		return true
	}
	w.tour.next = math.MaxInt
	for len(w.tour.missed) > 0 && len(w.peers) < WalkStep {
		last := len(w.tour.missed) - 1
		if at := sh.find(t, w.tour.missed[last]); at >= 0 {
			w.add(t, at)
		}
		w.tour.missed = w.tour.missed[:last]
	}
	if len(w.tour.missed) > 0 {
		return true
	}
	w.leave()
	return false
}

// find returns the list, or nil if it is not, or no longer, there.
func (w *walk) find() (*list, *torrent) {
	n := w.shard.torrents.find(&w.hash)
	if n == 0 {
		return nil, nil
	}
	t := w.shard.torrents.one(n)
	l := &t.v4
	if w.v6 {
		l = w.shard.list6(t)
	}
	if w.tour != nil && w.tour.list != l {
		return nil, nil
	}
	return l, t
}

func (w *walk) add(t *torrent, at int) *swarm.Peer {
	w.peers = w.peers[:len(w.peers)+1]
	p := &w.peers[len(w.peers)-1]
	w.shard.peer(t, w.v6, at, p)
	return p
}

// end ends a walk before its end.
func (w *walk) end() {
	w.shard.mu.Lock()
	defer w.shard.mu.Unlock()
	w.leave()
}

func (w *walk) leave() {
	if w.tour != nil {
		tours := w.shard.tours(w.v6)
		*tours = slices.DeleteFunc(*tours, func(t *tour) bool { return t == w.tour })
	}
}

func (sh *shard) tours(v6 bool) *[]*tour {
	if v6 {
		return &sh.v6.tours
	}
	return &sh.v4.tours
}

// tour is what a walk must know of the peers that move within the list while no
// lock is held.
type tour struct {
	list   *list
	next   int                         // those that stand below have been seen
	missed []netip.AddrPort            // they moved from above to below
	seen   map[netip.AddrPort]struct{} // they moved from below to above
}

// moved is told of a peer that moves.
func (t *tour) moved(addr netip.AddrPort, from, to int) {
	switch {
	case from >= t.next && to < t.next:
		if !t.skips(addr) {
			t.missed = append(t.missed, addr)
		}
	case from < t.next && to >= t.next:
		if t.seen == nil {
			t.seen = map[netip.AddrPort]struct{}{}
		}
		t.seen[addr] = struct{}{}
	}
}

// skips reports whether a peer that stands above was seen below, and forgets it.
func (t *tour) skips(addr netip.AddrPort) bool {
	if len(t.seen) == 0 {
		return false
	}
	_, seen := t.seen[addr]
	delete(t.seen, addr)
	return seen
}
