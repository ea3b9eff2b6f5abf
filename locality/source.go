package locality

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Source knows where some addresses are. It is safe for concurrent use. One that is an io.Closer is
// closed by the Locator that has it.
type Source interface {
	// String is the source as an operator knows it: its kind, as in the configuration, and what it
	// asks, as in "rest http://smdb.example".
	String() string

	// Locate returns the path of an address, outermost name first, or "" where the source does not
	// know it. The address is never an IPv4-mapped one, and has no zone. It returns an error soon
	// after ctx ends, and says in it what to do. What stands in the path is not checked yet.
	Locate(ctx context.Context, ip netip.Addr) (path string, err error)
}

// Namer is a source that knows what hosts are called, besides.
type Namer interface {
	Source

	// LocateNamed is Locate, and the name of the host, "" where the source does not know that. What
	// stands in the name is not checked yet.
	LocateNamed(ctx context.Context, ip netip.Addr) (path, host string, err error)
}

// Table is a source that answers from memory.
type Table interface {
	Source

	// Group is the innermost group of an address, or nil. It never waits, and allocates nothing for
	// an address of a kind that it has answered before.
	Group(ip netip.Addr) *Group

	// Why is what the table has of an address, as in "line 17: 10.1.2.0/24"; "" if nothing.
	Why(ip netip.Addr) string

	// Dated is of when what the table answers from is, and what was wrong when it was last to be
	// read: then it still answers from what it had before, or without the part that was wrong.
	Dated() (at time.Time, err error)
}

// reloader is a table that can be told to read its files again. With an error it stays as it was.
type reloader interface {
	Reload() error
}

// pathOf is what Locate returns for a table.
func pathOf(g *Group) string {
	if g == nil {
		return ""
	}
	return g.Path()
}

// rubbishError is the error of a source that answers, but not with a location.
type rubbishError struct{ error }

func (e rubbishError) Unwrap() error { return e.error }

// rubbish makes the error of an answer that is no location.
func rubbish(format string, values ...any) error { return rubbishError{fmt.Errorf(format, values...)} }

func isRubbish(err error) bool {
	_, ok := errors.AsType[rubbishError](err)
	return ok
}
