package console

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"

	"waggle/bittorrent"
	"waggle/catalog"
)

// swarmSorts are the orders of the list of swarms.
var swarmSorts = []string{"name", "size", "peers", "seeders", "leechers", "completed", "registered"}

// swarmOrder is an order of swarms.
type swarmOrder struct {
	by         string // one of swarmSorts
	descending bool
}

// byCounts reports whether the order needs counts.
func (o swarmOrder) byCounts() bool {
	return o.by == "peers" || o.by == "seeders" || o.by == "leechers" || o.by == "completed"
}

// swarmKey is where a swarm stands in an order: those that are last come last, whatever
// the order, others by number, then by name as [catalog.CompareNames] has it, then by hash.
// No two swarms have the same.
type swarmKey struct {
	last   bool   // nobody knows its number
	number int64  // in descending orders its complement
	name   string // in the descending order of names they are the other way round
	hash   bittorrent.InfoHash
}

// key returns where a transfer stands, or the unlisted swarm of a hash where t is nil.
func (o swarmOrder) key(h bittorrent.InfoHash, t *catalog.Transfer, c *bittorrent.ScrapeCounts) swarmKey {
	k := swarmKey{hash: h}
	if t != nil {
		k.name = catalog.Key(t.Name)
	}
	switch {
	case o.byCounts():
		k.number = o.count(c)
	case t == nil:
		k.last = true
		return k
	case o.by == "size":
		k.number = t.Size
	case o.by == "registered":
		k.number = t.Registered.UnixMilli()
	}
	k.number = o.turned(k.number)
	return k
}

// count returns the one of the counts that the order is by.
func (o swarmOrder) count(c *bittorrent.ScrapeCounts) int64 {
	switch o.by {
	case "peers":
		return peersIn(c)
	case "seeders":
		return int64(c.Complete)
	case "leechers":
		return int64(c.Incomplete)
	}
	return int64(c.Downloaded)
}

// turned returns a number so that lower ones come first.
func (o swarmOrder) turned(number int64) int64 {
	if o.descending {
		return ^number
	}
	return number
}

// sign tells cursors of one order from those of others.
func (o swarmOrder) sign() byte {
	sign := byte(slices.Index(swarmSorts, o.by) << 1)
	if o.descending {
		sign++
	}
	return sign
}

// keyHead is the length of a cursor's bytes before the name.
const keyHead = 2 + 8 + len(bittorrent.InfoHash{})

// cursor returns a key as a cursor.
func (o swarmOrder) cursor(k *swarmKey) string {
	b := []byte{o.sign(), 0}
	if k.last {
		b[1] = 1
	}
	b = binary.BigEndian.AppendUint64(b, uint64(k.number))
	b = append(b, k.hash[:]...)
	return base64.RawURLEncoding.EncodeToString(append(b, k.name...))
}

// parseKey reads a cursor. The empty one is nil, before all others. The error is
// [catalog.ErrCursor].
func (o swarmOrder) parseKey(cursor string) (*swarmKey, error) {
	if cursor == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < keyHead || len(b) > keyHead+catalog.MaxKey || b[0] != o.sign() || b[1] > 1 {
		return nil, fmt.Errorf("%.80q: %w in this order: begin with the first page", cursor, catalog.ErrCursor)
	}
	return &swarmKey{
		last: b[1] == 1, number: int64(binary.BigEndian.Uint64(b[2:])),
		hash: bittorrent.InfoHash(b[10:keyHead]), name: string(b[keyHead:]),
	}, nil
}
