package table

import (
	"context"
	"encoding/json"
	"errors"

	"waggle/document"
)

// Merge replaces the value of a row by what merge makes of it, whatever others do at the
// same time; nil: it stays. It returns the value as it is then, nil where there is no
// such row. merge may be called several times. Options.Join must keep what was merged.
// The error is document.ErrChanged where others were faster all the time, or one of the
// store.
//
// Others do not hear of it: tell them by a note.
func (t *Table) Merge(ctx context.Context, key string, merge func(json.RawMessage) json.RawMessage) (json.RawMessage, error) {
	for tries := 1; ; tries++ {
		s, err := t.readRow(ctx, key)
		if err != nil || s == nil || s.row.Number == 0 {
			return nil, err
		}
		merged := merge(s.row.Value)
		if merged == nil {
			return s.row.Value, nil
		}
		s.row.Value = merged
		if _, err = t.put(ctx, t.rowName(key), &s.row, s.version); !errors.Is(err, document.ErrChanged) || tries == maxTries {
			return merged, err
		}
	}
}
