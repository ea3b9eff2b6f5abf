package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"waggle/swarm"
)

// restoreStep is how many peers a script puts in.
const restoreStep = 100

// Restore puts in the peers of a torrent as they were, where what is there is older, and
// its completed count, where that is higher. It may be done again.
func (s *Store) Restore(ctx context.Context, snapshot swarm.Snapshot) error {
	if snapshot.Downloaded > 0 {
		if err := s.restorePart(ctx, &snapshot, nil); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(snapshot.Peers, restoreStep) {
		if err := s.restorePart(ctx, &snapshot, some); err != nil {
			return err
		}
	}
	return nil
}

// restorePart puts in some peers, and the completed count where there are none.
func (s *Store) restorePart(ctx context.Context, snapshot *swarm.Snapshot, peers []swarm.Peer) error {
	h := snapshot.InfoHash
	parts := s.parts.of(h)
	for range moves {
		now, err := s.restoreInto(ctx, snapshot, peers, parts)
		if err != nil || now == parts {
			return err
		}
		s.parts.set(h, now)
		parts = now
	}
	return swarm.ErrBusy
}

// restoreInto returns how many parts the torrent has; where that is not parts, something
// is left to do.
func (s *Store) restoreInto(ctx context.Context, snapshot *swarm.Snapshot, peers []swarm.Peer, parts int) (now int, err error) {
	h := snapshot.InfoHash
	lists := make([][]string, parts)
	for i := range peers {
		p := &peers[i]
		part := partOf(p.Addr, parts)
		newest := record(p)
		if from := before(part, parts); len(from) > 0 {
			if newest, err = s.newest(ctx, snapshot, p, from); err != nil {
				return 0, err
			}
		}
		lists[part] = append(lists[part], address(p.Addr), newest)
	}
	for part, list := range lists {
		if part > 0 && len(list) == 0 {
			continue
		}
		known, completed := "", "0"
		if part == 0 {
			known = decimal(int64(parts))
			if len(peers) == 0 && parts == 1 {
				completed = decimal(int64(snapshot.Downloaded))
			}
		}
		answer, err := s.server.run(ctx, restoreScript, s.keys.part(&h, part), append([]string{known, completed}, list...)...)
		if err != nil {
			return 0, err
		}
		text, err := answer.ToString()
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errAnswer, err)
		}
		if text, ok := strings.CutPrefix(text, "parts "); ok {
			return parseParts(text)
		}
	}
	if len(peers) == 0 && parts > 1 {
		return parts, s.restoreCount(ctx, snapshot, parts)
	}
	return parts, nil
}

// newest takes a peer's record out of other parts, and returns it, or p's if that is
// newer.
func (s *Store) newest(ctx context.Context, snapshot *swarm.Snapshot, p *swarm.Peer, from []int) (string, error) {
	w := worker{}
	var places []place
	for _, i := range from {
		places = append(places, s.keys.part(&snapshot.InfoHash, i))
	}
	if err := s.bring(ctx, &w, p.Addr, places); err != nil {
		return "", err
	}
	own := record(p)
	if w.brought != "" && w.brought[lastStart:lastEnd] > own[lastStart:lastEnd] {
		return w.brought[:lastEnd] + w.brought[placeEnd:], nil
	}
	return own, nil
}

// restoreCount raises the completed count of a split torrent, which is the sum of its
// parts', in the torrent's own.
func (s *Store) restoreCount(ctx context.Context, snapshot *swarm.Snapshot, parts int) error {
	t, err := s.tally(ctx, snapshot.InfoHash, parts)
	if err != nil || t.completed >= snapshot.Downloaded {
		return err
	}
	own, err := s.tally(ctx, snapshot.InfoHash, 1)
	if err != nil {
		return err
	}
	count := own.completed + snapshot.Downloaded - t.completed
	_, err = s.server.run(ctx, restoreScript, s.keys.part(&snapshot.InfoHash, 0), decimal(int64(parts)), decimal(int64(count)))
	return err
}
