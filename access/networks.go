package access

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/gaissmai/bart"
)

// maxNetworks is the most networks of a file.
const maxNetworks = 1_000_000

// networks are what lists say of addresses. They are not changed once anybody asks them.
type networks struct {
	table bart.Table[verdict]
	rest  verdict // of those that no list has; unlisted: there are no lists
}

// readNetworks reads the networks that may come, and those that may not; "" for none.
func readNetworks(allow, deny string) (*networks, error) {
	n := new(networks)
	var wrong []error
	for _, l := range []*list{
		{key: "access.networks_allow", path: allow, verdict: allowed, most: maxNetworks},
		{key: "access.networks_deny", path: deny, verdict: denied, most: maxNetworks},
	} {
		wrong = append(wrong, l.read(func(text string) error { return n.add(text, l.verdict) }))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	n.rest = restOf(allow, deny)
	return n, nil
}

// restOf is what is said of those that no list has.
func restOf(allow, deny string) verdict {
	switch {
	case allow != "":
		return denied
	case deny != "":
		return allowed
	}
	return unlisted
}

func (n *networks) add(text string, v verdict) error {
	p, err := parseNetwork(text)
	if err != nil {
		return err
	}
	if other, is := n.table.Get(p); is && other != v {
		return fmt.Errorf("%v is %v as well; take it from one of the lists", p, other)
	}
	n.table.Insert(p, v)
	return nil
}

// parseNetwork reads a network or an address. IPv4 in IPv6 clothes is IPv4.
func parseNetwork(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%s is no network such as 10.1.2.0/24 or 2001:db8::/64, and no address", shown(text))
	}
	if p.Masked() != p {
		return p, fmt.Errorf("%v has bits behind its prefix; write the network %v or the address %v", p, p.Masked(), p.Addr())
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p, nil
}

// admit reports whether an address may come: the smallest network that it is in says so.
func (n *networks) admit(ip netip.Addr) bool {
	if n.rest == unlisted {
		return true
	}
	if v, is := n.table.Lookup(ip.Unmap()); is {
		return v == allowed
	}
	return n.rest == allowed
}
