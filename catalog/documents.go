package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/document"
	"waggle/document/table"
)

// Documents is a [Shared] store: in documents, where several trackers have one
// catalogue. Use [OpenDocuments].
type Documents struct {
	store document.Store
	table *table.Table
}

var _ Shared = (*Documents)(nil)

// documentsPrefix is what names of its documents begin with.
const documentsPrefix = "catalog"

// marksAtOnce is how many records are marked at a time.
const marksAtOnce = 16

// OpenDocuments opens the catalogue that lies in documents, or begins one there. Whoever
// closes it closes the documents. Errors are [table.ErrNewer], [table.ErrDamaged], or
// one of the store.
func OpenDocuments(ctx context.Context, store document.Store) (*Documents, error) {
	return openDocuments(ctx, store, MaxHistory)
}

func openDocuments(ctx context.Context, store document.Store, maxEnded int64) (*Documents, error) {
	t, err := table.Open(ctx, store, table.Options{Prefix: documentsPrefix, MaxLines: maxEnded, Join: joinRecords})
	if err != nil {
		return nil, fmt.Errorf("the catalogue cannot be opened: %w", err)
	}
	return &Documents{store: store, table: t}, nil
}

// Close closes the documents.
func (s *Documents) Close() error { return s.store.Close() }

// Records reads the documents of all rows.
func (s *Documents) Records(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for row, err := range s.table.Load(ctx) {
			r := Record{}
			if err == nil {
				r, err = decodeRecord(row.Key, row.Value)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// Apply makes the changes as one change of the table. After an error that is neither of
// those of [Shared], nor that of an ended context, they may have been made: News tells.
func (s *Documents) Apply(ctx context.Context, changes []Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var b table.Batch
	for i := range changes {
		c := &changes[i]
		change := table.Change{Key: c.Record.InfoHash.String(), Delete: c.Delete, Blob: c.Metainfo}
		if hashes := c.Record.InfoHashes(); len(hashes) > 1 {
			change.Also = hashes[1].String()
		}
		if !c.Delete {
			var err error
			if change.Value, err = encodeRecord(&c.Record); err != nil {
				return err
			}
		}
		b.Changes = append(b.Changes, change)
		if c.Ended == nil {
			continue
		}
		line, err := encodeRecord(&Record{Transfer: c.Ended.Transfer})
		if err != nil {
			return err
		}
		b.Lines = append(b.Lines, line)
	}
	return applied(s.table.Commit(ctx, b))
}

// applied returns what an error of the table is for a catalogue.
func applied(err error) error {
	switch {
	case errors.Is(err, table.ErrConflict):
		return ErrConflict
	case errors.Is(err, table.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrTooMuch, err)
	}
	return err
}

// News reads the changes of others.
func (s *Documents) News(ctx context.Context) (news []News, whole bool, err error) {
	return table.NewsOf(ctx, s.table, newsOf)
}

// newsOf returns what a table tells; false: that is damaged.
func newsOf(n *table.News) (news News, ok bool) {
	news = News{Deleted: n.Delete, Marked: n.Note != nil}
	var err error
	switch {
	case news.Deleted:
		news.Record.InfoHash, err = bittorrent.ParseInfoHash(n.Key)
	case news.Marked:
		news.Record, err = decodeRecord(n.Key, n.Note)
	default:
		news.Record, err = decodeRecord(n.Key, n.Value)
	}
	return news, err == nil
}

// Mark merges the times into each record's document, and then tells others of it.
func (s *Documents) Mark(ctx context.Context, records []Record) error {
	notes := make([]*table.Row, len(records))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(marksAtOnce)
	for i := range records {
		g.Go(func() (err error) {
			notes[i], err = s.mark(gctx, &records[i])
			return err
		})
	}
	err := g.Wait()
	var b table.Batch
	for _, n := range notes {
		if n != nil {
			b.Notes = append(b.Notes, *n)
		}
	}
	if len(b.Notes) > 0 {
		err = errors.Join(err, applied(s.table.Commit(ctx, b)))
	}
	return err
}

// mark returns what others are to be told; nil: nothing. That is told again where it was
// written before and could not be told.
func (s *Documents) mark(ctx context.Context, r *Record) (*table.Row, error) {
	key := r.InfoHash.String()
	var failed error
	var merged Record
	there, err := s.table.Merge(ctx, key, func(value json.RawMessage) (encoded json.RawMessage) {
		if merged, failed = decodeRecord(key, value); failed != nil || merged.Period != r.Period {
			return nil
		}
		old := merged
		if merged.mergeTimes(&r.Transfer); merged == old {
			return nil
		}
		encoded, failed = encodeRecord(&merged)
		return encoded
	})
	if err = errors.Join(err, failed); err != nil || there == nil || merged.Period != r.Period {
		return nil, err
	}
	times := Record{Period: merged.Period}
	times.InfoHash = merged.InfoHash
	times.setTimes(&merged.Transfer)
	note, err := encodeRecord(&times)
	return &table.Row{Key: key, Value: note}, err
}

// joinRecords keeps the times that others have written in the same period.
func joinRecords(old, next json.RawMessage) json.RawMessage {
	var o, n recordDocument
	if json.Unmarshal(old, &o) != nil || json.Unmarshal(next, &n) != nil || o.Period != n.Period {
		return next
	}
	before, after := o.times(), n.times()
	if after.mergeTimes(&before); after == n.times() {
		return next
	}
	n.setTimes(&after)
	joined, err := json.Marshal(&n)
	if err != nil {
		return next
	}
	return joined
}

// Torrent reads the chunks.
func (s *Documents) Torrent(ctx context.Context, h bittorrent.InfoHash) ([]byte, error) {
	b, err := s.table.Blob(ctx, h.String())
	if errors.Is(err, table.ErrNoBlob) {
		return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// History reads a page of lines.
func (s *Documents) History(ctx context.Context, before int64, limit int) (page []Period, last int64, err error) {
	lines, more, err := s.table.Lines(ctx, before, limit)
	if err != nil {
		return nil, 0, err
	}
	for _, l := range lines {
		r, err := parseRecord(l.Value)
		if err != nil {
			return nil, 0, fmt.Errorf("period %d of the history %w (%w)", l.Number, table.ErrDamaged, err)
		}
		page = append(page, Period{r.Transfer})
	}
	if more {
		last = lines[len(lines)-1].Number
	}
	return page, last, nil
}

// decodeRecord reads the value of a row.
func decodeRecord(key string, value json.RawMessage) (Record, error) {
	r, err := parseRecord(value)
	if err == nil && r.InfoHash.String() != key {
		err = fmt.Errorf("it is that of %v", r.InfoHash)
	}
	if err != nil {
		return Record{}, fmt.Errorf("the record of %s %w (%w)", key, table.ErrDamaged, err)
	}
	return r, nil
}

func parseRecord(value json.RawMessage) (Record, error) {
	var d recordDocument
	if err := json.Unmarshal(value, &d); err != nil {
		return Record{}, err
	}
	return d.record()
}

func encodeRecord(r *Record) (json.RawMessage, error) { return json.Marshal(documentOf(r)) }
