package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"waggle/document"
)

// plan is a batch on its way.
type plan struct {
	rows  []*planned
	lines []json.RawMessage
	notes []Row

	byKey map[string]struct{} // all keys that it touches

	number  uint64           // of the change that it was tried as last
	dropped []string         // keys of stale rows that go with it
	found   map[string]*seen // rows as they were before the moment, by key
}

// planned is what becomes of one row.
type planned struct {
	Change
	noBlob bool // what is kept goes

	incarnation string
	gone        bool // there is no row that could be deleted
	clean       bool
	begun       blob // what was written of Blob, whole or not
}

// seen is a row as it was read or written.
type seen struct {
	row     row
	version string
}

func (p *plan) touches(key string) bool {
	_, ok := p.byKey[key]
	return ok
}

// plan gathers what a batch does, one change for each row.
func (t *Table) plan(b Batch) (*plan, error) {
	p := &plan{lines: b.Lines, notes: b.Notes, byKey: map[string]struct{}{}, found: map[string]*seen{}}
	at := map[string]*planned{}
	for i := range b.Changes {
		c := &b.Changes[i]
		if err := document.Check(c.Key, nil); err != nil || len(c.Key) > MaxKey {
			return nil, fmt.Errorf("%.80q is no key of a row: %w", c.Key, document.ErrInvalid)
		}
		if len(c.Blob) > MaxBlob {
			return nil, fmt.Errorf("%s: %w: its blob has %d bytes, and the limit is %d", c.Key, ErrTooLarge, len(c.Blob), MaxBlob)
		}
		p.byKey[c.Key] = struct{}{}
		if c.Also != "" {
			p.byKey[c.Also] = struct{}{}
		}
		old := at[c.Key]
		if old == nil {
			old = &planned{}
			at[c.Key] = old
			p.rows = append(p.rows, old)
		}
		kept := *old
		old.Change, old.noBlob = *c, kept.noBlob || kept.Delete
		if c.Blob == nil && !c.Delete {
			old.Blob = kept.Blob
		}
		if old.Blob != nil {
			old.noBlob = false
		}
	}
	return p, p.check()
}

// check is [ErrTooLarge] where the change would be no document.
func (p *plan) check() error {
	const around = 250 // of a row's change, or a line, beside its value
	size := 500
	for _, r := range p.rows {
		size += around + 2*MaxKey + len(r.Value)
	}
	for _, l := range p.lines {
		size += around + len(l)
	}
	for _, n := range p.notes {
		size += around + len(n.Key) + len(n.Value)
	}
	if size > MaxBatch {
		return fmt.Errorf("%w: it has some %d bytes, and the limit is %d", ErrTooLarge, size, MaxBatch)
	}
	return nil
}

// compose returns the change that a plan is, as the one after the present head.
func (t *Table) compose(p *plan) *change {
	c := &change{Number: t.head.Number + 1, Nonce: newNonce(), Previous: t.head.Nonce, Lines: p.lines}
	if len(c.Lines) > 0 {
		c.First = t.head.Lines + 1
	}
	for _, r := range p.rows {
		if r.gone {
			continue
		}
		next := rowChange{
			Key: r.Key, Also: r.Also, Incarnation: r.incarnation, Delete: r.Delete,
			NoBlob: r.noBlob, Clean: r.clean,
		}
		if !r.Delete {
			next.Value = r.Value
		}
		if r.Blob != nil {
			next.Blob = &r.begun
		}
		c.Rows = append(c.Rows, next)
	}
	for _, n := range p.notes {
		c.Notes = append(c.Notes, noted(n))
	}
	p.number, p.dropped = c.Number, nil
	for _, key := range slices.Sorted(maps.Keys(t.stale)) {
		if len(p.dropped) == maxDropped || len(p.rows) > maxDropped {
			break // another time
		}
		if !p.touches(key) {
			p.dropped = append(p.dropped, key)
			c.Rows = append(c.Rows, rowChange{Key: key, Incarnation: t.stale[key], Delete: true, Clean: true})
		}
	}
	return c
}

// maxDropped is how many stale rows go with one change, which is not itself large.
const maxDropped = 8

// prepare writes what must be there before the moment: rows that are empty yet, and
// blobs. All changes up to the head have been applied.
func (t *Table) prepare(ctx context.Context, p *plan) error {
	var found sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, r := range p.rows {
		g.Go(func() error {
			s, err := t.prepareRow(gctx, r)
			if err == nil && s != nil {
				found.Lock()
				p.found[r.Key] = s
				found.Unlock()
			}
			return err
		})
	}
	err := g.Wait()
	// Until the change is made these are nobody's; who makes one of them a row first is
	// read before the next change.
	for key, s := range p.found {
		if s.row.Number == 0 && len(t.stale) < maxStale {
			t.stale[key] = s.row.Incarnation
		}
	}
	if err != nil {
		return err
	}
	for _, r := range p.rows {
		if r.Blob == nil {
			continue
		}
		r.begun = blob{ID: fmt.Sprintf("%016d-%s", t.head.Number, newNonce()), Size: len(r.Blob)}
		if err := t.writeBlob(ctx, r.Key, r.begun, r.Blob); err != nil {
			return err
		}
	}
	return nil
}

// prepareRow finds the row of a change, or makes it. nil: there is none to delete.
func (t *Table) prepareRow(ctx context.Context, r *planned) (*seen, error) {
	for tries := 1; ; tries++ {
		s, err := t.readRow(ctx, r.Key)
		if err != nil {
			return nil, err
		}
		fresh := s == nil
		switch {
		case fresh && r.Delete:
			r.gone = true
			return nil, nil
		case fresh:
			s = &seen{row: row{Incarnation: newNonce()}}
		}
		r.incarnation = s.row.Incarnation
		r.clean = s.row.Blobs && (r.Delete || r.noBlob || r.Blob != nil)
		if !fresh && (r.Blob == nil || s.row.Blobs) {
			return s, nil
		}
		s.row.Blobs = r.Blob != nil
		if s.version, err = t.put(ctx, t.rowName(r.Key), &s.row, s.version); !errors.Is(err, document.ErrChanged) || tries == maxTries {
			return s, err
		}
	}
}

// readRow returns nil where there is none.
func (t *Table) readRow(ctx context.Context, key string) (*seen, error) {
	s := new(seen)
	var err error
	if s.version, err = t.get(ctx, t.rowName(key), &s.row); errors.Is(err, document.ErrNone) {
		return nil, nil
	}
	return s, err
}

// abandon removes blobs of a change that was not made, and will not be. What it cannot
// remove goes with the row.
func (t *Table) abandon(ctx context.Context, p *plan) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTime)
	defer cancel()
	for _, r := range p.rows {
		if r.begun.ID != "" {
			_ = t.removeBlob(ctx, r.Key, func(id string) bool { return id == r.begun.ID })
		}
	}
}
