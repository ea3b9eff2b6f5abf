package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"waggle/document"
)

// apply writes rows and lines as a change says, where that has not been done yet, and
// removes blobs that it replaces. found are rows as they were last, by key; they need
// not be read again.
func (t *Table) apply(ctx context.Context, c *change, found map[string]*seen) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range c.Rows {
		r := &c.Rows[i]
		g.Go(func() error { return t.applyRow(ctx, c.Number, r, found[r.Key]) })
	}
	for i, line := range c.Lines {
		g.Go(func() error { return t.applyLine(ctx, c.First+int64(i), line) })
	}
	return g.Wait()
}

func (t *Table) applyRow(ctx context.Context, number uint64, c *rowChange, s *seen) (err error) {
	for tries := 1; ; tries++ {
		if s == nil {
			if s, err = t.readRow(ctx, c.Key); err != nil {
				return err
			}
		}
		if s == nil || s.row.Incarnation != c.Incarnation || s.row.Number >= number {
			break // it has been done
		}
		if err = t.writeRow(ctx, number, c, s); err == nil {
			break
		}
		if !errors.Is(err, document.ErrChanged) || tries == maxTries {
			return err
		}
		s = nil
	}
	if !c.Clean {
		return nil
	}
	before, kept := fmt.Sprintf("%016d", number), ""
	if c.Blob != nil {
		kept = c.Blob.ID
	}
	return t.removeBlob(ctx, c.Key, func(id string) bool { return id < before && id != kept })
}

func (t *Table) writeRow(ctx context.Context, number uint64, c *rowChange, s *seen) error {
	name := t.rowName(c.Key)
	if c.Delete {
		return t.store.Delete(ctx, name, s.version)
	}
	next := s.row
	next.Number, next.Value = number, c.Value
	if s.row.Number > 0 {
		next.Value = t.o.Join(s.row.Value, c.Value)
	}
	if c.Blob != nil || c.NoBlob {
		next.Blob = c.Blob
	}
	_, err := t.put(ctx, name, &next, s.version)
	return err
}

func (t *Table) applyLine(ctx context.Context, number int64, line json.RawMessage) error {
	_, err := t.store.Put(ctx, t.lineName(number), line, "")
	return unlessDone(err)
}
