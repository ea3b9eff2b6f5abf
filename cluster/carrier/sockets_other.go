//go:build !linux

package carrier

import (
	"net"
	"net/netip"
)

// listenGroup has package net share the port of a group. The socket may hear what goes to other
// addresses of the port; what is not sealed for the group is dropped later.
func listenGroup(group netip.AddrPort, card *net.Interface) (*net.UDPConn, error) {
	return net.ListenMulticastUDP("udp", card, net.UDPAddrFromAddrPort(group))
}
