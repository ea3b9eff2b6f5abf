package memory

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

// fullOfBytes reports whether the store may not grow, although there may be fewer torrents
// and peers than their limits.
func (s *Store) fullOfBytes() bool {
	if s.options.Pressed != nil && s.options.Pressed() {
		return true
	}
	if s.options.MaxBytes == 0 {
		return false
	}
	peer := int64(peerBytes)
	if s.options.Details {
		peer += detailBytes
	}
	return s.torrents.Load()*torrentBytes+s.peers.Load()*peer >= s.options.MaxBytes
}

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
