package dynamodb

import (
	"context"
	"math"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"waggle/bittorrent"
	"waggle/store/faraway"
	"waggle/swarm"
)

// newLimit is by what torrents are given up: their runs are the partitions of heads.
func newLimit(s *Store, most int) *faraway.TorrentLimit {
	return &faraway.TorrentLimit{
		Most: most, Totals: s.totals, Runs: s.heads, Key: [2]uint64{s.hasher.k0, s.hasher.k1},
		RunOf: func(h bittorrent.InfoHash) int { return int(h[0]) & (s.heads - 1) },
		List: func(ctx context.Context, bucket int, see func(bittorrent.InfoHash, bool)) error {
			return s.eachTorrentOf(ctx, bucket, func(l *listed) error {
				see(l.hash, !l.empty())
				return nil
			})
		},
		GiveUp: s.giveUp,
	}
}

// fullFor returns the limits that an announce comes up against. At that of torrents, one
// that was not known some seconds ago is asked for again.
func (s *Store) fullFor(a *swarm.Announce) (full faraway.Full) {
	if a.Event == bittorrent.EventStopped {
		return full
	}
	full = s.totals.Full()
	if known := s.cache.get(a.InfoHash); full.Torrents && known != nil && !known.known() {
		s.cache.forget(a.InfoHash)
	}
	return full
}

// giveUp forgets a torrent that is kept for its completed count only, and reports whether it
// is not known any more. It looks again where somebody changed it, or was quicker.
func (s *Store) giveUp(ctx context.Context, h bittorrent.InfoHash) (gone bool, err error) {
	for tries := 2; tries > 0 && !gone && err == nil; tries-- {
		gone, err = s.giveUpOnce(ctx, h)
	}
	return gone, err
}

// giveUpOnce deletes the head in one step with a look at it, after one at the peers: so a
// torrent that gets a peer meanwhile lives. Of one that has several shards only the counts
// go, those of each if they have not changed.
func (s *Store) giveUpOnce(ctx context.Context, h bittorrent.InfoHash) (gone bool, err error) {
	t, err := s.readTorrent(ctx, h, 1)
	switch {
	case err != nil:
		return false, err
	case !t.known():
		return true, nil
	case !t.empty():
		return false, nil
	case t.shards() == 1:
		p := &purge{Store: s, key: headKey{hash: h}, head: t.heads[0], shards: 1, before: math.MinInt64, givesUp: true}
		err = p.run(ctx)
		return p.forgot, err
	}
	gone = true
	for shard := range t.shards() {
		if t.heads[shard].completed != 0 && gone && err == nil {
			gone, err = s.dropCompleted(ctx, headKey{h, uint8(shard)}, &t.heads[shard])
		}
	}
	return gone, err
}

// dropCompleted makes the completed count of a shard 0, unless its counts have changed, and
// reports whether it did.
func (s *Store) dropCompleted(ctx context.Context, k headKey, now *head) (done bool, err error) {
	values := item{":one": numberValue(1), ":now": numberValue(s.now().UnixNano())}
	condition := now.ifVersion(values)
	_, _, err = s.server.update(ctx, &dynamodb.UpdateItemInput{
		Key: s.headItem(k), UpdateExpression: ref("SET w = if_not_exists(w, :now) + :one REMOVE c"),
		ConditionExpression: &condition, ExpressionAttributeValues: values,
	})
	s.cache.forget(k.hash)
	if isCondition(err) {
		return false, nil
	}
	return err == nil, err
}
