package document

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// Store keeps documents. All methods may be called concurrently, by several processes.
// What a method returned without error is kept as safely as the server keeps anything,
// and is seen by all that is called afterwards, anywhere.
//
// After an error that is neither of those below, such as swarm.ErrBusy or that of an
// ended context, a write may have been done or not. A store that asks its server again
// may return [ErrChanged] for a write of its own whose answer was lost: whoever must
// know reads the document.
type Store interface {
	// Get returns a document, else [ErrNone].
	Get(ctx context.Context, name string) (Document, error)

	// Put writes a document if its version is still the one given, "" for one that is
	// not there, and returns the new version; else [ErrChanged]. What [Check] refuses
	// is refused. The value is the caller's again when Put returns.
	Put(ctx context.Context, name string, value []byte, version string) (string, error)

	// Delete removes a document if its version is still the one given, else
	// [ErrChanged], as for "" where there is one. One that is not there is no error.
	Delete(ctx context.Context, name, version string) error

	// List yields the documents whose names begin with a prefix and come after a name,
	// in the order of their bytes, from the first where after is "". The prefix may end
	// within a part, and be ""; after need not be a name that there is. Without values,
	// their Value is nil and a server is spared reading them, where it can be. What
	// changes meanwhile may or may not be seen; what is there all the while is seen
	// once. An error is the last thing it yields.
	List(ctx context.Context, prefix, after string, values bool) iter.Seq2[Document, error]

	Close() error
}

// Document is a value with a name.
type Document struct {
	Name    string
	Value   []byte // the caller's
	Version string // differs from any that the document had before
}

// Bounds of documents.
const (
	MaxName  = 512       // bytes
	MaxPart  = 200       // bytes of a name's parts, which are files and folders somewhere
	MaxValue = 256 << 10 // bytes
)

// Errors of stores, which are wrapped with the document's name.
var (
	ErrNone    = errors.New("no such document")
	ErrChanged = errors.New("somebody else has changed the document")
	ErrInvalid = errors.New("not a document that can be kept")
)

// Check returns [ErrInvalid] where a document cannot be written. A name has letters and
// digits of ASCII and the characters "-", "_" and ".", in parts with "/" between them;
// no part is empty or begins with a dot. No name may be the beginning of another's
// parts, as a/b is of a/b/c, which Check cannot see.
func Check(name string, value []byte) error {
	switch {
	case len(name) > MaxName:
		return fmt.Errorf("%.40q...: %w: its name is longer than %d bytes", name, ErrInvalid, MaxName)
	case len(value) > MaxValue:
		return fmt.Errorf("%q: %w: it has %d bytes, and the limit is %d", name, ErrInvalid, len(value), MaxValue)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || len(part) > MaxPart || strings.ContainsFunc(part, foreign) {
			return fmt.Errorf("%q: %w: %.80q is no part of a name", name, ErrInvalid, part)
		}
	}
	return nil
}

// foreign reports whether a character is none of those that names have.
func foreign(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
		return false
	}
	return true
}
