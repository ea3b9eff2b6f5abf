package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"waggle/document"
)

// applyTime is how long a change may take to be applied, or looked for, when whoever
// asked for it is gone.
const applyTime = 10 * time.Second

// maxTries is how many others may be faster, one after the other, before a change, or what
// is written of one document, is given up.
const maxTries = 64

// Commit makes all changes, or none.
//
// Errors are [ErrConflict], where somebody else has changed the same and that is not
// known yet: it is among the next News; [ErrTooLarge]; or one of the store. After these
// nothing was changed, but where an answer of the store was lost or came too late: then
// the change may have been made, and is among the next News.
func (t *Table) Commit(ctx context.Context, b Batch) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.plan(b)
	if err != nil {
		return err
	}
	if t.conflicts(p) {
		return fmt.Errorf("%s: %w", t.o.Prefix, ErrConflict)
	}
	if t.follows = t.follows || len(p.rows) > 0; !t.follows {
		if err := t.skip(ctx); err != nil {
			return err
		}
	}
	if err := t.finish(ctx); err != nil {
		return err
	}
	if err := t.prepare(ctx, p); err != nil {
		t.abandon(ctx, p)
		return err
	}
	for tries := 1; ; tries++ {
		done, err := t.try(ctx, p)
		if err != nil {
			return err
		}
		if done {
			break
		}
		if t.conflicts(p) || tries == maxTries {
			t.abandon(ctx, p)
			return fmt.Errorf("%s: %w", t.o.Prefix, ErrConflict)
		}
		if err := t.finish(ctx); err != nil {
			t.abandon(ctx, p)
			return err
		}
	}
	t.complete(ctx, p)
	return nil
}

// conflicts reports whether what is not known yet touches what is planned.
func (t *Table) conflicts(p *plan) bool {
	switch {
	case len(p.rows) == 0:
		return false
	case t.behind || t.loading:
		return true
	}
	for _, c := range t.news {
		if t.o.Serial && len(c.Rows) > 0 {
			return true
		}
		for _, r := range c.Rows {
			if p.touches(r.Key) || r.Also != "" && p.touches(r.Also) {
				return true
			}
		}
	}
	return false
}

// try makes the change the next one. done is false where somebody else was faster, whose
// changes are read then. After an error it is abandoned, or perhaps done.
func (t *Table) try(ctx context.Context, p *plan) (done bool, err error) {
	c := t.compose(p)
	name := t.changeName(c.Number, c.Nonce)
	written, err := t.put(ctx, name, c, "")
	if err := unlessDone(err); err != nil {
		t.abandon(ctx, p)
		return false, err
	}
	next := head{Schema: schema, Number: c.Number, Nonce: c.Nonce, Lines: t.head.Lines + int64(len(c.Lines))}
	version, err := t.put(ctx, t.headName(), &next, t.version)
	if err == nil {
		t.head, t.version, t.last = next, version, c
		return true, nil
	}
	done, readErr := t.find(ctx, c)
	switch {
	case done:
		return true, nil
	case !errors.Is(err, document.ErrChanged):
		return false, err // its answer was lost: perhaps it is done yet
	case readErr != nil:
		return false, readErr
	}
	_ = t.store.Delete(ctx, name, written) // else it is trimmed
	return false, nil
}

// find reads what has changed, and reports whether c is among it: an answer may have
// been lost.
func (t *Table) find(ctx context.Context, c *change) (done bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTime)
	defer cancel()
	found, err := t.refresh(ctx)
	if err != nil {
		return false, err
	}
	own := func(other *change) bool { return other.Number == c.Number && other.Nonce == c.Nonce }
	t.news = slices.DeleteFunc(t.news, own)
	return slices.ContainsFunc(found, own), nil
}

// complete does what is left to do when a change has been made. Where it fails, the next
// change does it.
func (t *Table) complete(ctx context.Context, p *plan) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTime)
	defer cancel()
	for _, key := range p.dropped {
		delete(t.stale, key)
	}
	for _, r := range p.rows {
		delete(t.stale, r.Key)
	}
	if p.number != t.head.Number {
		return // others came after it, who have done it
	}
	if err := t.apply(ctx, t.last, p.found); err != nil {
		return
	}
	t.applied = p.number
	t.trim(ctx, len(p.lines))
}

// finish applies the latest change, in case that whoever made it could not.
func (t *Table) finish(ctx context.Context) error {
	if t.applied >= t.head.Number {
		return nil
	}
	if t.last == nil {
		c, _, err := t.readChange(ctx, t.head.Number, t.head.Nonce)
		if errors.Is(err, document.ErrNone) {
			return fmt.Errorf("%w: the document %s, which names it, %w", err, t.headName(), ErrDamaged)
		}
		if err != nil {
			return err
		}
		t.last = c
	}
	if err := t.apply(ctx, t.last, nil); err != nil {
		return err
	}
	t.applied = t.head.Number
	return nil
}
