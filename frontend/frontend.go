// Package frontend holds what the frontends share: the words for an address that
// cannot be listened on, and counts of how long answers took. A frontend turns the
// bytes of one protocol into announces and replies into bytes, and decides nothing;
// each has a package of its own below this one, with the same shape: Listen with
// Options, Addrs, Figures, Latencies, Close.
package frontend

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"waggle/errno"
)

// ListenError says what to do about an address that cannot be listened on.
// protocol is that of the frontend, and the last part of its key in the
// configuration.
func ListenError(protocol, address string, err error) error {
	switch {
	case errno.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s %s is in use by another process: stop it, or choose another address with listen.%s", protocol, address, protocol)
	case errno.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s %s is not an address of this machine: correct listen.%s", protocol, address, protocol)
	case errors.Is(err, os.ErrPermission), errno.Is(err, syscall.EACCES):
		return fmt.Errorf("%s %s may not be listened on by this user: choose a port from 1024 on with listen.%s", protocol, address, protocol)
	}
	return fmt.Errorf("%s %s cannot be listened on (listen.%s): %w", protocol, address, protocol, err)
}
