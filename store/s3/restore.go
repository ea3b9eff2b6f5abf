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
	if len(snapshot.Peers) > 0 && s.full() {
		return fmt.Errorf("%w: %d peers of %v are left out", swarm.ErrFull, len(snapshot.Peers), snapshot.InfoHash)
	}
	if err := s.restoreCompleted(ctx, snapshot.InfoHash, snapshot.Downloaded); err != nil {
		return err
	}
	for some := range slices.Chunk(snapshot.Peers, restoreStep) {
		some = slices.Clone(some) // it may be written after ctx ended
		at := make([]place, len(some))
		for i := range some {
			at[i] = placeOf(some[i].Addr)
		}
		err := s.changeMany(ctx, snapshot.InfoHash, at, func(n *node, which []int) (changed bool) {
			for _, i := range which {
				group, at, known := n.find(&at[i])
				if !known || n.peers[group][at].last < some[i].Last.Unix() {
					p := peerOf(&some[i])
					n.put(&p, some[i].Kind)
					changed = true
				}
			}
			return changed
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// restoreCompleted makes the completed count of a torrent at least as large as it was.
func (s *Store) restoreCompleted(ctx context.Context, h bittorrent.InfoHash, completed uint32) error {
	if completed == 0 {
		return nil
	}
	ctx, cancel := s.server.bounded(ctx)
	defer cancel()
	for range moves {
		parts, err := s.parts(ctx, h, asItIs)
		if err != nil {
			return err
		}
		var others uint32
		for i := range parts[1:] {
			others += parts[1+i].completed
		}
		key := parts[0].key
		_, err = s.swarms.change(ctx, key, func(n *node) bool {
			if n.completed >= completed-min(others, completed) {
				return false
			}
			n.completed = completed - others
			return true
		})
		if again, err := s.follow(ctx, key, s.aboveOf(h, key), err); !again {
			return err
		}
	}
	return swarm.ErrBusy
}

// aboveOf returns the objects above one, as far as is remembered.
func (s *Store) aboveOf(h bittorrent.InfoHash, key string) []string {
	_, above := s.find(&h, 0) // of the first part, which is asked for
	if len(above) > depthOf(key) {
		above = above[:depthOf(key)]
	}
	return above
}

// changeMany changes the objects that peers belong to, each with those that are in it.
func (s *Store) changeMany(ctx context.Context, h bittorrent.InfoHash, at []place, apply func(n *node, which []int) bool) error {
	left := make([]int, len(at))
	for i := range left {
		left[i] = i
	}
	for range moves {
		if len(left) == 0 {
			return nil
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
		again, err := s.follow(limited, key, above, err)
		cancel()
		switch {
		case again:
			continue
		case err != nil:
			return err
		}
		if left = elsewhere; len(left) > 0 {
			return s.changeMany(ctx, h, pick(at, left), func(n *node, which []int) bool { return apply(n, pick(left, which)) })
		}
	}
	if len(left) > 0 {
		return swarm.ErrBusy
	}
	return nil
}

func pick[V any](all []V, which []int) []V {
	some := make([]V, len(which))
	for i, n := range which {
		some[i] = all[n]
	}
	return some
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
