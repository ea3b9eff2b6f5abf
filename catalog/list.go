package catalog

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"waggle/bittorrent"
)

// Pages of lists: what a limit of 0 means, and the most that one page has.
const (
	defaultPage = 100
	maxPage     = 1000
)

func pageSize(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, maxPage)
}

// List returns a page of the transfers, ordered by the bytes of the [Key] of their names
// and then by info hash, and the cursor by which the next page is asked for, "" after
// the last. after is "" for the first page. limit is at most 1,000; 0 is 100. active
// chooses those that are, or are not; nil is all. A transfer that is there all the
// while is listed once, whatever else comes and goes between pages. The error is
// [ErrCursor].
func (c *Catalog) List(after string, limit int, active *bool) (page []Transfer, next string, err error) {
	limit = pageSize(limit)
	var from place
	if after != "" {
		if from, err = parsePlace(after); err != nil {
			return nil, "", err
		}
	}
	c.order.mu.RLock()
	defer c.order.mu.RUnlock()
	at, found := c.order.search(from)
	if found {
		at++
	}
	for _, e := range c.order.entries[at:] {
		if active != nil && e.record.Active() != *active {
			continue
		}
		if len(page) == limit {
			return page, placeOfTransfer(&page[limit-1]).String(), nil
		}
		page = append(page, e.snapshot().Transfer)
	}
	return page, "", nil
}

// Len returns the number of transfers, active or not.
func (c *Catalog) Len() int {
	c.order.mu.RLock()
	defer c.order.mu.RUnlock()
	return len(c.order.entries)
}

// MaxTorrents returns the most transfers that there may be.
func (c *Catalog) MaxTorrents() int { return c.o.MaxTorrents }

// LenActive returns the number of transfers that are active.
func (c *Catalog) LenActive() int {
	c.order.mu.RLock()
	defer c.order.mu.RUnlock()
	return c.order.active
}

// Named returns the transfers whose torrent or whose .torrent file has exactly this
// name, ordered like [Catalog.List].
func (c *Catalog) Named(name string) []Transfer {
	c.order.mu.RLock()
	defer c.order.mu.RUnlock()
	var named []Transfer
	at, _ := c.order.search(place{name: Key(name)})
	for _, e := range c.order.entries[at:] {
		if Key(e.record.Name) != Key(name) {
			break
		}
		if e.record.Name == name {
			named = append(named, e.snapshot().Transfer)
		}
	}
	for _, h := range c.order.byFile[name] {
		if e := c.index.get(&h); e != nil && e.record.Name != name {
			named = append(named, e.snapshot().Transfer)
		}
	}
	slices.SortFunc(named, func(a, b Transfer) int {
		return placeOfTransfer(&a).compare(placeOfTransfer(&b))
	})
	return named
}

// History returns a page of the periods that have ended, the latest first, and the
// cursor of the next page, "" after the last. after and limit are as in
// [Catalog.List]. The store keeps the latest 100,000. The error is [ErrCursor], or
// one of the store.
func (c *Catalog) History(ctx context.Context, after string, limit int) (page []Period, next string, err error) {
	before := int64(0)
	if after != "" {
		if before, err = strconv.ParseInt(after, 10, 64); err != nil || before <= 0 {
			return nil, "", fmt.Errorf("%.80q: %w: begin with the first page", after, ErrCursor)
		}
	}
	page, last, err := c.o.Store.History(ctx, before, pageSize(limit))
	if err != nil || last == 0 {
		return page, "", err
	}
	return page, strconv.FormatInt(last, 10), nil
}

// place is where a transfer stands in the list.
type place struct {
	name string // no more than its [Key]
	hash bittorrent.InfoHash
}

func placeOf(e *entry) place { return placeOfTransfer(&e.record.Transfer) }

func placeOfTransfer(t *Transfer) place { return place{Key(t.Name), t.InfoHash} }

func (p place) compare(q place) int {
	return cmp.Or(strings.Compare(p.name, q.name), compareHashes(&p.hash, &q.hash))
}

// String returns the place as a cursor.
func (p place) String() string {
	return base64.RawURLEncoding.EncodeToString(append(p.hash[:], p.name...))
}

func parsePlace(cursor string) (place, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	var p place
	if err != nil || len(b) <= len(p.hash) || len(b) > len(p.hash)+MaxKey {
		return place{}, fmt.Errorf("%.80q: %w: begin with the first page", cursor, ErrCursor)
	}
	p.hash, p.name = bittorrent.InfoHash(b[:len(p.hash)]), string(b[len(p.hash):])
	return p, nil
}

// order has the transfers as people see them. Its lock is held for as long as it
// takes to move pointers, or to copy a page.
type order struct {
	mu      sync.RWMutex
	entries []*entry // by place
	folded  folded   // the same ones, as ByName has them
	active  int      // of the entries
	byFile  map[string][]bittorrent.InfoHash

	version atomic.Uint64 // how often it was changed
}

func (o *order) search(p place) (at int, found bool) {
	return slices.BinarySearchFunc(o.entries, p, func(e *entry, p place) int { return placeOf(e).compare(p) })
}

// fill makes the order of all entries anew.
func (o *order) fill(all []*entry) {
	o.entries = slices.SortedFunc(slices.Values(all), func(a, b *entry) int { return placeOf(a).compare(placeOf(b)) })
	o.folded = fold(o.entries)
	o.active = 0
	o.byFile = make(map[string][]bittorrent.InfoHash, len(all))
	for _, e := range all {
		o.byFile[e.record.File] = append(o.byFile[e.record.File], e.record.InfoHash)
		o.active += activeOne(e)
	}
}

// put puts an entry in its place, or in the place of the one that was there.
func (o *order) put(e *entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h, file := e.record.InfoHash, e.record.File
	at, found := o.search(placeOf(e))
	o.folded.put(&e.record.Transfer)
	o.version.Add(1)
	o.active += activeOne(e)
	if !found {
		o.entries = slices.Insert(o.entries, at, e)
		o.byFile[file] = append(o.byFile[file], h)
		return
	}
	o.active -= activeOne(o.entries[at])
	if old := o.entries[at].record.File; old != file {
		o.dropFile(old, h)
		o.byFile[file] = append(o.byFile[file], h)
	}
	o.entries[at] = e
}

func (o *order) remove(e *entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if at, found := o.search(placeOf(e)); found {
		o.active -= activeOne(o.entries[at])
		o.dropFile(o.entries[at].record.File, e.record.InfoHash)
		o.entries = slices.Delete(o.entries, at, at+1)
		o.folded.remove(&e.record.Transfer)
		o.version.Add(1)
	}
}

// activeOne is 1 of an entry that is active, else 0.
func activeOne(e *entry) int {
	if e.record.Active() {
		return 1
	}
	return 0
}

func (o *order) dropFile(file string, h bittorrent.InfoHash) {
	left := slices.DeleteFunc(o.byFile[file], func(other bittorrent.InfoHash) bool { return other == h })
	if o.byFile[file] = left; len(left) == 0 {
		delete(o.byFile, file)
	}
}
