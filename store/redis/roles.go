package redis

import (
	"context"
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/store/shared"
)

// host drops peers for the replicas.
type host struct{ *Store }

// Drop is documented at [shared.Host].
func (s host) Drop(ctx context.Context, h bittorrent.InfoHash, gone []shared.Gone) (dropped []netip.AddrPort, err error) {
	w := s.worker()
	defer s.workers.Put(w)
	for _, g := range gone {
		w.reset(g.Addr)
		left, err := s.leave(ctx, w, h, g.Addr, seconds(g.Last.Add(time.Second)))
		if err != nil {
			return dropped, err
		}
		if left {
			dropped = append(dropped, g.Addr)
		}
	}
	return dropped, nil
}
