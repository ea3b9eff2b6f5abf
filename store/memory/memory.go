package memory

import (
	"context"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Shards is the number of parts that a store is locked and cleaned by. The
// shard of a torrent is the first byte of its info hash.
const Shards = 256

// Options are the settings of a store. The zero value has no limits, selects by
// a fixed sequence of random numbers and tells nobody of changes.
type Options struct {
	MaxPeers    int // 0: no limit
	MaxTorrents int // 0: no limit

	// Seed makes selection unpredictable, or repeatable in tests.
	Seed [2]uint64

	// Changed is told of every change, under the lock of the shard: it must not
	// block, nor call the store. The change is valid during the call only. nil:
	// nobody is told.
	Changed func(*swarm.Change)
}

// Store is a [swarm.Store] in memory. The zero value is not ready; use [New].
type Store struct {
	options  Options
	shards   [Shards]shard
	peers    atomic.Int64
	torrents atomic.Int64
}

type shard struct {
	mu       sync.Mutex
	torrents map[bittorrent.InfoHash]*torrent
	random   *rand.Rand
	change   swarm.Change // reused, so that telling allocates nothing
}

// What a newcomer is told at a limit.
const (
	warnPeers    = "this tracker is at its limit of peers: it cannot tell others of you now"
	warnTorrents = "this tracker is at its limit of torrents: it cannot add this one now"
)

// New returns an empty store.
func New(o Options) *Store {
	s := &Store{options: o}
	for i := range s.shards {
		s.shards[i].torrents = make(map[bittorrent.InfoHash]*torrent)
		s.shards[i].random = rand.New(rand.NewPCG(o.Seed[0], o.Seed[1]+uint64(i)))
	}
	return s
}

func (s *Store) shard(h bittorrent.InfoHash) *shard { return &s.shards[h[0]] }

// Announce is documented at [swarm.Store]. It never fails.
func (s *Store) Announce(_ context.Context, a *swarm.Announce, r *swarm.Reply) error {
	sh := s.shard(a.InfoHash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.torrents[a.InfoHash]
	if a.Event == bittorrent.EventStopped {
		s.stop(sh, t, a, r)
		return nil
	}
	if t == nil {
		if t = s.addTorrent(sh, a.InfoHash); t == nil {
			r.Warning = warnTorrents
			return nil
		}
	}
	asker := s.record(sh, t, a, r)
	setCounts(t, r)
	swarm.Select(t, asker, a, r, sh.random)
	return nil
}

func setCounts(t *torrent, r *swarm.Reply) {
	c := t.counts()
	r.Complete, r.Incomplete, r.Downloaded = c.Complete, c.Incomplete, c.Downloaded
}

// stop removes the peer. One that leaves wants no peers.
func (s *Store) stop(sh *shard, t *torrent, a *swarm.Announce, r *swarm.Reply) {
	if t == nil {
		return
	}
	family := familyIndex(swarm.FamilyOf(a.From))
	if i := t.families[family].find(addressOf(a.Addr())); i >= 0 {
		s.drop(sh, a.InfoHash, t, family, i)
	}
	setCounts(t, r)
	s.forgetEmpty(sh, a.InfoHash, t)
}

// record stores what the peer says of itself and returns where it stands.
func (s *Store) record(sh *shard, t *torrent, a *swarm.Announce, r *swarm.Reply) swarm.Position {
	family := familyIndex(swarm.FamilyOf(a.From))
	p := &t.families[family]
	rec := record{
		address:    addressOf(a.Addr()),
		key:        a.Key,
		first:      unixSeconds(a.Now),
		last:       unixSeconds(a.Now),
		uploaded:   a.Uploaded,
		downloaded: a.Downloaded,
		left:       a.Left,
		id:         a.PeerID,
	}
	kind := a.Kind()
	i := p.find(rec.address)
	switch known := i >= 0; {
	case !known && s.full():
		r.Warning = warnPeers
		s.forgetEmpty(sh, a.InfoHash, t)
		return swarm.Absent
	case !known:
		s.countCompleted(sh, t, a, kind, swarm.Leecher)
		s.peers.Add(1)
		i = p.insert(rec, kind)
	default:
		was := p.kind(i)
		s.countCompleted(sh, t, a, kind, was)
		rec.first = p.records[i].first
		if was == kind {
			p.records[i] = rec
		} else {
			p.remove(i)
			i = p.insert(rec, kind)
		}
	}
	s.tellPut(sh, a.InfoHash, p, family, i)
	return p.position(family, i)
}

func (s *Store) full() bool {
	return s.options.MaxPeers > 0 && s.peers.Load() >= int64(s.options.MaxPeers)
}

// countCompleted counts a download once: a client that sends its event again,
// because the answer was lost, is a seeder by then.
func (s *Store) countCompleted(sh *shard, t *torrent, a *swarm.Announce, kind, was swarm.Kind) {
	if a.Event != bittorrent.EventCompleted || kind != swarm.Seeder || was == swarm.Seeder {
		return
	}
	t.downloaded++
	if s.options.Changed != nil {
		sh.change = swarm.Change{Kind: swarm.DownloadCount, InfoHash: a.InfoHash, Downloaded: t.downloaded}
		s.options.Changed(&sh.change)
	}
}

func (s *Store) tellPut(sh *shard, h bittorrent.InfoHash, p *peers, family, i int) {
	if s.options.Changed != nil {
		sh.change = swarm.Change{Kind: swarm.PeerPut, InfoHash: h, Peer: p.peer(family, i)}
		s.options.Changed(&sh.change)
	}
}

// drop removes peer i.
func (s *Store) drop(sh *shard, h bittorrent.InfoHash, t *torrent, family, i int) {
	p := &t.families[family]
	if s.options.Changed != nil {
		sh.change = swarm.Change{Kind: swarm.PeerGone, InfoHash: h}
		sh.change.Peer.Addr = p.records[i].addrPort(family == 1)
		s.options.Changed(&sh.change)
	}
	p.remove(i)
	s.peers.Add(-1)
}

// addTorrent returns a new torrent, or nil at the limit.
func (s *Store) addTorrent(sh *shard, h bittorrent.InfoHash) *torrent {
	if limit := s.options.MaxTorrents; limit > 0 && s.torrents.Load() >= int64(limit) && !s.makeRoom(sh) {
		return nil
	}
	t := new(torrent)
	sh.torrents[h] = t
	s.torrents.Add(1)
	return t
}

// makeRoom forgets a torrent without peers. It looks at a few only, since the
// announce waits; a map is walked from a random place, so that later newcomers
// look at others.
func (s *Store) makeRoom(sh *shard) bool {
	const looks = 16
	n := 0
	for h, t := range sh.torrents {
		if t.len() == 0 {
			s.forget(sh, h)
			return true
		}
		if n++; n == looks {
			return false
		}
	}
	return false
}

// forgetEmpty forgets a torrent that has neither peers nor a completed count.
func (s *Store) forgetEmpty(sh *shard, h bittorrent.InfoHash, t *torrent) {
	if t.len() == 0 && t.downloaded == 0 {
		s.forget(sh, h)
	}
}

func (s *Store) forget(sh *shard, h bittorrent.InfoHash) {
	delete(sh.torrents, h)
	s.torrents.Add(-1)
	if s.options.Changed != nil {
		sh.change = swarm.Change{Kind: swarm.TorrentGone, InfoHash: h}
		s.options.Changed(&sh.change)
	}
}

// Scrape is documented at [swarm.Store]. It never fails.
func (s *Store) Scrape(_ context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	for i, h := range hashes {
		counts[i] = s.counts(h)
	}
	return nil
}

func (s *Store) counts(h bittorrent.InfoHash) bittorrent.ScrapeCounts {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if t := sh.torrents[h]; t != nil {
		return t.counts()
	}
	return bittorrent.ScrapeCounts{}
}

// Expire is documented at [swarm.Store]. It locks a shard at a time, and fails
// only where ctx ends.
func (s *Store) Expire(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for i := range s.shards {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		total += s.expireShard(&s.shards[i], unixSeconds(before))
	}
	return total, nil
}

func (s *Store) expireShard(sh *shard, before uint32) (expired int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for h, t := range sh.torrents {
		for family := range t.families {
			p := &t.families[family]
			// From the end, so that what moves into a hole has been looked at.
			for i := len(p.records) - 1; i >= 0; i-- {
				if p.records[i].last < before {
					s.drop(sh, h, t, family, i)
					expired++
				}
			}
		}
		s.forgetEmpty(sh, h, t)
	}
	return expired
}

// Swarms is documented at [swarm.Store]. It holds a shard's lock only while it
// copies one torrent.
func (s *Store) Swarms(ctx context.Context) iter.Seq2[swarm.Snapshot, error] {
	return func(yield func(swarm.Snapshot, error) bool) {
		for i := range Shards {
			for snapshot, err := range s.ShardSwarms(ctx, byte(i)) {
				if !yield(snapshot, err) {
					return
				}
			}
		}
	}
}

// ShardSwarms is [Store.Swarms] for one shard.
func (s *Store) ShardSwarms(ctx context.Context, shard byte) iter.Seq2[swarm.Snapshot, error] {
	return func(yield func(swarm.Snapshot, error) bool) {
		sh := &s.shards[shard]
		sh.mu.Lock()
		hashes := make([]bittorrent.InfoHash, 0, len(sh.torrents))
		for h := range sh.torrents {
			hashes = append(hashes, h)
		}
		sh.mu.Unlock()
		var snapshot swarm.Snapshot
		for _, h := range hashes {
			if err := ctx.Err(); err != nil {
				yield(swarm.Snapshot{}, err)
				return
			}
			if sh.snapshot(h, &snapshot) && !yield(snapshot, nil) {
				return
			}
		}
	}
}

// snapshot copies a torrent, and reports whether it is still there.
func (sh *shard) snapshot(h bittorrent.InfoHash, out *swarm.Snapshot) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.torrents[h]
	if t == nil {
		return false
	}
	out.InfoHash, out.Downloaded, out.Peers = h, t.downloaded, out.Peers[:0]
	for family := range t.families {
		for i := range t.families[family].records {
			out.Peers = append(out.Peers, t.families[family].peer(family, i))
		}
	}
	return true
}

// Totals is documented at [swarm.Store]. It never fails.
func (s *Store) Totals(context.Context) (swarm.Totals, error) {
	return swarm.Totals{Torrents: int(s.torrents.Load()), Peers: int(s.peers.Load())}, nil
}

// RestorePeer puts a peer in as it was, and tells nobody. It reports false where
// a limit keeps it out.
func (s *Store) RestorePeer(h bittorrent.InfoHash, peer *swarm.Peer) bool {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.torrents[h]
	if t == nil {
		if t = s.addTorrent(sh, h); t == nil {
			return false
		}
	}
	p := &t.families[familyIndex(swarm.FamilyOf(peer.Addr.Addr()))]
	rec := recordOf(peer)
	if i := p.find(rec.address); i >= 0 {
		p.remove(i)
		s.peers.Add(-1)
	}
	if s.full() {
		s.forgetEmpty(sh, h, t)
		return false
	}
	p.insert(rec, peer.Kind)
	s.peers.Add(1)
	return true
}

// RestoreDownloaded puts a torrent's completed count in as it was, and tells
// nobody. It reports false where a limit keeps it out.
func (s *Store) RestoreDownloaded(h bittorrent.InfoHash, downloaded uint32) bool {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.torrents[h]
	if t == nil {
		if t = s.addTorrent(sh, h); t == nil {
			return false
		}
	}
	t.downloaded = downloaded
	return true
}

// Close does nothing: memory goes with the process.
func (s *Store) Close() error { return nil }
