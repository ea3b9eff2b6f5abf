package table

import (
	"context"
	"encoding/json"
)

// Line is a line with its number.
type Line struct {
	Number int64
	Value  json.RawMessage
}

// Lines returns at most limit lines with numbers below before, the latest first, and
// whether there are more. before 0 is the beginning.
func (t *Table) Lines(ctx context.Context, before int64, limit int) (lines []Line, more bool, err error) {
	t.mu.Lock()
	latest := t.head.Lines
	t.mu.Unlock()
	after := ""
	if before > 0 {
		after = t.lineName(before)
	}
	for d, err := range t.store.List(ctx, t.linesPrefix(), after, true) {
		if err != nil {
			return nil, false, err
		}
		number := t.lineNumber(d.Name)
		latest = max(latest, number)
		if number <= latest-t.o.MaxLines {
			break // to be trimmed
		}
		if len(lines) == limit {
			return lines, true, nil
		}
		lines = append(lines, Line{number, d.Value})
	}
	return lines, false, nil
}
