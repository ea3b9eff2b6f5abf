package http

import (
	"net/netip"
	"strings"

	"waggle/bittorrent"
)

// Faults of the address of a request.
const (
	errRemote    bittorrent.Error = "the address of your connection cannot be read"
	errForwarded bittorrent.Error = "X-Forwarded-For from your proxy holds something that is not an address"
)

// clientAddr returns the address that a request comes from: that of the
// connection, or what a trusted proxy says in its X-Forwarded-For headers.
func clientAddr(remote netip.Addr, forwarded []string, trusted []netip.Prefix) (netip.Addr, error) {
	if !remote.IsValid() {
		return netip.Addr{}, errRemote
	}
	ip := remote
	if !contains(trusted, ip) {
		return ip, nil
	}
	// Each proxy appends whom it heard; the last entry that is not a proxy of ours
	// is the first that nobody untrusted has written.
	for i := len(forwarded) - 1; i >= 0; i-- {
		for rest := forwarded[i]; rest != ""; {
			var entry string
			var err error
			rest, entry = cutLast(rest)
			if ip, err = parseForwarded(entry); err != nil {
				return netip.Addr{}, errForwarded
			}
			if !contains(trusted, ip) {
				return ip, nil
			}
		}
	}
	return ip, nil
}

// cutLast cuts the last entry off a list with commas.
func cutLast(list string) (rest, last string) {
	if i := strings.LastIndexByte(list, ','); i >= 0 {
		return list[:i], strings.TrimSpace(list[i+1:])
	}
	return "", strings.TrimSpace(list)
}

// parseForwarded reads an address, with or without port, as proxies write it.
func parseForwarded(entry string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(strings.Trim(entry, "[]"))
	if err != nil {
		var withPort netip.AddrPort
		if withPort, err = netip.ParseAddrPort(entry); err == nil {
			ip = withPort.Addr()
		}
	}
	return plain(ip), err
}

// plain returns the address as peers are known by: without zone, and IPv4 not in
// IPv6 clothes.
func plain(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }

func contains(prefixes []netip.Prefix, ip netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
