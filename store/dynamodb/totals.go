package dynamodb

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Totals is documented at [swarm.Store]. It reads the heads of all torrents, unless they
// were read within Options.TotalsAge.
func (s *Store) Totals(ctx context.Context) (swarm.Totals, error) { return s.totals.Get(ctx) }

// together is how many partitions of heads are read at once.
const together = 16

// countAll adds up all heads.
func (s *Store) countAll(ctx context.Context) (n swarm.Totals, err error) {
	var mu sync.Mutex
	spread := map[bittorrent.InfoHash]*counts{} // torrents of several shards
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(together)
	for bucket := range s.heads {
		asking.Go(func() error {
			return s.headsOf(ctx, bucket, 0, 0xff, func(some []listed) error {
				mu.Lock()
				defer mu.Unlock()
				for i := range some {
					if l := &some[i]; l.shard == 0 && l.shards == 1 {
						addTotals(&n, &l.counts)
					} else {
						if spread[l.hash] == nil {
							spread[l.hash] = &counts{}
						}
						spread[l.hash].plus(&l.counts)
					}
				}
				return nil
			})
		})
	}
	if err := asking.Wait(); err != nil {
		return swarm.Totals{}, err
	}
	for _, c := range spread {
		addTotals(&n, c)
	}
	return n, nil
}

func addTotals(n *swarm.Totals, c *counts) {
	if c.none() {
		return
	}
	n.Torrents++
	n.Peers += int(c.all())
	n.Seeders += int(c.kind(swarm.Seeder))
}
