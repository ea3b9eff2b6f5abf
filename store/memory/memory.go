package memory

import (
	"context"
	"iter"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/swarm"
)

// Shards is the number of parts that a store is locked and cleaned by. The shard
// of a torrent is the first byte of its info hash.
const Shards = 1 << shardBits

const shardBits = 8

// ShardOf returns the shard of a torrent.
func ShardOf(h bittorrent.InfoHash) int {
	return int(h[0]) >> (8 - shardBits)
}

// Options are the settings of a store. The zero value has no limits, keeps no
// details, selects by a fixed sequence of random numbers and tells nobody of
// changes.
type Options struct {
	MaxPeers    int // 0: no limit
	MaxTorrents int // 0: no limit

	// MaxBytes bounds peers and torrents together, by what they take at most: more where
	// they are few and of IPv4. 0: no limit.
	MaxBytes int64

	// Details keeps the peer id, what was transferred and is left, and when a peer
	// was first seen: 48 bytes a peer. Without them a peer takes 16 bytes of IPv4
	// or 28 of IPv6, snapshots have no details, and answers no peer ids.
	Details bool

	// Seed makes selection unpredictable, or repeatable in tests. It also keys the
	// hashes by which peers and torrents are found.
	Seed [2]uint64

	// Budget bounds the importers of each rack over all torrents. nil: no bound.
	Budget *roster.Budget

	// KeepRoles makes the store remember which roles of located peers change, for
	// RoleChanges.
	KeepRoles bool

	// Changed is told of every change, under the lock of the shard: it must not
	// block, nor call the store. The change is valid during the call only. nil:
	// nobody is told.
	Changed func(*swarm.Change)
}

// Store is a [swarm.Store] in memory. The zero value is not ready; use [New].
type Store struct {
	options  Options
	arena    arena
	shards   [Shards]shard
	peers    atomic.Int64
	seeders  atomic.Int64 // of the peers
	torrents atomic.Int64
	held     atomic.Pointer[swarm.Totals] // what there may be while Hold is in force; nil: it is not
}

// What a newcomer is told at a limit that nobody can be given up for.
const (
	warnPeers    = "this tracker is at its limit of peers: it cannot tell others of you now"
	warnTorrents = "this tracker is at its limit of torrents: it cannot add this one now"
)

// New returns an empty store.
func New(o Options) *Store {
	s := &Store{options: o}
	keys := rand.New(rand.NewPCG(o.Seed[0], o.Seed[1]))
	for i := range s.shards {
		sh := &s.shards[i]
		sh.arena = &s.arena
		sh.selector = swarm.NewSelector(keys.Uint64(), keys.Uint64())
		sh.torrents.seed = [2]uint64{keys.Uint64(), keys.Uint64()}
		sh.v4 = family[[6]byte]{arena: &s.arena, seed: keys.Uint64(), detailed: o.Details}
		sh.v6 = family[[18]byte]{arena: &s.arena, seed: keys.Uint64(), detailed: o.Details}
	}
	return s
}

func (s *Store) shard(h bittorrent.InfoHash) *shard { return &s.shards[ShardOf(h)] }

// Announce is documented at [swarm.Store]. It never fails.
func (s *Store) Announce(_ context.Context, a *swarm.Announce, r *swarm.Reply) error {
	sh := s.shard(a.InfoHash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	n := sh.torrents.find(&a.InfoHash)
	if a.Event == bittorrent.EventStopped {
		if n != 0 {
			s.stop(sh, n, a, r)
		}
		return nil
	}
	if n == 0 {
		if n = s.addTorrent(sh, &a.InfoHash); n == 0 {
			r.Warning = warnTorrents
			return nil
		}
	}
	t := sh.torrents.one(n)
	asker := s.record(sh, t, a, r)
	setCounts(sh, t, r)
	view := sh.viewOf(t, &a.PeerID)
	switch ro := s.rosterFor(sh, t, a); {
	case a.Relayed > 0:
		hear(ro, asker, a)
	case ro == nil:
		sh.selector.Select(view, asker, a, r)
	case asker.Index >= 0:
		ro.Announce(view, asker, a, r)
	}
	if asker.Index < 0 {
		s.forgetEmpty(sh, n)
	}
	return nil
}

func setCounts(sh *shard, t *torrent, r *swarm.Reply) {
	c := sh.counts(t)
	r.Complete, r.Incomplete, r.Downloaded = c.Complete, c.Incomplete, c.Downloaded
}

// stop removes the peer. One that leaves wants no peers.
func (s *Store) stop(sh *shard, n uint32, a *swarm.Announce, r *swarm.Reply) {
	t := sh.torrents.one(n)
	if i := sh.find(t, a.Addr()); i >= 0 {
		sh.relayed, sh.stopped = a.Relayed > 0, true
		s.drop(sh, t, a.From.Is6(), i)
		sh.relayed, sh.stopped = false, false
	}
	setCounts(sh, t, r)
	s.forgetEmpty(sh, n)
}

// record stores what the peer says of itself and returns where it stands.
func (s *Store) record(sh *shard, t *torrent, a *swarm.Announce, r *swarm.Reply) swarm.Position {
	now := unixSeconds(a.Now)
	e := entry{
		detail: detail{uploaded: a.Uploaded, downloaded: a.Downloaded, left: a.Left, id: a.PeerID, first: now},
		key:    a.Key, last: now, kind: a.Kind(),
	}
	addr := a.Addr()
	at := sh.find(t, addr)
	was := swarm.Leecher
	if at >= 0 {
		was = sh.listOf(t, addr).kind(at)
	} else {
		if s.full(sh) && !s.giveUpPeer(sh, t) {
			r.Warning = warnPeers
			return swarm.Absent
		}
		s.peers.Add(1)
		sh.peers++
	}
	s.countCompleted(sh, t, a, e.kind, was)
	change, previous := s.putKind(sh, t, at, a, &e)
	at = sh.put(t, at, addr, &e)
	s.countSeeder(was, e.kind)
	s.tellPut(sh, t, a, &e, change, previous)
	return position(sh.listOf(t, addr), a.From.Is6(), at)
}

// countSeeder counts a peer that became another kind; one that was not there, or is
// gone, counts as a leecher. Who is what he was costs nothing.
func (s *Store) countSeeder(was, is swarm.Kind) {
	switch {
	case was == is:
	case is == swarm.Seeder:
		s.seeders.Add(1)
	case was == swarm.Seeder:
		s.seeders.Add(-1)
	}
}

// countCompleted counts a download once: a client that sends its event again,
// because the answer was lost, is a seeder by then.
func (s *Store) countCompleted(sh *shard, t *torrent, a *swarm.Announce, kind, was swarm.Kind) {
	if a.Event != bittorrent.EventCompleted || kind != swarm.Seeder || was == swarm.Seeder {
		return
	}
	t.downloaded++
	if s.options.Changed != nil {
		sh.change = swarm.Change{Kind: swarm.DownloadCount, InfoHash: t.hash, Downloaded: t.downloaded}
		s.options.Changed(&sh.change)
	}
}

// putKind returns what an announce does to the peer at a place, negative for a
// new one, and when that was seen before. Without details, another client at the
// same address is known by its key only.
func (s *Store) putKind(sh *shard, t *torrent, at int, a *swarm.Announce, e *entry) (k swarm.ChangeKind, previous time.Time) {
	if s.options.Changed == nil || at < 0 {
		return swarm.PeerPut, time.Time{}
	}
	p := &sh.change.Peer
	sh.peer(t, a.From.Is6(), at, p)
	if p.Kind != e.kind || p.Key != e.key || s.options.Details && p.ID != e.id {
		return swarm.PeerPut, time.Time{}
	}
	return swarm.PeerRefreshed, p.Last
}

// tellPut tells of the peer as it announced, whatever of it is kept. Only the
// details know when it was first seen.
func (s *Store) tellPut(sh *shard, t *torrent, a *swarm.Announce, e *entry, k swarm.ChangeKind, previous time.Time) {
	if s.options.Changed == nil {
		return
	}
	sh.change = swarm.Change{Kind: k, InfoHash: t.hash, Previous: previous, Relayed: a.Relayed > 0, Peer: swarm.Peer{
		ID: a.PeerID, Addr: a.Addr(), Key: a.Key, Kind: e.kind,
		Uploaded: a.Uploaded, Downloaded: a.Downloaded, Left: a.Left,
		First: time.Unix(int64(e.first), 0), Last: time.Unix(int64(e.last), 0),
	}}
	s.options.Changed(&sh.change)
}

// drop removes peer i of a family.
func (s *Store) drop(sh *shard, t *torrent, v6 bool, i int) {
	if s.options.Changed != nil {
		sh.change = swarm.Change{Kind: swarm.PeerGone, InfoHash: t.hash, Relayed: sh.relayed, Stopped: sh.stopped, GivenUp: sh.givingUp}
		sh.peer(t, v6, i, &sh.change.Peer)
		s.options.Changed(&sh.change)
	}
	s.countSeeder(sh.kind(t, v6, i), swarm.Leecher)
	s.leaveRoster(sh, t, v6, i)
	sh.remove(t, v6, i)
	s.peers.Add(-1)
	sh.peers--
}

// addTorrent returns the number of a new torrent, or 0 at the limit.
func (s *Store) addTorrent(sh *shard, h *bittorrent.InfoHash) uint32 {
	if s.fullOfTorrents(sh) && !s.giveUpTorrent(sh) {
		return 0
	}
	s.torrents.Add(1)
	return sh.torrents.add(&s.arena, h)
}

// forgetEmpty forgets a torrent that has neither peers nor a completed count.
func (s *Store) forgetEmpty(sh *shard, n uint32) {
	if t := sh.torrents.one(n); sh.peersOf(t) == 0 && t.downloaded == 0 {
		s.forget(sh, n)
	}
}

func (s *Store) forget(sh *shard, n uint32) {
	if s.options.Changed != nil {
		sh.change = swarm.Change{Kind: swarm.TorrentGone, InfoHash: sh.torrents.one(n).hash}
		s.options.Changed(&sh.change)
	}
	delete(sh.rosters, sh.torrents.one(n))
	sh.torrents.delete(n)
	s.torrents.Add(-1)
}

// Scrape is documented at [swarm.Store]. It never fails.
func (s *Store) Scrape(_ context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	for i := range hashes {
		counts[i] = s.counts(&hashes[i])
	}
	return nil
}

func (s *Store) counts(h *bittorrent.InfoHash) bittorrent.ScrapeCounts {
	sh := s.shard(*h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if n := sh.torrents.find(h); n != 0 {
		return sh.counts(sh.torrents.one(n))
	}
	return bittorrent.ScrapeCounts{}
}

// Swarms is documented at [swarm.Store]. It holds a shard's lock only while it
// copies some of a torrent's peers.
func (s *Store) Swarms(ctx context.Context) iter.Seq2[swarm.Snapshot, error] {
	return func(yield func(swarm.Snapshot, error) bool) {
		var snapshot swarm.Snapshot
		buf := make([]swarm.Peer, 0, WalkStep)
		for i := range Shards {
			for _, h := range s.Torrents(i) {
				if err := ctx.Err(); err != nil {
					yield(swarm.Snapshot{}, err)
					return
				}
				if s.snapshot(h, buf, &snapshot) && !yield(snapshot, nil) {
					return
				}
			}
		}
	}
}

// snapshot copies a torrent, and reports whether it is still there.
func (s *Store) snapshot(h bittorrent.InfoHash, buf []swarm.Peer, out *swarm.Snapshot) bool {
	out.InfoHash, out.Peers = h, out.Peers[:0]
	counts, ok := s.Counts(h)
	if out.Downloaded = counts.Downloaded; ok {
		s.Walk(h, buf, func(some []swarm.Peer) bool {
			out.Peers = append(out.Peers, some...)
			return true
		})
	}
	return ok
}

// Totals is documented at [swarm.Store]. It never fails.
func (s *Store) Totals(context.Context) (swarm.Totals, error) {
	return swarm.Totals{Torrents: int(s.torrents.Load()), Peers: int(s.peers.Load()), Seeders: int(s.seeders.Load())}, nil
}

// Close gives the memory back to the system.
func (s *Store) Close() error { return s.arena.release() }
