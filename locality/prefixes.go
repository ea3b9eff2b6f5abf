package locality

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// prefixes are networks with where they are. The longest one that holds an address wins. They are
// not changed once anybody asks them.
type prefixes struct {
	table bart.Table[placed]
}

// placed is where a network is.
type placed struct {
	group *Group
	note  int32 // of whoever filled the table: where it has this from
}

// find is what there is of an address.
func (p *prefixes) find(ip netip.Addr) (placed, bool) {
	if p == nil {
		return placed{}, false
	}
	return p.table.Lookup(ip)
}

// network is the network that find found for an address.
func (p *prefixes) network(ip netip.Addr) netip.Prefix {
	network, _, _ := p.table.LookupPrefixLPM(netip.PrefixFrom(ip, ip.BitLen()))
	return network
}
