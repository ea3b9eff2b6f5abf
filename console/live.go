package console

import (
	"context"
	"math"
	"net/netip"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console/client"
	"waggle/swarm"
)

// takeWalk waits for one of the places of walks, which freeWalk gives back.
func (a *api) takeWalk(ctx context.Context) error {
	select {
	case a.walks <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *api) freeWalk() { <-a.walks }

// walk shows all peers of a torrent, some at a time, until see returns false. The error
// is that of ctx, or the store's.
func (a *api) walk(ctx context.Context, h bittorrent.InfoHash, buf []swarm.Peer, see func([]swarm.Peer) bool) error {
	_, err := a.swarms.Walk(ctx, h, buf, func(peers []swarm.Peer) bool { return see(peers) && ctx.Err() == nil })
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// live looks at all peers of a transfer. The error is that of ctx, or the store's.
func (a *api) live(ctx context.Context, t *catalog.Transfer) (client.Live, error) {
	count := liveCount{size: t.Size}
	hashes := t.InfoHashes()
	if len(hashes) > 1 {
		count.seen = map[netip.AddrPort]struct{}{}
	}
	counts := make([]bittorrent.ScrapeCounts, len(hashes))
	if err := a.swarms.Scrape(ctx, hashes, counts); err != nil {
		return client.Live{}, err
	}
	for i, h := range hashes {
		// A client of a hybrid torrent completes in both swarms, if it is in both.
		count.Downloaded = max(count.Downloaded, uint64(counts[i].Downloaded))
		err := a.walk(ctx, h, nil, func(peers []swarm.Peer) bool {
			for i := range peers {
				count.add(&peers[i])
			}
			return true
		})
		if err != nil {
			return client.Live{}, err
		}
	}
	return count.live(), nil
}

// liveCount adds up the peers of a transfer.
type liveCount struct {
	client.Live
	size    int64
	missing float64                     // of the torrent, over all peers: a peer that has nothing is 1
	seen    map[netip.AddrPort]struct{} // peers of two swarms; nil: there is one
}

func (c *liveCount) add(p *swarm.Peer) {
	if c.seen != nil {
		if _, twice := c.seen[p.Addr]; twice {
			return
		}
		c.seen[p.Addr] = struct{}{}
	}
	c.Peers++
	left := min(max(p.Left, 0), c.size) // bittorrent.LeftUnknown is more than any size
	switch p.Kind {
	case swarm.Seeder:
		c.Seeders++
		left = 0
	case swarm.PartialSeed:
		c.PartialSeeds++
	default:
		c.Leechers++
	}
	if c.Left > math.MaxInt64-left {
		c.Left = math.MaxInt64
	} else {
		c.Left += left
	}
	if c.size > 0 {
		c.missing += float64(left) / float64(c.size)
	}
}

func (c *liveCount) live() client.Live {
	if c.Peers > 0 {
		c.Progress = min(max(1-c.missing/float64(c.Peers), 0), 1)
	}
	return c.Live
}
