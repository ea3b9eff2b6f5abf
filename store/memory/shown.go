package memory

import (
	"context"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Shown is a store as people look at it, and at those on a network too: with contexts and
// errors, of which memory has no need.
type Shown struct{ *Store }

// Torrents is [Store.Torrents].
func (s Shown) Torrents(_ context.Context, first int) ([]bittorrent.InfoHash, error) {
	return s.Store.Torrents(first), nil
}

// AllCounts is [Store.AllCounts].
func (s Shown) AllCounts(_ context.Context, first, last byte, see func([]bittorrent.InfoHash, []bittorrent.ScrapeCounts) bool) (whole bool, err error) {
	return s.Store.AllCounts(first, last, see), nil
}

// Walk is [Store.Walk].
func (s Shown) Walk(_ context.Context, h bittorrent.InfoHash, buf []swarm.Peer, see func([]swarm.Peer) bool) (whole bool, err error) {
	return s.Store.Walk(h, buf, see), nil
}
