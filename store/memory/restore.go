package memory

import (
	"context"
	"fmt"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Restore puts the peers and the completed count of a torrent in as they were, unless
// what is there is newer, and tells of them as of announces. The error is
// [swarm.ErrFull] where a limit keeps some out, or that of ctx.
func (s *Store) Restore(ctx context.Context, snapshot swarm.Snapshot) error {
	var out int
	for i := range snapshot.Peers {
		if i%WalkStep == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if !s.restoreNewer(snapshot.InfoHash, &snapshot.Peers[i]) {
			out++
		}
	}
	if out > 0 || !s.restoreCount(snapshot.InfoHash, snapshot.Downloaded) {
		return fmt.Errorf("%w: %d peers of %v are left out", swarm.ErrFull, out, snapshot.InfoHash)
	}
	return nil
}

func (s *Store) restoreNewer(h bittorrent.InfoHash, p *swarm.Peer) bool {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if n := sh.torrents.find(&h); n != 0 {
		t := sh.torrents.one(n)
		if at := sh.find(t, p.Addr); at >= 0 && sh.lastSeen(t, p.Addr.Addr().Is6(), at) >= unixSeconds(p.Last) {
			return true
		}
	}
	if !s.restorePeer(sh, h, p) {
		return false
	}
	if s.options.Changed != nil {
		sh.change = swarm.Change{Kind: swarm.PeerPut, InfoHash: h, Peer: *p}
		s.options.Changed(&sh.change)
	}
	return true
}

func (s *Store) restoreCount(h bittorrent.InfoHash, downloaded uint32) bool {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if n := sh.torrents.find(&h); downloaded == 0 || n != 0 && sh.torrents.one(n).downloaded >= downloaded {
		return true
	}
	n := s.restoreTorrent(sh, &h)
	if n == 0 {
		return false
	}
	sh.torrents.one(n).downloaded = downloaded
	if s.options.Changed != nil {
		sh.change = swarm.Change{Kind: swarm.DownloadCount, InfoHash: h, Downloaded: downloaded}
		s.options.Changed(&sh.change)
	}
	return true
}

// RestorePeer puts a peer in as it was, and tells nobody. It reports false where
// a limit keeps it out.
func (s *Store) RestorePeer(h bittorrent.InfoHash, p *swarm.Peer) bool {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return s.restorePeer(sh, h, p)
}

func (s *Store) restorePeer(sh *shard, h bittorrent.InfoHash, p *swarm.Peer) bool {
	n := s.restoreTorrent(sh, &h)
	if n == 0 {
		return false
	}
	t := sh.torrents.one(n)
	at, was := sh.find(t, p.Addr), swarm.Leecher
	if at < 0 {
		if s.full(sh) {
			s.forgetEmpty(sh, n)
			return false
		}
		s.peers.Add(1)
		sh.peers++
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
