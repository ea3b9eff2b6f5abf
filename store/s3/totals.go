package s3

import (
	"context"
	"math"
	"time"

	"waggle/store/faraway"
	"waggle/swarm"
)

// firstCount is how long after the start is counted for the limits first: each
// environment of a function starts anew, and most do not live for long.
const firstCount = time.Minute

func newTotals(s *Store, o *Options) *faraway.Totals {
	return faraway.NewTotals(faraway.TotalsOptions{
		Count: s.countAll, Age: o.TotalsAge, MostPeers: o.MaxPeers, MostTorrents: o.MaxTorrents, First: o.Now().Add(firstCount), Life: s.life, Now: o.Now, Log: o.Log,
	})
}

// Totals is documented at [swarm.Store]. It lists all torrents, and reads those that were
// changed since this tracker did, unless it did within Options.TotalsAge.
func (s *Store) Totals(ctx context.Context) (swarm.Totals, error) { return s.totals.Get(ctx) }

func (s *Store) countAll(ctx context.Context) (n swarm.Totals, err error) {
	err = s.eachPage(ctx, 0, math.MaxUint8, func(some []total) error {
		for i := range some {
			n.Torrents++
			n.Peers += int(some[i].peers())
			n.Seeders += int(some[i].kind(swarm.Seeder))
		}
		return nil
	})
	if err != nil {
		return swarm.Totals{}, err
	}
	return n, nil
}
