package memory

import "waggle/swarm"

// At a limit, newcomers take the place of what matters least: first torrents that
// have no peers and are kept for their completed count only, then the peers that
// were silent for longest. The search looks at a few places of the table of the
// newcomer's shard, beginning where the last one ended, since an announce waits
// for it: what it finds is old, not always the oldest.

// What a torrent and a peer take at most, in bytes: places of tables that have just
// grown, an address of IPv6, runs that are not full.
const (
	torrentBytes = 88
	peerBytes    = 56
	detailBytes  = 64 // of a peer besides
)

// ownShare is which part of a limit each shard has for itself, also where others have
// used up all: an eighth for all shards together, by which a limit may be exceeded then.
// Else who makes up torrents of one shard would keep newcomers out of the others.
const ownShare = 8 * Shards

// full reports whether there is room for one more peer in a shard.
func (s *Store) full(sh *shard) bool {
	limit := s.options.MaxPeers
	if held := s.held.Load(); held != nil && (limit == 0 || held.Peers < limit) {
		limit = held.Peers
	}
	return limit > 0 && s.peers.Load() >= int64(limit) && sh.peers >= limit/ownShare || s.fullOfBytes(sh)
}

// fullOfTorrents reports whether there is room for one more torrent in a shard.
func (s *Store) fullOfTorrents(sh *shard) bool {
	limit := s.options.MaxTorrents
	if held := s.held.Load(); held != nil && (limit == 0 || held.Torrents < limit) {
		limit = held.Torrents
	}
	return limit > 0 && s.torrents.Load() >= int64(limit) && sh.torrents.count >= limit/ownShare ||
		sh.torrents.full() || s.fullOfBytes(sh)
}

// fullOfBytes reports whether a shard may not grow although there may be fewer torrents
// and peers than their limits.
func (s *Store) fullOfBytes(sh *shard) bool {
	limit := s.options.MaxBytes
	return limit > 0 && s.bytes(s.torrents.Load(), s.peers.Load()) >= limit &&
		s.bytes(int64(sh.torrents.count), int64(sh.peers)) >= limit/ownShare
}

// bytes returns what so many torrents and peers take at most.
func (s *Store) bytes(torrents, peers int64) int64 {
	if s.options.Details {
		return torrents*torrentBytes + peers*(peerBytes+detailBytes)
	}
	return torrents*torrentBytes + peers*peerBytes
}

// Hold keeps the store from having more torrents and peers than now, until Release.
// Whoever calls it is short of memory, whatever took that.
func (s *Store) Hold() {
	s.held.Store(&swarm.Totals{Torrents: max(int(s.torrents.Load()), 1), Peers: max(int(s.peers.Load()), 1)})
}

// Release lets the store grow again.
func (s *Store) Release() { s.held.Store(nil) }

// looks is the number of places that a search looks at.
const looks = 16

// giveUpTorrent forgets a torrent, and reports whether it found one: without
// peers, or else the one of a single peer that was silent for longest.
func (s *Store) giveUpTorrent(sh *shard) bool {
	oldest, last := uint32(0), uint32(1<<32-1)
	for range looks {
		n := sh.nextTorrent()
		if n == 0 {
			continue
		}
		t := sh.torrents.one(n)
		switch sh.peersOf(t) {
		case 0:
			s.forget(sh, n)
			return true
		case 1:
			if seen := sh.lastSeen(t, t.v4.n == 0, 0); seen < last {
				oldest, last = n, seen
			}
		}
	}
	if oldest == 0 {
		return false
	}
	t := sh.torrents.one(oldest)
	s.giveUp(sh, t, t.v4.n == 0, 0)
	s.forget(sh, oldest)
	return true
}

// giveUpPeer removes the peer that was silent for longest of those that it looks
// at, and reports whether it found one. keep is the newcomer's torrent, which
// stays even if it is left without peers.
func (s *Store) giveUpPeer(sh *shard, keep *torrent) bool {
	var victim struct {
		torrent uint32
		v6      bool
		at      int
	}
	last := uint32(1<<32 - 1)
	for range looks {
		n := sh.nextTorrent()
		if n == 0 {
			continue
		}
		t := sh.torrents.one(n)
		for _, v6 := range []bool{false, true} {
			peers := sh.length(t, v6)
			for _, i := range sh.selector.Sample(peers, 4) {
				if seen := sh.lastSeen(t, v6, int(i)); seen < last {
					victim.torrent, victim.v6, victim.at, last = n, v6, int(i), seen
				}
			}
		}
	}
	if victim.torrent == 0 {
		return false
	}
	t := sh.torrents.one(victim.torrent)
	s.giveUp(sh, t, victim.v6, victim.at)
	if t != keep {
		s.forgetEmpty(sh, victim.torrent)
	}
	return true
}

// giveUp removes peer i of a family, which may be alive.
func (s *Store) giveUp(sh *shard, t *torrent, v6 bool, i int) {
	sh.givingUp = true
	s.drop(sh, t, v6, i)
	sh.givingUp = false
}

// nextTorrent returns the number of the torrent in the next place of the table,
// or 0 where that is empty.
func (sh *shard) nextTorrent() uint32 {
	if len(sh.torrents.table) == 0 {
		return 0
	}
	sh.cursor = sh.torrents.after(sh.cursor)
	return sh.torrents.table[sh.cursor].number()
}
