package shared

import (
	"context"
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/roster"
)

// None is the [roster.Store] of a store without located peers.
type None struct{}

var (
	_ roster.Store = None{}
	_ roster.Store = (*Replicas)(nil)
)

// Tend has nobody to forget.
func (None) Tend(context.Context, time.Time, time.Duration) (int, error) { return 0, nil }

// Probable returns nobody.
func (None) Probable(context.Context) ([]roster.Probe, error) { return nil, nil }

// Probed knows nobody.
func (None) Probed(context.Context, roster.Probe, bool) (bool, error) { return false, nil }

// Explain knows nobody.
func (None) Explain(context.Context, bittorrent.InfoHash, netip.AddrPort) (e roster.Explanation, ok bool, err error) {
	return e, false, nil
}

// Places returns none.
func (None) Places(context.Context, bittorrent.InfoHash) ([]roster.Place, error) { return nil, nil }

// Members shows nobody.
func (None) Members(context.Context, bittorrent.InfoHash, func([]roster.Member) bool) error {
	return nil
}
