package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"waggle/bittorrent"
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
// is left to do. The torrent's own part comes first and says so, before any record is
// taken out of the part where it is.
func (s *Store) restoreInto(ctx context.Context, snapshot *swarm.Snapshot, peers []swarm.Peer, parts int) (now int, err error) {
	h := snapshot.InfoHash
	lists := make([][]*swarm.Peer, parts)
	for i := range peers {
		part := partOf(peers[i].Addr, parts)
		lists[part] = append(lists[part], &peers[i])
	}
	for part, list := range lists {
		if part > 0 && len(list) == 0 {
			continue
		}
		args := []string{"", "0"}
		if part == 0 {
			args[0] = decimal(int64(parts))
			if len(peers) == 0 && parts == 1 {
				args[1] = decimal(int64(snapshot.Downloaded))
			}
		}
		for _, p := range list {
			newest, err := s.newest(ctx, h, p, before(part, parts))
			if err != nil {
				return 0, err
			}
			args = append(args, address(p.Addr), newest)
		}
		answer, err := s.server.run(ctx, restoreScript, s.keys.part(&h, part), args...)
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
func (s *Store) newest(ctx context.Context, h bittorrent.InfoHash, p *swarm.Peer, from []int) (string, error) {
	own := record(p)
	if len(from) == 0 {
		return own, nil
	}
	w := worker{}
	var places []place
	for _, i := range from {
		places = append(places, s.keys.part(&h, i))
	}
	if err := s.bring(ctx, &w, p.Addr, places); err != nil {
		return "", err
	}
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
