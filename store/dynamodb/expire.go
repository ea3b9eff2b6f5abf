package dynamodb

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/swarm"
)

// How many torrents are purged at once, and how many peers of each are removed at once.
const (
	purgedAtOnce  = 4
	removedAtOnce = 8
)

// Expire is documented at [swarm.Store]. It reads the heads of all torrents, and of those
// that may have such peers the peers: a head says before which time no peer announced
// last. A peer is removed only if it is still as old; several trackers may expire at once,
// and each peer is in the answer of one.
func (s *Store) Expire(ctx context.Context, before time.Time) (peers int, err error) {
	s.tellDoubts(ctx)
	var gone atomic.Int64
	for bucket := range s.heads {
		err := s.headsOf(ctx, bucket, 0, 0xff, func(some []listed) error {
			purging, ctx := errgroup.WithContext(ctx)
			purging.SetLimit(purgedAtOnce)
			for i := range some {
				if l := some[i]; l.shard == 0 {
					purging.Go(func() error {
						n, err := s.purgeTorrent(ctx, l, before.Unix())
						gone.Add(int64(n))
						return err
					})
				}
			}
			return purging.Wait()
		})
		if err != nil {
			return int(gone.Load()), err
		}
	}
	return int(gone.Load()), ctx.Err()
}

// settleTime is how long after a torrent got more shards a tracker may still write to
// those of before.
const settleTime = 10 * time.Second

// purgeTorrent purges the shards of a torrent that may have something to purge.
func (s *Store) purgeTorrent(ctx context.Context, l listed, before int64) (gone int, err error) {
	t := &torrent{heads: []head{l.head}}
	if l.shards > 1 {
		if t, err = s.readTorrent(ctx, l.hash, l.shards); err != nil {
			return 0, err
		}
	}
	unsettled, strays := !t.settled() && t.heads[0].grown <= s.now().Add(-settleTime).Unix(), 0
	for shard := range t.shards() {
		h := t.heads[shard]
		if !unsettled && !h.due(before, t.shards()) {
			continue
		}
		p := &purge{Store: s, key: headKey{l.hash, uint8(shard)}, head: h, shards: t.shards(), before: before}
		err := p.run(ctx)
		gone, strays = gone+len(p.gone), strays+p.strays
		if err == nil && t.located() && s.groups && len(p.gone) > 0 {
			err = s.replicas.Remove(ctx, l.hash, p.gone)
		}
		if err != nil {
			return gone, err
		}
	}
	if unsettled && strays == 0 {
		err = s.settle(ctx, l.hash, t.shards())
	}
	return gone, err
}

// due reports whether peers must be looked at: one may be too old, somebody has asked for
// it, or nothing is left of the torrent, whose head can go then.
func (h *head) due(before int64, shards int) bool {
	return h.suspected || h.none() && shards == 1 || h.oldest < before && h.all() > 0
}

// settle says that no peer of a torrent is where fewer shards had it.
func (s *Store) settle(ctx context.Context, h bittorrent.InfoHash, shards int) error {
	_, _, err := s.server.update(ctx, &dynamodb.UpdateItemInput{
		Key:                       s.headItem(headKey{hash: h}),
		UpdateExpression:          ref("SET y = :g"),
		ConditionExpression:       ref("g = :g"),
		ExpressionAttributeValues: item{":g": numberValue(shards)},
	})
	if isCondition(err) { // it has more by now
		return nil
	}
	return err
}

// purge goes through the peers of one shard.
type purge struct {
	*Store
	key    headKey
	head   head
	shards int
	before int64

	mu      sync.Mutex
	gone    []netip.AddrPort
	strays  int
	removed counts // of those that were counted here
	left    census
}

func (p *purge) run(ctx context.Context) error {
	removing, inRemoving := errgroup.WithContext(ctx)
	removing.SetLimit(removedAtOnce)
	err := p.peersIn(ctx, p.key.hash, int(p.key.shard), func(items []item) error {
		for _, i := range items {
			p.see(inRemoving, removing, i)
		}
		return inRemoving.Err()
	})
	if failed := removing.Wait(); failed != nil {
		err = failed
	}
	now := p.head
	if !p.removed.none() { // also with an error: these are gone
		changed, failed := p.tally.add(ctx, p.key, &p.removed, p.head.oldest)
		if failed != nil {
			return failed
		}
		now = changed
	}
	if err != nil {
		return err
	}
	return p.conclude(ctx, &now)
}

// see looks at a peer, and has it removed or moved where it must be.
func (p *purge) see(ctx context.Context, removing *errgroup.Group, i item) {
	peer, ok := peerOf(i)
	if !ok {
		return
	}
	w := p.where(p.key.hash, peer.Addr)
	switch {
	case peer.Last.Unix() < p.before:
		removing.Go(func() error { return p.remove(ctx, w) })
	case shardOf(w.hash, p.shards) != int(p.key.shard):
		p.strays++
		removing.Go(func() error { return p.move(ctx, w, &peer) })
	default:
		p.left.see(i, &peer)
	}
}

// remove takes out a peer that is too old still.
func (p *purge) remove(ctx context.Context, w where) error {
	old, _, err := p.removeIf(ctx, w, "t < :t", p.before)
	if !old.there {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = append(p.gone, w.addr)
	p.removed.plus(ref(old.to(was{}, w.addr)))
	return err
}

// removeIf removes a peer from the shard under a condition on its last announce, and
// returns what it was, and whether the condition held.
func (p *purge) removeIf(ctx context.Context, w where, condition string, t int64) (old was, held bool, err error) {
	i, tried, err := p.server.remove(ctx, &dynamodb.DeleteItemInput{
		Key: w.in(int(p.key.shard)), ConditionExpression: &condition, ExpressionAttributeValues: item{":t": numberValue(t)},
	})
	refused := isCondition(err)
	if refused {
		err = nil
	}
	if err == nil && i == nil && tried.unknown > 0 { // an attempt before may have done it
		p.suspect(ctx, w.infoHash)
	}
	return wasOf(bytesOf(i, order)), err == nil && !refused, err
}

// move brings a stray to its shard, unless it is there already.
func (p *purge) move(ctx context.Context, w where, peer *swarm.Peer) error {
	shard := shardOf(w.hash, p.shards)
	_, written, _, err := p.putPeer(ctx, w, shard, peer, "attribute_not_exists(p)")
	if err != nil {
		return err
	}
	if written {
		if _, err := p.tally.add(ctx, headKey{w.infoHash, uint8(shard)}, ref(was{}.to(was{true, peer.Kind}, w.addr)), peer.Last.Unix()); err != nil {
			return err
		}
	}
	old, _, err := p.removeIf(ctx, w, "t = :t", peer.Last.Unix())
	if old.there {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.removed.plus(ref(old.to(was{}, w.addr)))
	}
	return err
}
