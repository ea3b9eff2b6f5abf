package s3

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"golang.org/x/sync/errgroup"

	"waggle/document"
)

// documents is the store's [document.Store]. A document is an object: what every object
// begins with, a line end, and the value. Its version is the ETag. Where the endpoint does
// not remove on condition in one step, a document that is deleted is replaced by an object
// without the line end, which a list tells apart by its size.
type documents struct{ s *Store }

var _ document.Store = (*documents)(nil)

// Documents returns the documents of the store. They may be used as long as it may.
func (s *Store) Documents() document.Store { return &documents{s} }

// Close does nothing: the store is somebody else's.
func (d *documents) Close() error { return nil }

const documentMagic = "wgd"

// goneSize is how long the object of a deleted document is. All others are longer.
const goneSize = len(documentMagic) + 1 + 1 + nonceSize

func encodeDocument(value []byte) []byte {
	return append(append(begin(documentMagic, 0), '\n'), value...)
}

// decodeDocument returns the value; false: the document was deleted.
func decodeDocument(body []byte) (value []byte, is bool, err error) {
	flags, rest, err := begun(documentMagic, body)
	switch {
	case err != nil:
		return nil, false, err
	case flags != 0 || len(rest) > 0 && rest[0] != '\n':
		return nil, false, errDamaged
	case len(rest) == 0:
		return nil, false, nil
	}
	return rest[1:], true, nil
}

// read returns an object, and its document; is: there is one.
func (d *documents) read(ctx context.Context, name string) (etag string, value []byte, is bool, err error) {
	ctx, cancel := d.s.server.bounded(ctx)
	defer cancel()
	o, err := d.s.server.get(ctx, documentsKey+name, "")
	if errors.Is(err, errNone) {
		return "", nil, false, nil
	}
	if err != nil {
		return "", nil, false, err
	}
	value, is, err = decodeDocument(o.body)
	return o.etag, value, is, err
}

// Get is documented at [document.Store].
func (d *documents) Get(ctx context.Context, name string) (document.Document, error) {
	if err := ctx.Err(); err != nil {
		return document.Document{}, err
	}
	if err := document.Check(name, nil); err != nil {
		return document.Document{}, fmt.Errorf("%.80q: %w", name, document.ErrNone)
	}
	etag, value, is, err := d.read(ctx, name)
	if err == nil && !is {
		err = document.ErrNone
	}
	if err != nil {
		return document.Document{}, fmt.Errorf("%q: %w", name, err)
	}
	return document.Document{Name: name, Value: value, Version: etag}, nil
}

// isVersion reports whether a version may be one of this store's.
func isVersion(version string) bool {
	return !strings.ContainsFunc(version, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' })
}

// Put is documented at [document.Store].
func (d *documents) Put(ctx context.Context, name string, value []byte, version string) (string, error) {
	if err := document.Check(name, value); err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	etag, err := d.put(ctx, name, encodeDocument(value), version)
	if err != nil {
		return "", fmt.Errorf("%q: %w", name, changed(err))
	}
	return etag, nil
}

func changed(err error) error {
	if errors.Is(err, errChanged) {
		return document.ErrChanged
	}
	return err
}

func (d *documents) put(ctx context.Context, name string, body []byte, version string) (string, error) {
	if !isVersion(version) {
		return "", errChanged
	}
	limited, cancel := d.s.server.bounded(ctx)
	defer cancel()
	etag, err := d.s.server.put(limited, documentsKey+name, body, version)
	if version != "" || !errors.Is(err, errChanged) {
		return etag, err
	}
	was, _, is, err := d.read(ctx, name)
	if err != nil || is || was == "" {
		if err == nil {
			err = errChanged
		}
		return "", err
	}
	return d.s.server.put(limited, documentsKey+name, body, was) // it was deleted
}

// Delete is documented at [document.Store].
func (d *documents) Delete(ctx context.Context, name, version string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := document.Check(name, nil)
	switch {
	case err != nil:
		return nil //nolint:nilerr // a name that none can have has no document
	case version != "" && isVersion(version):
		err = d.remove(ctx, name, version)
	default:
		err = errChanged
	}
	if errors.Is(err, errChanged) {
		var is bool
		if _, _, is, err = d.read(ctx, name); is {
			err = document.ErrChanged
		}
	}
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	return nil
}

func (d *documents) remove(ctx context.Context, name, version string) error {
	ctx, cancel := d.s.server.bounded(ctx)
	defer cancel()
	if d.s.options.trustsRemovals() {
		return d.s.server.remove(ctx, documentsKey+name, version)
	}
	_, err := d.s.server.put(ctx, documentsKey+name, begin(documentMagic, 0), version)
	return err
}

// List is documented at [document.Store]. It is a request for each 1,000 documents, and
// with values one more for each.
func (d *documents) List(ctx context.Context, prefix, after string, values bool) iter.Seq2[document.Document, error] {
	return func(yield func(document.Document, error) bool) {
		from := ""
		if after != "" {
			from = documentsKey + after
		}
		err := d.s.server.all(ctx, documentsKey+prefix, from, func(some []listed) error {
			return d.page(ctx, some, values, yield)
		})
		if err != nil && err != (stopped{}) { //nolint:errorlint // it is never wrapped
			yield(document.Document{}, fmt.Errorf("listing documents: %w", err))
		}
	}
}

// documentsAtOnce is how many values are read at once.
const documentsAtOnce = 16

// page yields the documents of a page.
func (d *documents) page(ctx context.Context, some []listed, values bool, yield func(document.Document, error) bool) error {
	for len(some) > 0 {
		n := min(len(some), documentsAtOnce)
		list, err := d.few(ctx, some[:n], values)
		if err != nil {
			return err
		}
		for i := range list {
			if !yield(list[i], nil) {
				return stopped{}
			}
		}
		some = some[n:]
	}
	return nil
}

// few returns the documents of some objects.
func (d *documents) few(ctx context.Context, some []listed, values bool) (list []document.Document, err error) {
	all, is := make([]document.Document, len(some)), make([]bool, len(some))
	reading, ctx := errgroup.WithContext(ctx)
	for i, l := range some {
		if l.size <= int64(goneSize) {
			continue
		}
		all[i], is[i] = document.Document{Name: strings.TrimPrefix(l.key, documentsKey), Version: l.etag}, true
		if values {
			reading.Go(func() (err error) {
				all[i].Version, all[i].Value, is[i], err = d.read(ctx, all[i].Name)
				return err
			})
		}
	}
	if err := reading.Wait(); err != nil {
		return nil, err
	}
	for i := range all {
		if is[i] {
			list = append(list, all[i])
		}
	}
	return list, nil
}
