package faraway

import (
	"errors"
	"net"
)

// IsNetwork reports whether an error is that of a connection.
func IsNetwork(err error) bool {
	_, is := errors.AsType[net.Error](err)
	return is
}

// Root returns the innermost error, which says what happened.
func Root(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
