package account

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of the text of an entry, in bytes; what is longer is cut.
const (
	maxWho  = 4 * maxName
	maxWhat = 64
	maxText = 512
)

// writeTime is how long an answer waits for the store, to keep an account or an entry.
const writeTime = 10 * time.Second

// How many refusals are written down, so that nobody fills the log with them: so many
// in a row, and one more after each time that passes.
const (
	refusalsInARow = 100
	refusalAgain   = 10 * time.Second
)

// Entry returns what the audit log has of something that this one did.
func (i Identity) Entry(what, target, outcome string) Entry {
	return Entry{Name: i.Name, Via: i.Via, Address: i.Address, What: what, Target: target, Outcome: outcome}
}

// Note writes an entry to the audit log, at the present time, before it returns. If it
// cannot be written, that is in the tracker's log as an error, with the entry.
func (a *Accounts) Note(ctx context.Context, e Entry) {
	e.Time = a.o.Now().UTC()
	e.Name, e.What = cut(e.Name, maxWho), cut(e.What, maxWhat)
	e.Target, e.Outcome = cut(e.Target, maxText), cut(e.Outcome, maxText)
	ctx, cancel := toTheEnd(ctx) // it was done, even if whoever asked is gone
	defer cancel()
	if err := a.o.Store.Append(ctx, e); err != nil {
		a.o.Log.Error("the audit log cannot be written; what was done stands", "error", err,
			"who", e.Name, "via", e.Via, "address", e.Address, "what", e.What, "target", e.Target, "outcome", e.Outcome)
	}
}

// NoteRefusal is [Accounts.Note] of what was refused for who asked it: the first hundred,
// then one in 10 s, which says how many were left out.
func (a *Accounts) NoteRefusal(ctx context.Context, e Entry) {
	may, leftOut := a.failures.take(a.o.Now())
	if !may {
		return
	}
	if leftOut > 0 {
		e.Outcome = fmt.Sprintf("%s (%d refusals before it are not in this log)", cut(e.Outcome, maxText-64), leftOut)
	}
	a.Note(ctx, e)
}

// Audit returns at most limit entries of the audit log with numbers below before, the
// latest first, and whether there are more. before 0 is the beginning. The error is one
// of the store.
func (a *Accounts) Audit(ctx context.Context, before int64, limit int) (page []Entry, more bool, err error) {
	page, more, err = a.o.Store.Entries(ctx, before, limit)
	if err != nil {
		return nil, false, fmt.Errorf("the audit log cannot be read: %w", err)
	}
	return page, more, nil
}

// cut returns text without what is beyond so many bytes, or half a character.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const ellipsis = "…"
	text = text[:most-len(ellipsis)]
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if tail := text[len(text)-back:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRuneInString(tail) {
				text = text[:len(text)-back]
			}
			break
		}
	}
	return strings.Clone(text) + ellipsis
}

// failures counts refusals.
type failures struct {
	mu       sync.Mutex
	forgiven time.Time // when all will be
	leftOut  int
}

// take reports whether one more may be written down, and how many were not since the
// last that was.
func (f *failures) take(now time.Time) (may bool, leftOut int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.forgiven.Sub(now) > (refusalsInARow-1)*refusalAgain {
		f.leftOut++
		return false, 0
	}
	if f.forgiven.Before(now) {
		f.forgiven = now
	}
	f.forgiven = f.forgiven.Add(refusalAgain)
	leftOut, f.leftOut = f.leftOut, 0
	return true, leftOut
}
