package table

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// How often old documents are removed, and how many at a time.
const (
	trimEvery = 64
	trimStep  = 4 * trimEvery
)

// trim removes changes and lines that are too old, every some. What it cannot remove
// goes the next time.
func (t *Table) trim(ctx context.Context, lines int) {
	if number := t.head.Number; number > keepChanges && number%trimEvery == 0 {
		_ = t.remove(ctx, t.changesPrefix(), "", t.changeName(number-keepChanges, ""), trimStep)
	}
	before := t.head.Lines - int64(lines)
	if t.head.Lines > t.o.MaxLines && before/trimEvery != t.head.Lines/trimEvery {
		oldest := t.head.Lines - t.o.MaxLines + 1
		_ = t.remove(ctx, t.linesPrefix(), t.lineName(oldest), t.lineName(0)+"0", trimStep+lines)
	}
}

// remove removes at most so many documents of a prefix after one name and before
// another.
func (t *Table) remove(ctx context.Context, prefix, after, before string, most int) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for d, err := range t.store.List(ctx, prefix, after, false) {
		if err != nil || most == 0 || d.Name >= before {
			break
		}
		most--
		g.Go(func() error { return t.store.Delete(gctx, d.Name, d.Version) })
	}
	return g.Wait()
}
