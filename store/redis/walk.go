package redis

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"

	"github.com/redis/rueidis"

	"waggle/bittorrent"
	"waggle/swarm"
)

// walkStep is how many peers or torrents are read at once.
const walkStep = 256

// Torrents returns the info hashes that begin with a byte, in their order. Of those that
// come or go meanwhile any may be there.
func (s *Store) Torrents(ctx context.Context, first int) (hashes []bittorrent.InfoHash, err error) {
	tag := byte(first)
	for from, more := "-", true; more; {
		answer, err := s.server.askOne(ctx, tag, func(b rueidis.Builder) rueidis.Completed {
			return b.Zrangebylex().Key(s.keys.torrents(tag)).Min(from).Max("+").Limit(0, batch).Build()
		})
		if err != nil {
			return nil, err
		}
		names, err := answer.AsStrSlice()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errAnswer, err)
		}
		for _, name := range names {
			h, err := bittorrent.ParseInfoHash(name)
			if err != nil || h[0] != tag {
				return nil, fmt.Errorf("%w: a torrent is %.80q", errAnswer, name)
			}
			hashes, from = append(hashes, h), "("+name
		}
		more = len(names) == batch
	}
	return hashes, nil
}

// Counts returns how many peers a torrent has, and its completed downloads; ok is false
// where it is not known.
func (s *Store) Counts(ctx context.Context, h bittorrent.InfoHash) (c bittorrent.ScrapeCounts, ok bool, err error) {
	list, known, err := s.tallies(ctx, []bittorrent.InfoHash{h})
	if err != nil {
		return c, false, err
	}
	return list[0].counts(), known[0], nil
}

// AllCounts shows the counts of the torrents whose first byte is from first to last, some
// at a time. It ends early where see returns false, and says so. Of torrents that come or
// go meanwhile any may be shown; any other is shown once. Hash i has the counts i; both
// are see's until it returns.
func (s *Store) AllCounts(ctx context.Context, first, last byte, see func([]bittorrent.InfoHash, []bittorrent.ScrapeCounts) bool) (whole bool, err error) {
	totals, err := s.totals(ctx, allTags())
	if err != nil {
		return false, err
	}
	counts := make([]bittorrent.ScrapeCounts, 0, batch)
	for tag := int(first); tag <= int(last); tag++ {
		if totals[tag].Torrents == 0 {
			continue
		}
		hashes, err := s.Torrents(ctx, tag)
		if err != nil {
			return false, err
		}
		for len(hashes) > 0 {
			some := hashes[:min(len(hashes), batch)]
			hashes = hashes[len(some):]
			list, _, err := s.tallies(ctx, some)
			if err != nil {
				return false, err
			}
			counts = counts[:0]
			for i := range list {
				counts = append(counts, list[i].counts())
			}
			if !see(some, counts) {
				return false, nil
			}
		}
	}
	return true, nil
}

// Walk shows all peers of a torrent, some at a time. Of peers that come, go or change
// meanwhile any may be shown; any other is shown once. It ends early where see returns
// false, and says so. The peers are see's until it returns. buf is used if it has room.
func (s *Store) Walk(ctx context.Context, h bittorrent.InfoHash, buf []swarm.Peer, see func([]swarm.Peer) bool) (whole bool, err error) {
	list, _, err := s.tallies(ctx, []bittorrent.InfoHash{h})
	if err != nil {
		return false, err
	}
	w := walk{store: s, peers: buf[:0], seed: maphash.MakeSeed()}
	if list[0].peers() > walkStep {
		w.shown = map[uint64]struct{}{}
	}
	for _, at := range s.keys.parts(&h, list[0].parts) {
		for cursor := uint64(0); ; {
			if cursor, err = w.step(ctx, at, cursor); err != nil {
				return false, err
			}
			if len(w.peers) > 0 && !see(w.peers) {
				return false, nil
			}
			if cursor == 0 {
				break
			}
		}
	}
	return true, nil
}

// walk is a walk through the peers of a torrent. HSCAN shows some twice while its table
// changes its size: of a large torrent a hash of each that was shown is kept.
type walk struct {
	store *Store
	peers []swarm.Peer
	seed  maphash.Seed
	shown map[uint64]struct{}
}

func (w *walk) step(ctx context.Context, at place, cursor uint64) (next uint64, err error) {
	answer, err := w.store.server.askOne(ctx, at.tag, func(b rueidis.Builder) rueidis.Completed {
		return b.Hscan().Key(at.key + ":peers").Cursor(cursor).Count(walkStep).Build()
	})
	if err != nil {
		return 0, err
	}
	entry, err := answer.AsScanEntry()
	if err != nil || len(entry.Elements)%2 != 0 {
		return 0, fmt.Errorf("%w: a scan of %s", errAnswer, at.key)
	}
	w.peers = w.peers[:0]
	for i := 0; i < len(entry.Elements); i += 2 {
		if w.shown != nil {
			sum := maphash.String(w.seed, entry.Elements[i])
			if _, twice := w.shown[sum]; twice {
				continue
			}
			w.shown[sum] = struct{}{}
		}
		p, err := parseRecord(entry.Elements[i], entry.Elements[i+1])
		if err != nil {
			return 0, err
		}
		w.peers = append(w.peers, p)
	}
	return entry.Cursor, nil
}

// Swarms is documented at [swarm.Store]. The peers of one torrent at a time are in
// memory.
func (s *Store) Swarms(ctx context.Context) iter.Seq2[swarm.Snapshot, error] {
	return func(yield func(swarm.Snapshot, error) bool) {
		fail := func(err error) { yield(swarm.Snapshot{}, err) }
		totals, err := s.totals(ctx, allTags())
		if err != nil {
			fail(err)
			return
		}
		for tag := range totals {
			if totals[tag].Torrents == 0 {
				continue
			}
			hashes, err := s.Torrents(ctx, tag)
			if err != nil {
				fail(err)
				return
			}
			for _, h := range hashes {
				snapshot, known, err := s.snapshot(ctx, h)
				if err != nil {
					fail(err)
					return
				}
				if known && !yield(snapshot, nil) {
					return
				}
			}
		}
	}
}

func (s *Store) snapshot(ctx context.Context, h bittorrent.InfoHash) (snapshot swarm.Snapshot, known bool, err error) {
	c, known, err := s.Counts(ctx, h)
	if err != nil || !known {
		return snapshot, false, err
	}
	snapshot = swarm.Snapshot{InfoHash: h, Downloaded: c.Downloaded}
	_, err = s.Walk(ctx, h, nil, func(peers []swarm.Peer) bool {
		snapshot.Peers = append(snapshot.Peers, peers...)
		return true
	})
	return snapshot, true, err
}
