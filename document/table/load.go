package table

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"waggle/document"
)

// maxStale bounds the empty rows that are remembered; others are found another time.
const maxStale = 1024

// Load yields all rows, in the order of their keys. What is changed meanwhile may or may
// not be among them; it is among the next News. An error is the last thing it yields.
// Until it has yielded all, no rows can be committed.
func (t *Table) Load(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if err := t.beginLoading(ctx); err != nil {
			yield(Row{}, err)
			return
		}
		whole, empty := false, map[string]string{}
		defer func() { t.endLoading(whole, empty) }()
		for d, err := range t.store.List(ctx, t.rowsPrefix(), "", true) {
			r := row{}
			if err == nil {
				err = decode(d, &r)
			}
			if err != nil {
				yield(Row{}, err)
				return
			}
			key := d.Name[len(t.rowsPrefix()):]
			switch {
			case r.Number > 0:
				if !yield(Row{Key: key, Value: r.Value}, nil) {
					return
				}
			case len(empty) < maxStale:
				empty[key] = r.Incarnation
			}
		}
		whole = true
	}
}

func (t *Table) beginLoading(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.behind, t.loading, t.follows = true, false, true
	if err := t.begin(ctx); err != nil {
		return err
	}
	t.behind, t.loading = false, true
	return nil
}

// endLoading takes over the empty rows that were found, but for those that have been used
// meanwhile.
func (t *Table) endLoading(whole bool, empty map[string]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.loading = false; !whole {
		t.behind, t.news = true, nil
	}
	if t.behind {
		return
	}
	for _, c := range t.news {
		for _, r := range c.Rows {
			delete(empty, r.Key)
		}
	}
	t.stale = empty
}

// begin reads the head and applies what it names, so that rows are as of the head or
// later.
func (t *Table) begin(ctx context.Context) error {
	t.news, t.last, t.stale = nil, nil, map[string]string{}
	for {
		h, version, err := t.readHead(ctx)
		if err != nil {
			return err
		}
		again := version == t.version && t.head.Number > 0
		t.head, t.version, t.applied = h, version, 0
		if err := t.finish(ctx); !errors.Is(err, document.ErrNone) || again {
			return err // else it may have been trimmed meanwhile
		}
	}
}

// readHead returns the head; where there is none, the zero one and the version "".
func (t *Table) readHead(ctx context.Context) (h head, version string, err error) {
	version, err = t.get(ctx, t.headName(), &h)
	switch {
	case errors.Is(err, document.ErrNone):
		return head{}, "", nil
	case err != nil:
		return head{}, "", err
	case h.Schema > schema:
		return head{}, "", fmt.Errorf("the document %s %w", t.headName(), ErrNewer)
	case h.Schema != schema || h.Number == 0:
		return head{}, "", fmt.Errorf("the document %s %w", t.headName(), ErrDamaged)
	}
	return h, version, nil
}
