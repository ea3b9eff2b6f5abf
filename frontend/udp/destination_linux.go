package udp

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// controlLen is room for one control message with a packet's destination.
const controlLen = 64

// rememberDestination asks the kernel to tell with each packet the address that
// it was sent to. Only a socket that listens on a wildcard needs that.
func rememberDestination(fd int, local netip.Addr) error {
	if local.Is4() {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
}

// replyControl turns what came with a packet into what makes the reply go out
// from the address that was asked. It works in place, and leaves the choice of
// the interface to the kernel's routes, except for link-local addresses, which
// mean nothing without one.
func replyControl(control []byte) []byte {
	header := unix.CmsgLen(0)
	if len(control) < header {
		return nil
	}
	level := int32(binary.NativeEndian.Uint32(control[header-8:]))
	kind := int32(binary.NativeEndian.Uint32(control[header-4:]))
	body := control[header:]
	switch {
	case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(body) >= unix.SizeofInet4Pktinfo:
		clear(body[:4]) // ipi_ifindex; ipi_spec_dst, which follows, is the source of the reply
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(body) >= unix.SizeofInet6Pktinfo:
		if !netip.AddrFrom16([16]byte(body)).IsLinkLocalUnicast() {
			clear(body[16:20]) // ipi6_ifindex
		}
	default:
		return nil
	}
	return control
}
