package table

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"waggle/document"
)

// News is what one has not changed oneself.
type News struct {
	Key string

	// One of these: the row has this value, is deleted, or somebody left a note.
	Value  json.RawMessage
	Delete bool
	Note   json.RawMessage
}

// News returns what others have changed since Load, or since News was called last, in
// the order of the changes; of a row the last counts. A call that finds nothing takes
// one request. Where behind is true, too much has changed, and [Table.Load] is to be
// called. What one has changed oneself is left out, unless Commit returned an error.
func (t *Table) News(ctx context.Context) (news []News, behind bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := t.refresh(ctx); err != nil {
		return nil, false, err
	}
	if t.behind || t.loading {
		return nil, t.behind, nil
	}
	for _, c := range t.news {
		for _, r := range c.Rows {
			news = append(news, News{Key: r.Key, Value: r.Value, Delete: r.Delete})
		}
		for _, n := range c.Notes {
			news = append(news, News{Key: n.Key, Note: n.Value})
		}
	}
	t.news = nil
	return news, false, nil
}

// maxBehind is how many bytes of changes are read one by one.
const maxBehind = 32 << 20

// refresh reads the head, and the changes since it was read last, which it returns, if
// they are not too many.
func (t *Table) refresh(ctx context.Context) (found []*change, err error) {
	h, version, err := t.readHead(ctx)
	if err != nil || version == t.version {
		return nil, err
	}
	if found, err = t.since(ctx, h); err != nil {
		return nil, err
	}
	if found == nil {
		t.adopt(h, version)
		return nil, nil
	}
	t.head, t.version, t.last = h, version, found[len(found)-1]
	if t.news = append(t.news, found...); t.behind || len(t.news) > keepChanges {
		t.behind, t.news = true, nil // all will be loaded
	}
	for _, c := range found {
		for _, r := range c.Rows {
			delete(t.stale, r.Key) // it is another, or gone
		}
	}
	return found, nil
}

// skip reads the head, and no changes: for who has no rows, and adds lines alone.
func (t *Table) skip(ctx context.Context) error {
	h, version, err := t.readHead(ctx)
	if err != nil || version == t.version {
		return err
	}
	t.adopt(h, version)
	return nil
}

// adopt takes a head without the changes that lead to it.
func (t *Table) adopt(h head, version string) {
	t.head, t.version = h, version
	t.behind, t.news, t.last, t.applied = true, nil, nil, 0
	clear(t.stale) // which may have been used
}

// since returns the changes after the present head, up to h, in their order; nil where
// that is too many, or the documents are not those that they were.
func (t *Table) since(ctx context.Context, h head) ([]*change, error) {
	if h.Number <= t.head.Number || h.Number-t.head.Number > keepChanges {
		return nil, nil
	}
	var found []*change
	size, nonce := 0, h.Nonce
	for number := h.Number; number > t.head.Number; number-- {
		c, bytes, err := t.readChange(ctx, number, nonce)
		if errors.Is(err, document.ErrNone) {
			return nil, nil // too old
		}
		if err != nil {
			return nil, err
		}
		if size += bytes; size > maxBehind {
			return nil, nil
		}
		found = append(found, c)
		nonce = c.Previous
	}
	if nonce != t.head.Nonce {
		return nil, nil
	}
	slices.Reverse(found)
	return found, nil
}

func (t *Table) readChange(ctx context.Context, number uint64, nonce string) (c *change, size int, err error) {
	d, err := t.store.Get(ctx, t.changeName(number, nonce))
	if err != nil {
		return nil, 0, err
	}
	c = new(change)
	return c, len(d.Value), decode(d, c)
}
