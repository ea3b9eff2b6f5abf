package dynamodb

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"waggle/bittorrent"
)

// doubts are torrents whose counts may be wrong by a peer, because an answer was lost,
// and of which the table could not be told yet.
type doubts struct {
	mu  sync.Mutex
	all map[bittorrent.InfoHash]struct{}
}

// mostDoubts bounds them; the counts of others are put right when their peers are read.
const mostDoubts = 1 << 14

func (d *doubts) add(h bittorrent.InfoHash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil {
		d.all = map[bittorrent.InfoHash]struct{}{}
	}
	if len(d.all) < mostDoubts {
		d.all[h] = struct{}{}
	}
}

func (d *doubts) take() map[bittorrent.InfoHash]struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.all
	d.all = nil
	return all
}

// suspect has the next Expire look at a torrent whose counts may be wrong, of whichever
// tracker; where that cannot be written down, of this one.
func (s *Store) suspect(ctx context.Context, h bittorrent.InfoHash) {
	_, _, err := s.server.update(ctx, &dynamodb.UpdateItemInput{
		Key:                       s.headItem(headKey{hash: h}),
		UpdateExpression:          ref("SET t = :zero"),
		ExpressionAttributeValues: item{":zero": numberValue(0)},
	})
	if err != nil {
		s.doubts.add(h)
	}
}

// doubtIf notes a torrent where a change failed, and may have been made all the same.
func (s *Store) doubtIf(h bittorrent.InfoHash, t tried, err error) {
	if err != nil && !isCondition(err) && t.unknown > 0 {
		s.doubts.add(h)
	}
}

// tellDoubts writes down what could not be before.
func (s *Store) tellDoubts(ctx context.Context) {
	for h := range s.doubts.take() {
		s.suspect(ctx, h)
	}
}
