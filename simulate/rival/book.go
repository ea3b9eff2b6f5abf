package rival

import (
	"context"
	"iter"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/swarm"
)

// book is what both rivals note of peers: a [swarm.Store] but for Announce. Its
// lists are in the order of arrival until somebody leaves, so that what follows
// from a seed is the same each time.
type book struct {
	mu       sync.Mutex
	random   *rand.Rand
	torrents map[bittorrent.InfoHash]*torrent
}

type torrent struct {
	all        []*peer
	known      map[netip.AddrPort]*peer
	racks      map[*locality.Group]*rack
	seeds      int // peers that lack nothing
	partial    int // partial seeds
	downloaded uint32
}

type rack struct {
	all             []*peer
	representatives int // of p2ptracker
}

type peer struct {
	swarm.Peer
	rack           *locality.Group
	representative bool   // of p2ptracker
	told           uint64 // the number of the last answer that told of it
	at, atRack     int    // in torrent.all, in rack.all
}

func newBook(seed [2]uint64) book {
	return book{random: rand.New(rand.NewPCG(seed[0], seed[1])), torrents: map[bittorrent.InfoHash]*torrent{}}
}

// torrent returns a torrent, which is made if it is new.
func (b *book) torrent(h bittorrent.InfoHash) *torrent {
	t := b.torrents[h]
	if t == nil {
		t = &torrent{known: map[netip.AddrPort]*peer{}, racks: map[*locality.Group]*rack{}}
		b.torrents[h] = t
	}
	return t
}

// record takes in what a peer says of itself.
func (t *torrent) record(a *swarm.Announce) *peer {
	addr := a.Addr()
	p := t.known[addr]
	was := swarm.Leecher
	if p == nil {
		p = &peer{Peer: swarm.Peer{First: whole(a.Now)}, rack: a.Location, at: len(t.all)}
		t.known[addr] = p
		t.all = append(t.all, p)
		t.enter(p)
	} else {
		was = p.Kind
		t.count(p.Kind, -1)
	}
	if p.rack != a.Location {
		t.leave(p)
		p.rack = a.Location
		t.enter(p)
	}
	p.Peer = swarm.Peer{
		ID: a.PeerID, Addr: addr, Key: a.Key, Kind: a.Kind(),
		Uploaded: a.Uploaded, Downloaded: a.Downloaded, Left: a.Left, First: p.First, Last: whole(a.Now),
	}
	t.count(p.Kind, 1)
	if a.Event == bittorrent.EventCompleted && p.Kind == swarm.Seeder && was != swarm.Seeder {
		t.downloaded++
	}
	return p
}

func whole(t time.Time) time.Time { return time.Unix(t.Unix(), 0) }

func (t *torrent) count(k swarm.Kind, n int) {
	switch k {
	case swarm.Seeder:
		t.seeds += n
	case swarm.PartialSeed:
		t.partial += n
	}
}

func (t *torrent) enter(p *peer) {
	r := t.racks[p.rack]
	if r == nil {
		r = &rack{}
		t.racks[p.rack] = r
	}
	p.atRack = len(r.all)
	r.all = append(r.all, p)
}

func (t *torrent) leave(p *peer) {
	r := t.racks[p.rack]
	last := len(r.all) - 1
	r.all[p.atRack], r.all[last].atRack = r.all[last], p.atRack
	r.all = r.all[:last]
	if p.representative {
		r.representatives--
		p.representative = false
	}
	if last == 0 {
		delete(t.racks, p.rack)
	}
}

// remove forgets a peer.
func (t *torrent) remove(p *peer) {
	t.count(p.Kind, -1)
	t.leave(p)
	last := len(t.all) - 1
	t.all[p.at], t.all[last].at = t.all[last], p.at
	t.all = t.all[:last]
	delete(t.known, p.Addr)
}

func (t *torrent) counts() bittorrent.ScrapeCounts {
	leechers := len(t.all) - t.seeds
	return bittorrent.ScrapeCounts{
		Complete: uint32(t.seeds), Incomplete: uint32(leechers), Downloaded: t.downloaded,
		Downloaders: uint32(leechers - t.partial),
	}
}

func (t *torrent) setCounts(r *swarm.Reply) {
	c := t.counts()
	r.Complete, r.Incomplete, r.Downloaded = c.Complete, c.Incomplete, c.Downloaded
}

func (b *book) forgetEmpty(h bittorrent.InfoHash) {
	if t := b.torrents[h]; len(t.all) == 0 && t.downloaded == 0 {
		delete(b.torrents, h)
	}
}

// Scrape is documented at [swarm.Store]. It never fails.
func (b *book) Scrape(_ context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, h := range hashes {
		counts[i] = bittorrent.ScrapeCounts{}
		if t := b.torrents[h]; t != nil {
			counts[i] = t.counts()
		}
	}
	return nil
}

// Expire is documented at [swarm.Store]. It holds up all announces.
func (b *book) Expire(ctx context.Context, before time.Time) (peers int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	for h, t := range b.torrents {
		for i := len(t.all) - 1; i >= 0; i-- {
			if t.all[i].Last.Before(before) {
				t.remove(t.all[i])
				peers++
			}
		}
		b.forgetEmpty(h)
	}
	return peers, nil
}

// Swarms is documented at [swarm.Store].
func (b *book) Swarms(ctx context.Context) iter.Seq2[swarm.Snapshot, error] {
	return func(yield func(swarm.Snapshot, error) bool) {
		for _, s := range b.snapshots() {
			if err := ctx.Err(); err != nil {
				yield(swarm.Snapshot{}, err)
				return
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (b *book) snapshots() (all []swarm.Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for h, t := range b.torrents {
		s := swarm.Snapshot{InfoHash: h, Downloaded: t.downloaded}
		for _, p := range t.all {
			s.Peers = append(s.Peers, p.Peer)
		}
		all = append(all, s)
	}
	return all
}

// Totals is documented at [swarm.Store]. It never fails.
func (b *book) Totals(context.Context) (n swarm.Totals, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n.Torrents = len(b.torrents)
	for _, t := range b.torrents {
		n.Peers += len(t.all)
		for _, p := range t.all {
			if p.Kind == swarm.Seeder {
				n.Seeders++
			}
		}
	}
	return n, nil
}

// Close is documented at [swarm.Store]. There is nothing to keep.
func (b *book) Close() error { return nil }
