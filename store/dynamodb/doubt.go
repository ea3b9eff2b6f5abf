package dynamodb

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// doubts are shards of torrents whose counts may be wrong by a peer, because an answer was
// lost, and of which the table was not told yet.
type doubts struct {
	mu  sync.Mutex
	all map[headKey]struct{}
}

// mostDoubts bounds them; the counts of others are put right when their peers are read.
const mostDoubts = 1 << 14

func (d *doubts) add(k headKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil {
		d.all = map[headKey]struct{}{}
	}
	if len(d.all) < mostDoubts {
		d.all[k] = struct{}{}
	}
}

// addIf notes a shard where an attempt to change a peer may have been made, and is not
// known to have been the only change.
func (d *doubts) addIf(k headKey, t tried) {
	if t.unknown > 0 {
		d.add(k)
	}
}

func (d *doubts) take() map[headKey]struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.all
	d.all = nil
	return all
}

// suspect has the next Expire look at a shard whose counts may be wrong, of whichever
// tracker; where that cannot be written down, of this one.
func (s *Store) suspect(ctx context.Context, k headKey) {
	_, _, err := s.server.update(ctx, &dynamodb.UpdateItemInput{
		Key:                       s.headItem(k),
		UpdateExpression:          ref("SET t = :zero"),
		ExpressionAttributeValues: item{":zero": numberValue(0)},
	})
	if err != nil {
		s.doubts.add(k)
	}
}

// tellDoubts writes down what could not be before.
func (s *Store) tellDoubts(ctx context.Context) {
	for k := range s.doubts.take() {
		s.suspect(ctx, k)
	}
}
