//go:build !linux

package stream

import "net/netip"

func dial(streams int, locals []netip.Addr, remote netip.AddrPort) (Streams, error) {
	return dialEach(streams, locals, remote)
}
