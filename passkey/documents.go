package passkey

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sync/errgroup"

	"waggle/document"
	"waggle/document/table"
)

// Documents is a [Shared] store: in documents, where several trackers have the same passkeys.
// Use [OpenDocuments].
type Documents struct {
	store document.Store
	table *table.Table
}

var _ Shared = (*Documents)(nil)

// documentsPrefix is what names of its documents begin with.
const documentsPrefix = "passkeys"

const (
	// mostShared is how many sessions of one passkey are kept in a document, which has no room
	// for more.
	mostShared = 4096

	// sharedStep is how many passkeys are counted at a time, and how many others are told of
	// at once.
	sharedStep = 16
)

// OpenDocuments opens the passkeys that lie in documents, or begins them there. Whoever closes
// it closes the documents. Errors are [table.ErrNewer], [table.ErrDamaged], or one of the
// store.
func OpenDocuments(ctx context.Context, store document.Store) (*Documents, error) {
	t, err := table.Open(ctx, store, table.Options{Prefix: documentsPrefix, Join: joinRows})
	if err != nil {
		return nil, fmt.Errorf("the passkeys cannot be opened: %w", err)
	}
	return &Documents{store, t}, nil
}

// Close closes the documents.
func (s *Documents) Close() error { return s.store.Close() }

// Passkeys reads the documents of all rows.
func (s *Documents) Passkeys(ctx context.Context) iter.Seq2[Passkey, error] {
	return func(yield func(Passkey, error) bool) {
		for row, err := range s.table.Load(ctx) {
			var p Passkey
			if err == nil {
				var d rowDocument
				d, err = decodeRow(row.Key, row.Value)
				p = Passkey{d.record(row.Key), *d.Counts.totals()}
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// Apply makes the changes as one change of the table. After an error that is neither of those
// of [Shared], nor that of an ended context, they may have been made: News tells.
func (s *Documents) Apply(ctx context.Context, changes []Change) error {
	var b table.Batch
	for i := range changes {
		c := &changes[i]
		change := table.Change{Key: c.Record.ID, Also: alsoOf(c.Record.Key), Delete: c.Delete}
		if !c.Delete {
			var err error
			if change.Value, err = json.Marshal(rowOf(&c.Record, c.Totals)); err != nil {
				return err
			}
		}
		b.Changes = append(b.Changes, change)
	}
	return applied(s.table.Commit(ctx, b))
}

// alsoOf has changes conflict that put the same secret into two rows, and does not tell it.
func alsoOf(key string) string {
	sum := sha256.Sum256([]byte("waggle passkey " + key))
	return "key-" + hex.EncodeToString(sum[:16])
}

// applied returns what an error of the table is for a book.
func applied(err error) error {
	switch {
	case errors.Is(err, table.ErrConflict):
		return ErrConflict
	case errors.Is(err, table.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrTooMuch, err)
	}
	return err
}

// joinRows keeps what was counted, and the sessions in any case.
func joinRows(old, next json.RawMessage) json.RawMessage {
	var o, n rowDocument
	if json.Unmarshal(old, &o) != nil || json.Unmarshal(next, &n) != nil || o.Counts == nil {
		return next
	}
	if n.Counts == nil {
		n.Counts = o.Counts
	} else {
		n.Counts.Sessions = o.Counts.Sessions
	}
	joined, err := json.Marshal(&n)
	if err != nil {
		return next
	}
	return joined
}

// News reads the changes of others.
func (s *Documents) News(ctx context.Context) (news []News, whole bool, err error) {
	return table.NewsOf(ctx, s.table, newsOf)
}

// newsOf returns what a table tells; false: that is damaged.
func newsOf(n *table.News) (news News, ok bool) {
	news.Record.ID = n.Key
	switch {
	case n.Delete:
		news.Delete = true
		return news, isID(n.Key)
	case n.Note != nil:
		var c countsDocument
		if json.Unmarshal(n.Note, &c) != nil {
			return News{}, false
		}
		news.Counted, news.Totals = true, c.totals()
		return news, true
	}
	d, err := decodeRow(n.Key, n.Value)
	if err != nil {
		return News{}, false
	}
	news.Record = d.record(n.Key)
	if d.Counts != nil {
		news.Totals = d.Counts.totals()
	}
	return news, true
}

// Count merges what was told into each passkey's document, and then tells others of it.
func (s *Documents) Count(ctx context.Context, told []Counted, rules Rules) ([]*Totals, error) {
	totals := make([]*Totals, len(told))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(sharedStep)
	for i := range told {
		g.Go(func() (err error) {
			totals[i], err = s.count(gctx, &told[i], rules)
			return err
		})
	}
	err := g.Wait()
	var b table.Batch
	for i, t := range totals {
		if t == nil {
			continue
		}
		note, noteErr := json.Marshal(countsOf(t))
		if noteErr != nil {
			return totals, noteErr
		}
		b.Notes = append(b.Notes, table.Row{Key: told[i].ID, Value: note})
	}
	if len(b.Notes) > 0 {
		err = errors.Join(err, applied(s.table.Commit(ctx, b)))
	}
	return totals, err
}

// count merges what was told into a document; nil: there is none.
func (s *Documents) count(ctx context.Context, c *Counted, rules Rules) (*Totals, error) {
	var failed error
	var t *Totals
	there, err := s.table.Merge(ctx, c.ID, func(value json.RawMessage) (encoded json.RawMessage) {
		encoded, t, failed = countedIn(c, value, rules)
		return encoded
	})
	if err = errors.Join(err, failed); err != nil || there == nil {
		return nil, err
	}
	return t, nil
}

// countedIn returns the value of a row with what was told.
func countedIn(c *Counted, value json.RawMessage, rules Rules) (json.RawMessage, *Totals, error) {
	d, err := decodeRow(c.ID, value)
	if err != nil {
		return nil, nil, err
	}
	if d.Counts == nil {
		d.Counts = new(countsDocument)
	}
	sessions, err := parseSessions(d.Counts.Sessions)
	if err != nil {
		return nil, nil, fmt.Errorf("the passkey %s %w (%w)", c.ID, table.ErrDamaged, err)
	}
	t := d.Counts.totals()
	sessions = addAll(t, sessions, c.Told, rules, mostShared)
	d.Counts = countsOf(t)
	for i := range sessions {
		d.Counts.Sessions = appendSession(d.Counts.Sessions, &sessions[i])
	}
	encoded, err := json.Marshal(&d)
	return encoded, t, err
}
