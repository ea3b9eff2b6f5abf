package dynamodb

import (
	"context"
	"fmt"
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
// and each peer is in the answer of one. A torrent that fails keeps no others from being
// purged; the error is that of the first one. At the limit of torrents it gives up those
// without peers.
func (s *Store) Expire(ctx context.Context, before time.Time) (peers int, err error) {
	s.tellDoubts(ctx)
	torrents, whole := s.limit.Count(), true
	var gone atomic.Int64
	var purging errgroup.Group
	purging.SetLimit(purgedAtOnce)
	for bucket := range s.heads {
		failed := s.headsOf(ctx, bucket, 0, 0xff, func(some []listed) error {
			for i := range some {
				if l := some[i]; l.shard == 0 {
					purging.Go(func() error {
						n, left, err := s.purgeTorrent(ctx, l, before.Unix())
						gone.Add(int64(n))
						if left.known() {
							torrents.Saw(l.hash, !left.empty())
						}
						if err != nil {
							err = fmt.Errorf("torrent %v: %w", l.hash, err)
						}
						return err
					})
				}
			}
			return ctx.Err()
		})
		whole = whole && failed == nil
		if err == nil {
			err = failed
		}
		if ctx.Err() != nil {
			break
		}
	}
	if failed := purging.Wait(); err == nil {
		err = failed
	}
	if whole {
		if failed := torrents.End(ctx); err == nil {
			err = failed
		}
	}
	return int(gone.Load()), err
}

// settleTime is how long after a torrent got more shards a tracker may still write to
// those of before.
const settleTime = 10 * time.Second

// purgeTorrent purges the shards of a torrent that may have something to purge, and
// returns what is left of it, as far as is known.
func (s *Store) purgeTorrent(ctx context.Context, l listed, before int64) (gone int, t *torrent, err error) {
	t = &torrent{heads: []head{l.head}}
	if l.shards > 1 {
		all, err := s.readTorrent(ctx, l.hash, l.shards)
		if err != nil {
			return 0, t, err
		}
		t = all
	}
	unsettled, strays := !t.settled() && t.heads[0].grown <= s.now().Add(-settleTime).Unix(), 0
	for shard := range t.shards() {
		h := t.heads[shard]
		if !unsettled && !h.due(before, t.shards()) {
			continue
		}
		p := &purge{Store: s, key: headKey{l.hash, uint8(shard)}, head: h, shards: t.shards(), before: before}
		err := p.run(ctx)
		t.heads[shard] = p.after
		gone, strays = gone+len(p.gone), strays+p.strays
		if err == nil && t.located() && s.groups && len(p.gone) > 0 {
			err = s.replicas.Remove(ctx, l.hash, p.gone, time.Unix(before, 0))
		}
		if err != nil {
			return gone, t, err
		}
	}
	if unsettled && strays == 0 {
		err = s.settle(ctx, l.hash, t.shards())
	}
	return gone, t, err
}

// due reports whether peers must be looked at: one may be too old, or was counted wrongly,
// somebody has asked for it, or nothing is left of the torrent, whose head can go then.
func (h *head) due(before int64, shards int) bool {
	return h.suspected || h.none() && shards == 1 || h.oldest < before && !h.empty()
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
	key     headKey
	head    head
	shards  int
	before  int64
	givesUp bool // the torrent, where it has no peers
	after   head // of the shard, when all was done
	forgot  bool // the torrent is not known any more

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
	p.after = p.head
	if !p.removed.none() { // also with an error: these are gone
		changed, failed := p.tally.add(ctx, p.key, &p.removed, p.head.oldest)
		if failed != nil {
			return failed
		}
		p.after = changed
	}
	if err != nil {
		return err
	}
	return p.conclude(ctx, &p.after)
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
	old, _, err := p.removeIf(ctx, w, int(p.key.shard), ref("t < :t"), item{":t": numberValue(p.before)})
	if !old.there {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = append(p.gone, w.addr)
	p.removed.plus(ref(old.to(was{}, w.addr)))
	return err
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
	old, _, err := p.removeIf(ctx, w, int(p.key.shard), ref("t = :t"), item{":t": numberValue(peer.Last.Unix())})
	if old.there {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.removed.plus(ref(old.to(was{}, w.addr)))
	}
	return err
}
