package sqlitefile

import (
	"context"
	"errors"
	"fmt"
	"net/url"
)

// Errors that say why a file is refused. They come wrapped, in words of the kind and
// with what to do.
var (
	ErrForeign = errors.New("not a file of waggle")
	ErrNewer   = errors.New("written by a newer waggle")
	ErrDamaged = errors.New("damaged")
	ErrInUse   = errors.New("in use by another process")
)

// Kind is one kind of file: what tells it from others, and how it is opened. It may be
// used by several goroutines, and is not changed once it is.
type Kind struct {
	Name          string // in messages, such as "catalogue"
	ApplicationID uint32 // no other kind has it
	Version       uint32 // of the schema, from 1; a file with a higher one is refused
	Schema        string // the statements that make what is in a new file

	// Parameters are those of the driver for a file that is written to: "_pragma", and
	// "_txlock". With locking_mode(EXCLUSIVE) and _txlock=exclusive SQLite itself keeps
	// others out, from Open on.
	Parameters url.Values

	// What to do about a file that is refused: the ends of messages.
	IfForeign, IfNewer, IfDamaged, IfInUse string
}

// refusal is an error in words of its own.
type refusal struct {
	reason error
	words  string
}

func (r *refusal) Error() string { return r.words }
func (r *refusal) Unwrap() error { return r.reason }

// foreign is ErrForeign; why is "", or more about it in brackets.
func (k *Kind) foreign(why string) error {
	return &refusal{ErrForeign, "not a " + k.Name + " of waggle" + why + ": " + k.IfForeign}
}

func (k *Kind) newer(version uint32) error {
	return fmt.Errorf("%w (schema %d, this one knows %d): %s", ErrNewer, version, k.Version, k.IfNewer)
}

func (k *Kind) damaged(cause error) error {
	return fmt.Errorf("%w (%w): %s", ErrDamaged, cause, k.IfDamaged)
}

func (k *Kind) inUse() error { return fmt.Errorf("%w: %s", ErrInUse, k.IfInUse) }

// Primary result codes of SQLite (https://www.sqlite.org/rescode.html).
const (
	codeBusy    = 5
	codeLocked  = 6
	codeCorrupt = 11
	codeNotADB  = 26
)

// explain gives errors of SQLite that mean one of ours that meaning, and leaves others.
func (k *Kind) explain(err error) error {
	var e interface{ Code() int } // the driver's
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff { // the rest tells more of the same
	case codeBusy, codeLocked:
		return k.inUse()
	case codeCorrupt, codeNotADB:
		return k.damaged(err)
	}
	return err
}

// ReadError is the error of reading a file, which nothing else explains than that ctx
// ended, or that the file is damaged: [ErrDamaged]. It is nil where err is, unless ctx
// ended.
func (k *Kind) ReadError(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return k.damaged(err)
}
