package dynamodb

import (
	"context"

	"waggle/bittorrent"
	"waggle/store/shared"
)

// Map is what located peers share.
func (s *Store) Map() shared.Map { return s.shared }

// Shards returns how many shards a torrent has.
func (s *Store) Shards(ctx context.Context, h bittorrent.InfoHash) (int, error) {
	t, err := s.readTorrent(ctx, h, 1)
	if err != nil {
		return 0, err
	}
	return t.shards(), nil
}

// DecodePayload reads a payload and returns how many entries it has.
func DecodePayload(b []byte) (entries int, again []byte, err error) {
	p, err := decodePayload(b)
	if err != nil {
		return 0, nil, err
	}
	return len(p.announced) + len(p.records), p.encode(), nil
}

// WaitForTotals waits until nobody counts for the limits.
func (s *Store) WaitForTotals() { s.totals.Wait() }
