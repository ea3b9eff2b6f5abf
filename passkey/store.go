package passkey

import (
	"context"
	"iter"
)

// Store keeps passkeys. What Apply and Count returned without error is kept when the process
// is killed, but in [Memory]. Methods may be called concurrently; the book calls one that
// writes at a time.
type Store interface {
	// Passkeys yields every passkey, in no order. An error is the last thing it yields.
	Passkeys(ctx context.Context) iter.Seq2[Passkey, error]

	// Apply makes all changes, or none. Where others write to the store too, it is a
	// [Shared] one.
	Apply(ctx context.Context, changes []Change) error

	// Count adds what was told to what is kept, as [Totals.Add] says, and returns the totals
	// in the order of told; nil for a passkey that there is not. After an error some may
	// have been added: counting them again does no harm.
	Count(ctx context.Context, told []Counted, rules Rules) ([]*Totals, error)

	Close() error
}

// Change is a change of one passkey.
type Change struct {
	Record Record  // is put in place of the one with this id
	Delete bool    // instead: it is removed, with its sessions
	Totals *Totals // are put in place of what was counted; nil: that stays
}
