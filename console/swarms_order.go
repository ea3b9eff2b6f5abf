package console

import (
	"cmp"
	"container/heap"
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

// swarmKey is where a swarm stands in an order. No two swarms have the same.
type swarmKey struct {
	last   bool  // nobody knows: it comes last, whatever the order
	number int64 // in descending orders its complement
	name   string
	hash   bittorrent.InfoHash
}

// maxKeyName is how many bytes of a name count, so that cursors are bounded.
const maxKeyName = 256

// key returns where a transfer stands, or the unlisted swarm of a hash where t is nil.
func (o swarmOrder) key(h bittorrent.InfoHash, t *catalog.Transfer, c *bittorrent.ScrapeCounts) swarmKey {
	k := swarmKey{hash: h}
	if t != nil {
		k.name = t.Name[:min(len(t.Name), maxKeyName)]
	}
	switch o.by {
	case "peers":
		k.number = peersIn(c)
	case "seeders":
		k.number = int64(c.Complete)
	case "leechers":
		k.number = int64(c.Incomplete)
	case "completed":
		k.number = int64(c.Downloaded)
	default:
		if k.last = t == nil; k.last {
			return k
		}
		switch o.by {
		case "size":
			k.number = t.Size
		case "registered":
			k.number = t.Registered.UnixMilli()
		}
	}
	if o.descending {
		k.number = ^k.number
	}
	return k
}

// compare orders keys.
func (o swarmOrder) compare(a, b *swarmKey) int {
	if a.last != b.last {
		if a.last {
			return 1
		}
		return -1
	}
	if c := cmp.Compare(a.number, b.number); c != 0 {
		return c
	}
	c := compareNames(a.name, b.name)
	if o.descending && o.by == "name" {
		c = -c
	}
	if c != 0 {
		return c
	}
	return compareHashes(a.hash, b.hash)
}

// compareNames orders names as bytes, and ASCII letters without regard to case.
func compareNames(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
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
	if err != nil || len(b) < keyHead || len(b) > keyHead+maxKeyName || b[0] != o.sign() || b[1] > 1 {
		return nil, fmt.Errorf("%.80q: %w in this order: begin with the first page", cursor, catalog.ErrCursor)
	}
	return &swarmKey{
		last: b[1] == 1, number: int64(binary.BigEndian.Uint64(b[2:])),
		hash: bittorrent.InfoHash(b[10:keyHead]), name: string(b[keyHead:]),
	}, nil
}

// foundSwarm is a swarm of a page.
type foundSwarm struct {
	key      swarmKey
	listed   bool
	counted  bool              // counts are those of a moment ago
	transfer *catalog.Transfer // if listed; the catalogue's own
	counts   bittorrent.ScrapeCounts
}

// firstSwarms picks of many swarms, in any order, those that come first after a place,
// and counts all. It holds no more than it is to pick: a heap, whose root is the last
// of them.
type firstSwarms struct {
	order swarmOrder
	after *swarmKey // nil: before all
	limit int       // at least 1
	total int
	heap  []*foundSwarm
}

// see considers a transfer, whose counts matter where the order is by them.
func (f *firstSwarms) see(t *catalog.Transfer, c bittorrent.ScrapeCounts) {
	f.total++
	k := f.order.key(t.InfoHash, t, &c)
	if kept := f.keep(&k); kept != nil {
		kept.listed, kept.transfer, kept.counts, kept.counted = true, t, c, f.order.byCounts()
	}
}

func (f *firstSwarms) seeUnlisted(h bittorrent.InfoHash, c bittorrent.ScrapeCounts) {
	f.total++
	k := f.order.key(h, nil, &c)
	if kept := f.keep(&k); kept != nil {
		kept.listed, kept.counts, kept.counted = false, c, true
	}
}

// keep returns where a swarm of a key is to be put, or nil if it is not among the
// first.
func (f *firstSwarms) keep(k *swarmKey) *foundSwarm {
	if f.after != nil && f.order.compare(k, f.after) <= 0 {
		return nil
	}
	if len(f.heap) < f.limit {
		kept := &foundSwarm{key: *k}
		heap.Push(f, kept)
		return kept
	}
	last := f.heap[0]
	if f.order.compare(k, &last.key) >= 0 {
		return nil
	}
	last.key = *k
	heap.Fix(f, 0)
	return last
}

// list returns those that were picked, in their order. Nothing may be seen after.
func (f *firstSwarms) list() []*foundSwarm {
	slices.SortFunc(f.heap, func(a, b *foundSwarm) int { return f.order.compare(&a.key, &b.key) })
	return f.heap
}

// Len is of [heap.Interface].
func (f *firstSwarms) Len() int { return len(f.heap) }

// Less is of [heap.Interface].
func (f *firstSwarms) Less(i, j int) bool {
	return f.order.compare(&f.heap[i].key, &f.heap[j].key) > 0
}

// Swap is of [heap.Interface].
func (f *firstSwarms) Swap(i, j int) { f.heap[i], f.heap[j] = f.heap[j], f.heap[i] }

// Push is of [heap.Interface].
func (f *firstSwarms) Push(s any) { f.heap = append(f.heap, s.(*foundSwarm)) }

// Pop is of [heap.Interface].
func (f *firstSwarms) Pop() any {
	last := f.heap[len(f.heap)-1]
	f.heap = f.heap[:len(f.heap)-1]
	return last
}
