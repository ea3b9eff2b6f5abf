package main

import (
	"fmt"
	"net"
	"net/netip"
)

// announceURLs returns the URLs under which clients reach what listens on the
// addresses: for a wildcard, that of the loopback and of every address that the
// machine has in a family which the wildcard covers.
func announceURLs(scheme string, addrs []netip.AddrPort) []string {
	var urls []string
	for _, a := range addrs {
		hosts := []netip.Addr{a.Addr()}
		if a.Addr().IsUnspecified() {
			hosts = machineAddrs(a.Addr(), scheme == "udp")
		}
		for _, host := range hosts {
			urls = append(urls, fmt.Sprintf("%s://%s/announce", scheme, netip.AddrPortFrom(host.Unmap(), a.Port())))
		}
	}
	return urls
}

// machineAddrs returns loopback and global addresses. A wildcard of IPv6 covers
// IPv4 too, unless it is for its own family only.
func machineAddrs(wildcard netip.Addr, ownFamilyOnly bool) []netip.Addr {
	var hosts []netip.Addr
	interfaces, _ := net.InterfaceAddrs() // without them, the list is empty and the service is not
	for _, i := range interfaces {
		prefix, err := netip.ParsePrefix(i.String())
		if err != nil || prefix.Addr().IsLinkLocalUnicast() {
			continue
		}
		sameFamily := prefix.Addr().Is4() == wildcard.Is4()
		if sameFamily || (wildcard.Is6() && !ownFamilyOnly) {
			hosts = append(hosts, prefix.Addr())
		}
	}
	return hosts
}
