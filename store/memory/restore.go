package memory

import (
	"waggle/bittorrent"
	"waggle/swarm"
)

// RestorePeer puts a peer in as it was, and tells nobody. It reports false where
// a limit keeps it out.
func (s *Store) RestorePeer(h bittorrent.InfoHash, p *swarm.Peer) bool {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	n := s.restoreTorrent(sh, &h)
	if n == 0 {
		return false
	}
	t := sh.torrents.one(n)
	at, was := sh.find(t, p.Addr), swarm.Leecher
	if at < 0 {
		if s.full() {
			s.forgetEmpty(sh, n)
			return false
		}
		s.peers.Add(1)
	} else {
		was = sh.kind(t, p.Addr.Addr().Is6(), at)
	}
	s.countSeeder(was, p.Kind)
	sh.put(t, at, p.Addr, &entry{
		detail: detail{uploaded: p.Uploaded, downloaded: p.Downloaded, left: p.Left, id: p.ID, first: unixSeconds(p.First)},
		key:    p.Key, last: unixSeconds(p.Last), kind: p.Kind,
	})
	return true
}

// RestoreDownloaded puts a torrent's completed count in as it was, and tells
// nobody. It reports false where a limit keeps it out.
func (s *Store) RestoreDownloaded(h bittorrent.InfoHash, downloaded uint32) bool {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	n := s.restoreTorrent(sh, &h)
	if n == 0 {
		return false
	}
	sh.torrents.one(n).downloaded = downloaded
	return true
}

// restoreTorrent returns the number of a torrent, which is added where it is not
// there and the limit allows it, or 0.
func (s *Store) restoreTorrent(sh *shard, h *bittorrent.InfoHash) uint32 {
	if n := sh.torrents.find(h); n != 0 {
		return n
	}
	if s.fullOfTorrents(sh) {
		return 0
	}
	s.torrents.Add(1)
	return sh.torrents.add(&s.arena, h)
}
