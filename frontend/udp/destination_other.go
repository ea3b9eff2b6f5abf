//go:build !linux

package udp

import "net"

const controlLen = 0

// rememberDestination does nothing: on this system a socket that listens on one
// address answers from it, and a wildcard one from the address that the route
// back has.
func rememberDestination(*net.UDPConn) error { return nil }

func replyControl([]byte) []byte { return nil }
