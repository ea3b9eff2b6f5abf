package passkey

import (
	"context"
	"fmt"
	"time"
)

// writeTime is how long an edit may take when whoever asked for it is gone.
const writeTime = 10 * time.Second

// New is a passkey to be.
type New struct {
	Name    string
	Note    string
	Key     string    // "": waggle makes it
	Expires time.Time // zero: never
}

// Edit is a change of a passkey; what is nil stays.
type Edit struct {
	Name    *string
	Note    *string
	Expires *time.Time // zero: never
}

// Create makes passkeys, all or none.
//
// Errors are [ErrExists], [ErrInvalid], [ErrMany], [ErrFull], [ErrConflict], or one of the
// store, after which nothing has changed. Where the answer of a [Shared] store was lost, it
// may have changed all the same, which [Book.Fresh] tells.
func (b *Book) Create(ctx context.Context, wanted []New) ([]Passkey, error) {
	if len(wanted) > MaxMany {
		return nil, fmt.Errorf("%w: %d, and the limit is %d", ErrMany, len(wanted), MaxMany)
	}
	made := make([]Passkey, len(wanted))
	changes := make([]Change, len(wanted))
	for i := range wanted {
		r, err := b.newRecord(&wanted[i])
		if err != nil {
			return nil, err
		}
		made[i].Record, changes[i].Record = r, r
	}
	return made, b.change(ctx, func() ([]Change, error) {
		if b.Len()+len(made) > b.o.Max {
			return nil, fmt.Errorf("%w, %d: delete some, or raise limits.passkeys", ErrFull, b.o.Max)
		}
		return changes, b.areNew(made)
	})
}

func (b *Book) newRecord(n *New) (r Record, err error) {
	r = Record{Key: n.Key, Name: n.Name, Note: n.Note, Created: b.Now()}
	if !n.Expires.IsZero() {
		r.Expires = n.Expires.UTC().Round(0)
	}
	if r.ID, err = makeID(b.o.Random); err != nil {
		return r, err
	}
	if r.Key == "" {
		if r.Key, err = makeKey(b.o.Random); err != nil {
			return r, err
		}
	}
	if err := r.check(); err != nil {
		return r, err
	}
	return r, b.lasts(&r)
}

// lasts is [ErrInvalid] where a passkey would never be good.
func (b *Book) lasts(r *Record) error {
	if r.State(b.Now()) == Expired {
		return fmt.Errorf("it would have expired at %s already (%w)", r.Expires.Format(time.RFC3339), ErrInvalid)
	}
	return nil
}

// areNew is [ErrExists] where one of the passkeys is there. It repeats none.
func (b *Book) areNew(made []Passkey) error {
	keys := map[string]bool{}
	for i := range made {
		r := &made[i].Record
		if e := b.index.find(r.Key); e != nil {
			return fmt.Errorf("number %d: %w, with the id %s", i+1, ErrExists, e.record().ID)
		}
		if keys[r.Key] || b.find(r.ID) != nil {
			return fmt.Errorf("number %d: %w in the same request", i+1, ErrExists)
		}
		keys[r.Key] = true
	}
	return nil
}

// Change changes a passkey. Errors are [ErrNone], and those of Create.
func (b *Book) Change(ctx context.Context, id string, e Edit) (Passkey, error) {
	return b.changeOne(ctx, id, func(r *Record) error {
		if e.Name != nil {
			r.Name = *e.Name
		}
		if e.Note != nil {
			r.Note = *e.Note
		}
		if e.Expires == nil {
			return r.check()
		}
		if r.Expires = (time.Time{}); !e.Expires.IsZero() {
			r.Expires = e.Expires.UTC().Round(0)
		}
		if err := r.check(); err != nil {
			return err
		}
		unrevoked := *r
		unrevoked.Revoked = time.Time{}
		return b.lasts(&unrevoked)
	})
}

// Revoke has a passkey be refused from the next announce on. One that is revoked stays as it
// is.
func (b *Book) Revoke(ctx context.Context, id string) (Passkey, error) {
	return b.changeOne(ctx, id, func(r *Record) error {
		if r.Revoked.IsZero() {
			r.Revoked = b.Now()
		}
		return nil
	})
}

// Restore has a revoked passkey be good again.
func (b *Book) Restore(ctx context.Context, id string) (Passkey, error) {
	return b.changeOne(ctx, id, func(r *Record) error {
		r.Revoked = time.Time{}
		return nil
	})
}

// Renew puts a new secret in place of the one that a passkey has, which is not known any more.
// What was counted stays.
func (b *Book) Renew(ctx context.Context, id string) (Passkey, error) {
	key, err := makeKey(b.o.Random)
	if err != nil {
		return Passkey{}, err
	}
	return b.changeOne(ctx, id, func(r *Record) error {
		r.Key = key
		return nil
	})
}

// Reset begins to count anew: what sessions tell from now on.
func (b *Book) Reset(ctx context.Context, id string) (Passkey, error) {
	if err := b.Flush(ctx); err != nil { // what was told before does not count
		return Passkey{}, err
	}
	err := b.change(ctx, func() ([]Change, error) {
		e := b.find(id)
		if e == nil {
			return nil, none(id)
		}
		return []Change{{Record: *e.record(), Totals: &Totals{}}}, nil
	})
	if err != nil {
		return Passkey{}, err
	}
	return b.Get(id)
}

// Delete forgets a passkey and what was counted for it.
func (b *Book) Delete(ctx context.Context, id string) error {
	return b.change(ctx, func() ([]Change, error) {
		e := b.find(id)
		if e == nil {
			return nil, none(id)
		}
		return []Change{{Record: *e.record(), Delete: true}}, nil
	})
}

// changeOne changes the record of a passkey.
func (b *Book) changeOne(ctx context.Context, id string, edit func(*Record) error) (Passkey, error) {
	var changed Record
	err := b.change(ctx, func() ([]Change, error) {
		e := b.find(id)
		if e == nil {
			return nil, none(id)
		}
		changed = *e.record()
		if err := edit(&changed); err != nil || changed == *e.record() {
			return nil, err
		}
		return []Change{{Record: changed}}, nil
	})
	if err != nil {
		return Passkey{}, err
	}
	return b.Get(id)
}

// change has plan decide, on what is in the store now, and makes the changes there and then in
// memory. Where another tracker is faster it begins again.
func (b *Book) change(ctx context.Context, plan func() ([]Change, error)) error {
	b.edit.Lock()
	defer b.edit.Unlock()
	for tries := 1; ; tries++ {
		if err := b.learn(ctx); err != nil {
			return err
		}
		changes, err := plan()
		if err != nil || len(changes) == 0 {
			return err
		}
		if err = b.apply(ctx, changes); !isConflict(err) || tries == maxTries {
			return err
		}
	}
}

func (b *Book) apply(ctx context.Context, changes []Change) error {
	// A store that was interrupted may have written all the same, and memory would not know.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	if err := b.o.Store.Apply(ctx, changes); err != nil {
		return fmt.Errorf("the passkeys cannot be written: %w", err)
	}
	for i := range changes {
		b.install(&changes[i])
	}
	return nil
}

// install puts in memory what the store has.
func (b *Book) install(c *Change) {
	if c.Delete {
		b.lose(c.Record.ID)
		return
	}
	b.keep(c.Record, c.Totals)
}
