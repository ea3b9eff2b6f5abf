package udp

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
)

// The header of Cloudflare's simple proxy protocol: a number, the addresses of the client and of the
// proxy, and the ports of both. IPv4 stands in IPv6 clothes.
const (
	proxyMagic  = 0x56ec
	proxyHeader = 2 + 16 + 16 + 2 + 2 // bytes
)

// cutProxyHeader cuts the header off a packet, and returns whom the packet comes from: without zone,
// and IPv4 not in IPv6 clothes.
func cutProxyHeader(packet []byte) (header, rest []byte, from netip.AddrPort, ok bool) {
	if len(packet) < proxyHeader || binary.BigEndian.Uint16(packet) != proxyMagic {
		return nil, packet, from, false
	}
	client := netip.AddrFrom16([16]byte(packet[2:])).Unmap()
	return packet[:proxyHeader:proxyHeader], packet[proxyHeader:], netip.AddrPortFrom(client, binary.BigEndian.Uint16(packet[2+16+16:])), true
}

// proxies are those whose packets begin with a header.
type proxies struct {
	networks atomic.Pointer[[]netip.Prefix] // nil: there are none
}

// ExpectHeaders replaces the proxies that put the header of Cloudflare's simple proxy protocol before
// each packet. Their packets without one are dropped, and so are those of others with one. What
// answers such a packet goes back to the proxy and begins with the same header; all of it is no longer
// than an answer without.
func (s *Server) ExpectHeaders(of []netip.Prefix) {
	if len(of) == 0 {
		s.proxies.networks.Store(nil)
		return
	}
	s.proxies.networks.Store(&of)
}

// include reports whether an address is that of a proxy.
func (p *proxies) include(ip netip.Addr) bool {
	if p == nil {
		return false
	}
	networks := p.networks.Load()
	if networks == nil {
		return false
	}
	for _, n := range *networks {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}
