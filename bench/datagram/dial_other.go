//go:build !linux

package datagram

import "net/netip"

func dial(locals []netip.Addr, remote netip.AddrPort) (Sockets, error) {
	return dialEach(locals, remote)
}
