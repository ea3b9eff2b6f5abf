package table

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"waggle/document"
)

// ErrNoBlob says that a row has no blob, or that there is no such row.
var ErrNoBlob = errors.New("there are no such bytes")

// blob says where bytes of a row are.
type blob struct {
	ID   string `json:"id"`   // number of the head when it was begun, and a nonce
	Size int    `json:"size"` // bytes
}

// chunks returns how many documents a blob lies in.
func (t *Table) chunks(b blob) int { return (b.Size + t.chunk - 1) / t.chunk }

func (t *Table) blobPrefix(key string) string { return t.o.Prefix + "/blob/" + key + "/" }

func (t *Table) chunkName(key string, b blob, n int) string {
	return fmt.Sprintf("%s%s-%04d", t.blobPrefix(key), b.ID, n)
}

// writeBlob writes the chunks of a blob.
func (t *Table) writeBlob(ctx context.Context, key string, b blob, bytes []byte) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for n := range t.chunks(b) {
		g.Go(func() error {
			_, err := t.store.Put(ctx, t.chunkName(key, b, n), bytes[n*t.chunk:min(len(bytes), (n+1)*t.chunk)], "")
			return unlessDone(err)
		})
	}
	return g.Wait()
}

// Blob returns the bytes that are kept with a row. The error is [ErrNoBlob], or one of
// the store.
func (t *Table) Blob(ctx context.Context, key string) ([]byte, error) {
	bytes, err := t.readBlob(ctx, key)
	if !errors.Is(err, ErrNoBlob) {
		return bytes, err
	}
	// Perhaps the row has not been written yet, or the blob was replaced meanwhile.
	if err := t.settle(ctx); err != nil {
		return nil, err
	}
	return t.readBlob(ctx, key)
}

// settle applies the latest change.
func (t *Table) settle(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := t.refresh(ctx); err != nil {
		return err
	}
	return t.finish(ctx)
}

func (t *Table) readBlob(ctx context.Context, key string) ([]byte, error) {
	s, err := t.readRow(ctx, key)
	if err != nil {
		return nil, err
	}
	if s == nil || s.row.Number == 0 || s.row.Blob == nil {
		return nil, fmt.Errorf("%s: %w", key, ErrNoBlob)
	}
	b := *s.row.Blob
	if b.Size < 0 || b.Size > MaxBlob {
		return nil, fmt.Errorf("the document %s %w: a blob of %d bytes", t.rowName(key), ErrDamaged, b.Size)
	}
	bytes := make([]byte, b.Size)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for n := range t.chunks(b) {
		g.Go(func() error {
			return t.readChunk(ctx, t.chunkName(key, b, n), bytes[n*t.chunk:min(b.Size, (n+1)*t.chunk)])
		})
	}
	return bytes, g.Wait()
}

func (t *Table) readChunk(ctx context.Context, name string, to []byte) error {
	d, err := t.store.Get(ctx, name)
	if errors.Is(err, document.ErrNone) {
		return fmt.Errorf("%s: %w", name, ErrNoBlob)
	}
	if err != nil {
		return err
	}
	if len(d.Value) != len(to) {
		return fmt.Errorf("the document %s %w: it has %d bytes, want %d", name, ErrDamaged, len(d.Value), len(to))
	}
	copy(to, d.Value)
	return nil
}

// removeBlob removes chunks of a row's blobs with certain ids.
func (t *Table) removeBlob(ctx context.Context, key string, which func(id string) bool) error {
	prefix := t.blobPrefix(key)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for d, err := range t.store.List(ctx, prefix, "", false) {
		if err != nil {
			g.Go(func() error { return err })
			break
		}
		id := d.Name[len(prefix):]
		if end := strings.LastIndexByte(id, '-'); end >= 0 && which(id[:end]) {
			g.Go(func() error { return t.store.Delete(gctx, d.Name, d.Version) })
		}
	}
	return g.Wait()
}
