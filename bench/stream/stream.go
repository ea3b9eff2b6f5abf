package stream

import (
	"net/netip"
	"time"
)

// Streams are connections to one address. They belong to one goroutine.
type Streams interface {
	// Open begins to connect a stream. Whether it could be is told by Read.
	Open(stream int) error

	// Write writes what fits, and returns how much; 0 where the stream is not yet
	// connected. Wait tells when more fits. Errors are those of the connection.
	Write(stream int, b []byte) (int, error)

	// Read reads what has arrived; 0 without an error where there is nothing. The
	// error is io.EOF at the end of a stream, else that of the connection.
	Read(stream int, b []byte) (int, error)

	// Shut closes a stream that is open. It can be opened again.
	Shut(stream int)

	// Wait waits until something can be done with a stream, or for the timeout, and
	// calls ready for each such stream. A call for nothing does no harm.
	Wait(timeout time.Duration, ready func(stream int)) error

	// Close shuts all streams.
	Close() error
}

// Dial prepares so many streams to the remote address. Stream n comes from the local
// address n modulo their number; an invalid one, the zero value, leaves the choice to
// the system.
func Dial(streams int, locals []netip.Addr, remote netip.AddrPort) (Streams, error) {
	return dial(streams, locals, remote)
}
