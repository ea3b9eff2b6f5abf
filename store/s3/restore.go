package s3

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"waggle/bittorrent"
	"waggle/store/shared"
	"waggle/swarm"
)

// restoreStep is how many peers are written at once.
const restoreStep = 2048

// Restore is documented at [swarm.Restorer].
func (s *Store) Restore(ctx context.Context, snapshot swarm.Snapshot) error {
	full := s.totals.Full()
	if full.Torrents {
		if _, known, err := s.Counts(ctx, snapshot.InfoHash); err != nil {
			return err
		} else if !known {
			return fmt.Errorf("%w: torrent %v is left out", swarm.ErrFull, snapshot.InfoHash)
		}
	}
	if err := s.restoreCompleted(ctx, snapshot.InfoHash, snapshot.Downloaded); err != nil {
		return err
	}
	if len(snapshot.Peers) > 0 && full.Peers {
		return fmt.Errorf("%w: %d peers of %v are left out", swarm.ErrFull, len(snapshot.Peers), snapshot.InfoHash)
	}
	for some := range slices.Chunk(snapshot.Peers, restoreStep) {
		peers, at := make([]peer, len(some)), make([]place, len(some)) // our own: they may be written after ctx ended
		kinds, isNew := make([]swarm.Kind, len(some)), make([]bool, len(some))
		for i := range some {
			peers[i], kinds[i] = peerOf(&some[i]), some[i].Kind
			at[i] = peers[i].at
		}
		isFirst := false
		err := s.changeMany(ctx, snapshot.InfoHash, at, func(n *node, which []int) (changed bool) {
			isFirst = isFirst || n.blank()
			for _, i := range which {
				group, at, known := n.find(&at[i])
				if isNew[i] = !known; !known || n.peers[group][at].last < peers[i].last {
					n.put(&peers[i], kinds[i])
					changed = true
				}
			}
			return changed
		})
		if err != nil {
			return err
		}
		for i := range isNew {
			if isNew[i] {
				s.totals.PeerCame()
			}
		}
		if isFirst {
			s.totals.TorrentCame()
		}
	}
	return nil
}

// restoreCompleted makes the completed count of a torrent at least as large as it was, by
// that of its first part.
func (s *Store) restoreCompleted(ctx context.Context, h bittorrent.InfoHash, completed uint32) error {
	if completed == 0 {
		return nil
	}
	ctx, cancel := s.server.bounded(ctx)
	defer cancel()
	for c := (chase{Store: s}); c.goesOn(); {
		parts, err := s.parts(ctx, h, asItIs)
		if err != nil {
			return err
		}
		key, above := s.find(&h, 0)
		if key != parts[0].key {
			continue
		}
		var others uint32
		for i := range parts[1:] {
			others += parts[1+i].completed
		}
		isFirst := false
		_, err = s.swarms.change(ctx, key, func(n *node) bool {
			isFirst = len(above) == 0 && n.blank()
			if n.completed >= completed-min(others, completed) {
				return false
			}
			n.completed = completed - others
			return true
		})
		if isFirst && err == nil {
			s.totals.TorrentCame()
		}
		if again, err := c.follow(ctx, key, above, err); !again {
			return err
		}
	}
	return swarm.ErrBusy
}

// changeMany changes the objects that peers belong to, each with those that are in it.
func (s *Store) changeMany(ctx context.Context, h bittorrent.InfoHash, at []place, apply func(n *node, which []int) bool) error {
	left := make([]int, len(at))
	for i := range left {
		left[i] = i
	}
	for c := (chase{Store: s}); len(left) > 0; {
		if !c.goesOn() {
			return swarm.ErrBusy
		}
		key, above := s.find(&h, at[left[0]].hash(&h))
		var here, elsewhere []int
		for _, i := range left {
			if k, _ := s.find(&h, at[i].hash(&h)); k == key {
				here = append(here, i)
			} else {
				elsewhere = append(elsewhere, i)
			}
		}
		limited, cancel := s.server.bounded(ctx)
		_, err := s.swarms.change(limited, key, func(n *node) bool { return apply(n, here) })
		again, err := c.follow(limited, key, above, err)
		cancel()
		if err != nil {
			return err
		}
		if !again {
			left, c = elsewhere, chase{Store: s}
		}
	}
	return nil
}

// Drop is documented at [shared.Host].
func (s *Store) Drop(ctx context.Context, h bittorrent.InfoHash, gone []shared.Gone) (dropped []netip.AddrPort, err error) {
	gone = slices.Clone(gone) // they may be forgotten after ctx ended
	at := make([]place, len(gone))
	for i := range gone {
		at[i] = placeOf(gone[i].Addr)
	}
	kept := make([]bool, len(gone))
	err = s.changeMany(ctx, h, at, func(n *node, which []int) (changed bool) {
		for _, i := range which {
			group, at, known := n.find(&at[i])
			kept[i] = known && n.peers[group][at].last > gone[i].Last.Unix()
			if known && !kept[i] {
				n.peers[group] = slices.Delete(n.peers[group], at, at+1)
				changed = true
			}
		}
		return changed
	})
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = swarm.ErrBusy
		}
		return nil, err
	}
	for i := range gone {
		if !kept[i] {
			dropped = append(dropped, gone[i].Addr)
		}
	}
	return dropped, nil
}
