package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash/fnv"
	"iter"
	"strings"

	"github.com/redis/rueidis"

	"waggle/document"
)

// documents is the store's [document.Store]. A document is a hash of its version and
// value. Documents are spread over some tags by their names; each of these has an index
// of the names, in their order.
type documents struct {
	server *server
}

var _ document.Store = (*documents)(nil)

// Documents returns the documents of the store. They may be used as long as it may.
func (s *Store) Documents() document.Store { return &documents{s.server} }

// shelves is the number of tags that documents are spread over: listing asks each.
const shelves = 16

// shelf returns the tag of a shelf.
func shelf(n int) byte { return byte(n * tags / shelves) }

func (d *documents) place(name string) place {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(name))
	h := sum.Sum32()
	tag := shelf(int((h ^ h>>16) % shelves))
	return place{tag, d.server.keys.tag[tag] + ":document:" + name}
}

// Get is documented at [document.Store].
func (d *documents) Get(ctx context.Context, name string) (document.Document, error) {
	at := d.place(name)
	answer, err := d.server.askOne(ctx, at.tag, func(b rueidis.Builder) rueidis.Completed {
		return b.Hmget().Key(at.key).Field("version", "value").Build()
	})
	if err != nil {
		return document.Document{}, fmt.Errorf("%q: %w", name, err)
	}
	found, ok, err := readDocument(name, answer, true)
	if err == nil && !ok {
		err = document.ErrNone
	}
	if err != nil {
		return document.Document{}, fmt.Errorf("%q: %w", name, err)
	}
	return found, nil
}

// readDocument reads an answer with the version, and with the value.
func readDocument(name string, answer rueidis.RedisMessage, value bool) (d document.Document, ok bool, err error) {
	fields, err := answer.ToArray()
	if err != nil || len(fields) == 0 || value && len(fields) < 2 {
		return d, false, fmt.Errorf("%w: a document's", errAnswer)
	}
	if fields[0].IsNil() {
		return d, false, nil
	}
	d.Name = name
	if d.Version, err = fields[0].ToString(); err != nil {
		return d, false, fmt.Errorf("%w: %w", errAnswer, err)
	}
	if !value {
		return d, true, nil
	}
	text, err := fields[1].ToString()
	if err != nil {
		return d, false, fmt.Errorf("%w: %w", errAnswer, err)
	}
	d.Value = []byte(text)
	return d, true, nil
}

// Put is documented at [document.Store].
func (d *documents) Put(ctx context.Context, name string, value []byte, version string) (string, error) {
	if err := document.Check(name, value); err != nil {
		return "", err
	}
	next := rand.Text()[:16]
	if err := d.write(ctx, name, version, next, string(value)); err != nil {
		return "", err
	}
	return next, nil
}

// Delete is documented at [document.Store].
func (d *documents) Delete(ctx context.Context, name, version string) error {
	return d.write(ctx, name, version, "", "")
}

func (d *documents) write(ctx context.Context, name, version, next, value string) error {
	answer, err := d.server.run(ctx, documentScript, d.place(name), name, version, next, value)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	switch written, err := answer.AsInt64(); {
	case err != nil:
		return fmt.Errorf("%q: %w: %w", name, errAnswer, err)
	case written == 0:
		return fmt.Errorf("%q: %w", name, document.ErrChanged)
	}
	return nil
}

// Close does nothing: the connection is the store's.
func (*documents) Close() error { return nil }

// Pages of a listing.
const (
	namePage  = 256
	valuePage = 16 // values of up to 256 KiB
)

// List is documented at [document.Store].
func (d *documents) List(ctx context.Context, prefix, after string, values bool) iter.Seq2[document.Document, error] {
	return func(yield func(document.Document, error) bool) {
		l := listing{documents: d, prefix: prefix, after: after}
		page := namePage
		if values {
			page = valuePage
		}
		for {
			names, err := l.next(ctx, page)
			if err != nil {
				yield(document.Document{}, fmt.Errorf("%q: %w", prefix, err))
				return
			}
			if len(names) == 0 {
				return
			}
			if !d.show(ctx, names, values, yield) {
				return
			}
		}
	}
}

// show yields some documents, and reports whether more are wanted.
func (d *documents) show(ctx context.Context, names []string, values bool, yield func(document.Document, error) bool) bool {
	fields := []string{"version"}
	if values {
		fields = append(fields, "value")
	}
	answers, err := d.server.ask(ctx, len(names), func(i int) byte { return d.place(names[i]).tag }, func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Hmget().Key(d.place(names[i]).key).Field(fields...).Build()
	})
	if err != nil {
		yield(document.Document{}, err)
		return false
	}
	for i, name := range names {
		found, ok, err := readDocument(name, answers[i], values)
		if err != nil {
			yield(document.Document{}, fmt.Errorf("%q: %w", name, err))
			return false
		}
		if ok && !yield(found, nil) {
			return false
		}
	}
	return true
}

// listing merges the indexes of the shelves.
type listing struct {
	*documents
	prefix, after string
	shelves       [shelves]struct {
		names []string // that come next
		ended bool
	}
}

// next returns the next names in their order, no more than n.
func (l *listing) next(ctx context.Context, n int) (names []string, err error) {
	for len(names) < n {
		if err := l.fill(ctx); err != nil {
			return nil, err
		}
		first := -1
		for i := range l.shelves {
			if list := l.shelves[i].names; len(list) > 0 && (first < 0 || list[0] < l.shelves[first].names[0]) {
				first = i
			}
		}
		if first < 0 {
			return names, nil
		}
		names = append(names, l.shelves[first].names[0])
		l.after = names[len(names)-1]
		l.shelves[first].names = l.shelves[first].names[1:]
	}
	return names, nil
}

// fill asks those shelves for more whose names are used up.
func (l *listing) fill(ctx context.Context) error {
	var want []int
	for i := range l.shelves {
		if len(l.shelves[i].names) == 0 && !l.shelves[i].ended {
			want = append(want, i)
		}
	}
	if len(want) == 0 {
		return nil
	}
	from, to := "("+l.after, "+"
	if l.prefix > l.after {
		from = "[" + l.prefix
	}
	if l.prefix != "" {
		to = "[" + l.prefix + "\xff"
	}
	answers, err := l.server.ask(ctx, len(want), func(i int) byte { return shelf(want[i]) }, func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Zrangebylex().Key(l.server.keys.tag[shelf(want[i])]+":documents").Min(from).Max(to).Limit(0, namePage).Build()
	})
	if err != nil {
		return err
	}
	for i, n := range want {
		names, err := answers[i].AsStrSlice()
		if err != nil {
			return fmt.Errorf("%w: %w", errAnswer, err)
		}
		for _, name := range names {
			if !strings.HasPrefix(name, l.prefix) || name <= l.after {
				return fmt.Errorf("%w: a document is listed as %.60q", errAnswer, name)
			}
		}
		l.shelves[n].names, l.shelves[n].ended = names, len(names) < namePage
	}
	return nil
}
