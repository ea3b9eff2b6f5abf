package s3

import (
	"context"
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/roster"
)

// Tend is documented at [roster.Store].
func (s *Store) Tend(ctx context.Context, now time.Time, grace time.Duration) (peers int, err error) {
	if s.replicas == nil {
		return 0, nil
	}
	return s.replicas.Tend(ctx, now, grace)
}

// Probable is documented at [roster.Store].
func (s *Store) Probable(ctx context.Context) ([]roster.Probe, error) {
	if s.replicas == nil {
		return nil, nil
	}
	return s.replicas.Probable(ctx)
}

// Probed is documented at [roster.Store].
func (s *Store) Probed(ctx context.Context, p roster.Probe, ok bool) (dead bool, err error) {
	if s.replicas == nil {
		return false, nil
	}
	return s.replicas.Probed(ctx, p, ok)
}

// Explain is documented at [roster.Store].
func (s *Store) Explain(ctx context.Context, h bittorrent.InfoHash, addr netip.AddrPort) (e roster.Explanation, ok bool, err error) {
	if s.replicas == nil {
		return e, false, nil
	}
	return s.replicas.Explain(ctx, h, addr)
}

// Places is documented at [roster.Store].
func (s *Store) Places(ctx context.Context, h bittorrent.InfoHash) ([]roster.Place, error) {
	if s.replicas == nil {
		return nil, nil
	}
	return s.replicas.Places(ctx, h)
}

// Members is documented at [roster.Store].
func (s *Store) Members(ctx context.Context, h bittorrent.InfoHash, see func([]roster.Member) bool) error {
	if s.replicas == nil {
		return nil
	}
	return s.replicas.Members(ctx, h, see)
}
