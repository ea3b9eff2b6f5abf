package dynamodb

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/swarm"
)

// restoredAtOnce is how many peers are written at once.
const restoredAtOnce = 32

// Restore is documented at [swarm.Restorer].
func (s *Store) Restore(ctx context.Context, snapshot swarm.Snapshot) error {
	full := s.totals.Full()
	if full.Torrents {
		if t, err := s.readTorrent(ctx, snapshot.InfoHash, 1); err != nil {
			return err
		} else if !t.known() {
			return fmt.Errorf("%w: torrent %v is left out", swarm.ErrFull, snapshot.InfoHash)
		}
	}
	if len(snapshot.Peers) > 0 && full.Peers {
		return fmt.Errorf("%w: %d peers of %v are left out", swarm.ErrFull, len(snapshot.Peers), snapshot.InfoHash)
	}
	if err := s.restoreCompleted(ctx, snapshot.InfoHash, int64(snapshot.Downloaded)); err != nil {
		return err
	}
	t, err := s.torrent(ctx, snapshot.InfoHash)
	if err != nil {
		return err
	}
	writing, inWriting := errgroup.WithContext(ctx)
	writing.SetLimit(restoredAtOnce)
	for i := range snapshot.Peers {
		if inWriting.Err() != nil {
			break
		}
		p := snapshot.Peers[i]
		writing.Go(func() error { return s.restorePeer(ctx, snapshot.InfoHash, &p, t) })
	}
	if err := writing.Wait(); err != nil {
		return err
	}
	return s.restoreOldest(ctx, snapshot, t.shards())
}

func (s *Store) restorePeer(ctx context.Context, h bittorrent.InfoHash, p *swarm.Peer, t *torrent) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	r := &recording{Store: s, where: s.where(h, p.Addr), is: was{true, p.Kind}, peer: *p, condition: ifNotNewer}
	return r.record(ctx, t)
}

// restoreOldest has the heads know of peers that announced before those that were there.
func (s *Store) restoreOldest(ctx context.Context, snapshot swarm.Snapshot, shards int) error {
	oldest := map[int]int64{}
	for i := range snapshot.Peers {
		p := &snapshot.Peers[i]
		shard := shardOf(s.hasher.of(snapshot.InfoHash, p.Addr), shards)
		if last, has := oldest[shard]; !has || p.Last.Unix() < last {
			oldest[shard] = p.Last.Unix()
		}
	}
	for shard, last := range oldest {
		if err := s.lower(ctx, headKey{snapshot.InfoHash, uint8(shard)}, last); err != nil {
			return err
		}
	}
	s.cache.forget(snapshot.InfoHash)
	return nil
}

// restoreCompleted makes the completed count of a torrent at least as large as it was.
func (s *Store) restoreCompleted(ctx context.Context, h bittorrent.InfoHash, completed int64) error {
	for {
		t, err := s.readTorrent(ctx, h, 1)
		if err != nil {
			return err
		}
		c := t.counts()
		if c.completed >= completed {
			return nil
		}
		condition, values := "attribute_not_exists(c)", item{
			":more": numberValue(completed - c.completed), ":one": numberValue(1), ":now": numberValue(s.now().UnixNano()),
		}
		if t.heads[0].completed > 0 {
			condition, values[":c"] = "c = :c", numberValue(t.heads[0].completed)
		}
		_, _, err = s.server.update(ctx, &dynamodb.UpdateItemInput{
			Key:                       s.headItem(headKey{hash: h}),
			UpdateExpression:          ref("SET w = if_not_exists(w, :now) + :one ADD c :more"),
			ConditionExpression:       &condition,
			ExpressionAttributeValues: values,
		})
		s.cache.forget(h)
		if err == nil && !t.known() {
			s.totals.TorrentCame()
		}
		if !isCondition(err) {
			return err
		}
	}
}
