package dynamodb

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"waggle/bittorrent"
	"waggle/swarm"
)

// listed is a head as a listing shows it.
type listed struct {
	headKey
	head
}

// headsOf shows the heads of one partition that begin with bytes from first to last, some
// at a time, as they are now.
func (s *Store) headsOf(ctx context.Context, bucket int, first, last byte, see func([]listed) error) error {
	var some []listed
	in := &dynamodb.QueryInput{
		KeyConditionExpression: ref("p = :p AND s BETWEEN :from AND :to"),
		ExpressionAttributeValues: item{
			":p":    binaryValue([]byte{headPartition, byte(bucket)}),
			":from": binaryValue([]byte{first}),
			":to":   binaryValue(slices.Concat([]byte{last}, bytes.Repeat([]byte{0xff}, 21))),
		},
		ConsistentRead: ref(true),
	}
	return s.server.pages(ctx, in, func(items []item) error {
		some = some[:0]
		for _, i := range items {
			if k, ok := headKeyOf(bytesOf(i, place)); ok {
				some = append(some, listed{k, headOf(i)})
			}
		}
		return see(some)
	})
}

// torrentsOf shows the torrents whose info hashes begin with a byte, in their order, with
// the counts of all of their shards. Unknown ones are not among them.
func (s *Store) torrentsOf(ctx context.Context, first byte, see func([]listed) error) error {
	return s.knownOf(ctx, int(first)&(s.heads-1), first, first, see)
}

func (s *Store) knownOf(ctx context.Context, bucket int, first, last byte, see func([]listed) error) error {
	return s.headsOf(ctx, bucket, first, last, func(some []listed) error {
		known := some[:0:0]
		for _, l := range some {
			if l.shard != 0 {
				continue
			}
			if l.shards > 1 {
				t, err := s.readTorrent(ctx, l.hash, l.shards)
				if err != nil {
					return err
				}
				l.counts = t.counts()
			}
			if !l.none() {
				known = append(known, l)
			}
		}
		if len(known) == 0 {
			return nil
		}
		return see(known)
	})
}

// Torrents returns the info hashes that begin with a byte, in their order.
func (s *Store) Torrents(ctx context.Context, first int) (hashes []bittorrent.InfoHash, err error) {
	err = s.torrentsOf(ctx, byte(first), func(some []listed) error {
		for i := range some {
			hashes = append(hashes, some[i].hash)
		}
		return nil
	})
	return hashes, err
}

// Counts returns how many peers a torrent has, and its completed downloads; ok is false
// where it is not known.
func (s *Store) Counts(ctx context.Context, h bittorrent.InfoHash) (c bittorrent.ScrapeCounts, ok bool, err error) {
	all, err := s.countsOf(ctx, []bittorrent.InfoHash{h})
	if err != nil {
		return c, false, err
	}
	found := all[h]
	return found.scrape(), !found.none(), nil
}

// stopped is how a listing is told to end early.
type stopped struct{}

func (stopped) Error() string { return "nobody wants more" }

// wholeUnless is what is returned where a listing ended with an error.
func wholeUnless(err error) (whole bool, _ error) {
	if errors.Is(err, stopped{}) {
		return false, nil
	}
	return err == nil, err
}

// AllCounts shows the counts of the torrents whose info hashes begin with bytes from the
// first to the last, some at a time. It ends early where see returns false, and says so.
// Of torrents that come or go meanwhile any may be shown; any other is shown once. Hash i
// has the counts i; both are see's until it returns.
func (s *Store) AllCounts(ctx context.Context, first, last byte, see func([]bittorrent.InfoHash, []bittorrent.ScrapeCounts) bool) (whole bool, err error) {
	var hashes []bittorrent.InfoHash
	var counts []bittorrent.ScrapeCounts
	for b := int(first); b <= int(last) && err == nil; b++ {
		err = s.torrentsOf(ctx, byte(b), func(some []listed) error {
			hashes, counts = hashes[:0], counts[:0]
			for i := range some {
				hashes, counts = append(hashes, some[i].hash), append(counts, some[i].scrape())
			}
			if !see(hashes, counts) {
				return stopped{}
			}
			return nil
		})
	}
	return wholeUnless(err)
}

// Walk shows all peers of a torrent, some at a time. Of peers that come, go or change
// meanwhile any may be shown; any other is shown once. It ends early where see returns
// false, and says so. The peers are see's until it returns. buf is used where it has
// room.
func (s *Store) Walk(ctx context.Context, h bittorrent.InfoHash, buf []swarm.Peer, see func([]swarm.Peer) bool) (whole bool, err error) {
	t, err := s.readTorrent(ctx, h, 1)
	if err != nil {
		return false, err
	}
	return wholeUnless(s.walk(ctx, h, t.shards(), buf, see))
}

func (s *Store) walk(ctx context.Context, h bittorrent.InfoHash, shards int, buf []swarm.Peer, see func([]swarm.Peer) bool) error {
	var seen map[netip.AddrPort]struct{} // of a swarm that may just be moving
	if shards > 1 {
		seen = map[netip.AddrPort]struct{}{}
	}
	for shard := range shards {
		err := s.peersIn(ctx, h, shard, func(items []item) error {
			buf = buf[:0]
			for _, i := range items {
				p, ok := peerOf(i)
				if _, twice := seen[p.Addr]; !ok || twice {
					continue
				}
				if buf = append(buf, p); seen != nil {
					seen[p.Addr] = struct{}{}
				}
			}
			if len(buf) > 0 && !see(buf) {
				return stopped{}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// peersIn shows the peers of a shard as they are now, some at a time.
func (s *Store) peersIn(ctx context.Context, h bittorrent.InfoHash, shard int, see func([]item) error) error {
	return s.server.pages(ctx, &dynamodb.QueryInput{
		KeyConditionExpression:    ref("p = :p"),
		ProjectionExpression:      ref("s, o, v, b, f, t"),
		ExpressionAttributeValues: item{":p": binaryValue(peersOf(h, shard))},
		ConsistentRead:            ref(true),
	}, see)
}

// Swarms is documented at [swarm.Store].
func (s *Store) Swarms(ctx context.Context) iter.Seq2[swarm.Snapshot, error] {
	return func(yield func(swarm.Snapshot, error) bool) {
		var peers []swarm.Peer
		err := s.eachTorrent(ctx, func(l *listed) error {
			peers = peers[:0]
			err := s.walk(ctx, l.hash, l.shards, nil, func(some []swarm.Peer) bool {
				peers = append(peers, some...)
				return true
			})
			if err == nil && !yield(swarm.Snapshot{InfoHash: l.hash, Downloaded: l.scrape().Downloaded, Peers: peers}, nil) {
				err = stopped{}
			}
			return err
		})
		if _, err := wholeUnless(err); err != nil {
			yield(swarm.Snapshot{}, err)
		}
	}
}

// eachTorrent shows all known torrents, partition by partition.
func (s *Store) eachTorrent(ctx context.Context, see func(*listed) error) error {
	for bucket := range s.heads {
		if err := s.eachTorrentOf(ctx, bucket, see); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// eachTorrentOf shows the known torrents of a partition of heads, with the counts of all of
// their shards.
func (s *Store) eachTorrentOf(ctx context.Context, bucket int, see func(*listed) error) error {
	return s.knownOf(ctx, bucket, 0, 0xff, func(some []listed) error {
		for i := range some {
			if err := see(&some[i]); err != nil {
				return err
			}
		}
		return nil
	})
}
