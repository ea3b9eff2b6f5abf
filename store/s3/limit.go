package s3

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"waggle/bittorrent"
	"waggle/store/faraway"
	"waggle/swarm"
)

// torrentRuns is how many parts the torrents are listed in, by the first hexadecimal digit
// of their info hashes.
const torrentRuns = 16

// longestIdle is the longest object of a swarm without peers, which says how many have
// completed it. All others are longer.
const longestIdle = blankSize + binary.MaxVarintLen32

// newLimit is by what torrents are given up.
func newLimit(s *Store, o *Options) *faraway.TorrentLimit {
	return &faraway.TorrentLimit{
		Most: o.MaxTorrents, Totals: s.totals, Runs: torrentRuns, Key: o.sharedSeed(),
		RunOf: func(h bittorrent.InfoHash) int { return int(h[0] >> 4) },
		List:  s.listRun, GiveUp: s.giveUp,
	}
}

// listRun shows torrents by their objects' lengths. One that is split is taken to have peers:
// if it has none it is put together again soon.
func (s *Store) listRun(ctx context.Context, run int, see func(h bittorrent.InfoHash, peers bool)) error {
	return s.server.all(ctx, fmt.Sprintf("%s%x", swarmPrefix, run), "", func(some []listed) error {
		for i := range some {
			if h, err := hashOf(some[i].key); err == nil && some[i].size != int64(blankSize) {
				see(h, some[i].size > int64(longestIdle))
			}
		}
		return nil
	})
}

// giveUp forgets a torrent that is kept for its completed count only, by compare and swap:
// one that gets a peer meanwhile lives.
func (s *Store) giveUp(ctx context.Context, h bittorrent.InfoHash) (gone bool, err error) {
	ctx, cancel := s.server.bounded(ctx)
	defer cancel()
	var idle bool // not gone: it may be written after ctx ended
	_, err = s.swarms.change(ctx, swarmKey(h), func(n *node) bool {
		if idle = n.len() == 0; !idle || n.completed == 0 {
			return false
		}
		n.completed = 0
		return true
	})
	switch {
	case errors.Is(err, errSplit):
		return false, nil
	case errors.Is(err, context.DeadlineExceeded):
		return false, swarm.ErrBusy
	case err != nil:
		return false, err
	}
	return idle, nil
}
