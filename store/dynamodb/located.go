package dynamodb

import (
	"context"
	"net/netip"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/store/shared"
	"waggle/swarm"
)

var _ shared.Host = (*Store)(nil)

// decides reports whether an announce is decided by the roster of its torrent.
func (s *Store) decides(a *swarm.Announce, t *torrent) bool {
	first := a.Location != nil && a.Event != bittorrent.EventStopped
	return s.groups && (first || t.located())
}

// decide lets the roster that all trackers share decide whom a peer is told of.
func (s *Store) decide(ctx context.Context, a *swarm.Announce, r *swarm.Reply, v *view, t *torrent) error {
	if !t.located() {
		if err := s.noteLocated(ctx, a.InfoHash); err != nil {
			return err
		}
	}
	return s.replicas.Announce(ctx, a, r, v, swarm.Absent)
}

// noteLocated has the torrent's head say that there is a log of it.
func (s *Store) noteLocated(ctx context.Context, h bittorrent.InfoHash) error {
	_, _, err := s.server.update(ctx, &dynamodb.UpdateItemInput{
		Key:                       s.headItem(headKey{hash: h}),
		UpdateExpression:          ref("SET z = :one"),
		ExpressionAttributeValues: item{":one": numberValue(1)},
	})
	s.cache.forget(h)
	return err
}

// Drop is documented at [shared.Host].
func (s *Store) Drop(ctx context.Context, h bittorrent.InfoHash, gone []shared.Gone) (dropped []netip.AddrPort, err error) {
	t, err := s.torrent(ctx, h)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	dropping, inDropping := errgroup.WithContext(ctx)
	dropping.SetLimit(removedAtOnce)
	for _, g := range gone {
		dropping.Go(func() error {
			is, err := s.drop(inDropping, h, t.shards(), g)
			mu.Lock()
			defer mu.Unlock()
			if is {
				dropped = append(dropped, g.Addr)
			}
			return err
		})
	}
	return dropped, dropping.Wait()
}

// drop removes one peer that did not announce later; true: it is not there now.
func (s *Store) drop(ctx context.Context, h bittorrent.InfoHash, shards int, g shared.Gone) (bool, error) {
	w := s.where(h, g.Addr)
	shard := shardOf(w.hash, shards)
	old, is, err := s.removeIf(ctx, w, shard, ref("attribute_not_exists(p) OR t <= :t"), item{":t": numberValue(g.Last.Unix())})
	if err != nil || !old.there {
		return is, err
	}
	_, err = s.tally.add(ctx, headKey{h, uint8(shard)}, ref(old.to(was{}, g.Addr)), g.Last.Unix())
	return true, err
}
