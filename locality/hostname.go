package locality

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxNames is how many reverse names of an address are looked at.
const maxNames = 8

// HostnameOptions say which reverse names tell a location.
type HostnameOptions struct {
	// Pattern is a regular expression for the whole name, in small letters and without its last
	// dot. It has a named group for each level of the tree, (?P<rack>...), where _ stands for what
	// is neither a letter nor a digit.
	Pattern string

	// Unconfirmed has a name count without a look whether it leads back to the address. Then
	// whoever has the reverse zone of an address can put it into any rack.
	Unconfirmed bool

	// Server is the name server, as host or host:port; default: those of /etc/resolv.conf.
	Server string
}

// Hostname is a Namer that reads a location out of the name that an address has (PTR record). An
// address without a name, or with one that the pattern does not match, is not known.
type Hostname struct {
	resolver    *resolver
	pattern     *regexp.Regexp
	groups      []int // of the pattern, one per level, outermost first
	unconfirmed bool
	shown       string
}

// NewHostname makes a Hostname source for a tree. It fails on a pattern that cannot be or lacks a
// level, and without a name server.
func NewHostname(tree *Tree, o HostnameOptions) (*Hostname, error) {
	pattern, err := regexp.Compile(`^(?:` + o.Pattern + `)$`)
	if err != nil {
		return nil, fmt.Errorf("hostname: pattern: %w", err)
	}
	h := &Hostname{pattern: pattern, unconfirmed: o.Unconfirmed, shown: o.Pattern}
	for _, level := range tree.levels {
		group := pattern.SubexpIndex(groupName(level))
		if group < 0 {
			return nil, fmt.Errorf("hostname: pattern %s has no named group for level %s, as in (?P<%s>[^.]+)", quote(o.Pattern), level, groupName(level))
		}
		h.groups = append(h.groups, group)
	}
	if h.resolver, err = newResolver(o.Server); err != nil {
		return nil, fmt.Errorf("hostname: %w", err)
	}
	return h, nil
}

// groupName is the name of the group of a regular expression that stands for a level.
func groupName(level string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, level)
}

// String is "hostname", the pattern, and the server.
func (h *Hostname) String() string { return fmt.Sprintf("hostname %s at %v", h.shown, h.resolver) }

// Locate asks for the names of an address.
func (h *Hostname) Locate(ctx context.Context, ip netip.Addr) (string, error) {
	path, _, err := h.LocateNamed(ctx, ip)
	return path, err
}

// LocateNamed asks for the names of an address, and returns the one that counts as well.
func (h *Hostname) LocateNamed(ctx context.Context, ip netip.Addr) (path, name string, err error) {
	_, arpa := reversed(ip)
	records, err := h.resolver.query(ctx, arpa, dns.TypePTR)
	if err != nil {
		return "", "", err
	}
	for _, record := range records[:min(len(records), maxNames)] {
		ptr, ok := record.(*dns.PTR)
		if !ok {
			continue
		}
		name = strings.ToLower(strings.TrimSuffix(ptr.Ptr, "."))
		path = h.path(name)
		if path == "" {
			continue
		}
		if h.unconfirmed {
			return path, name, nil
		}
		return path, name, h.confirm(ctx, ptr.Ptr, ip)
	}
	return "", "", nil
}

// path is the location that a name tells, or "".
func (h *Hostname) path(name string) string {
	match := h.pattern.FindStringSubmatch(name)
	if match == nil {
		return ""
	}
	names := make([]string, 0, len(h.groups))
	for _, group := range h.groups {
		names = append(names, match[group])
	}
	return strings.Join(names, "/")
}

// confirm says whether a name has an address.
func (h *Hostname) confirm(ctx context.Context, name string, ip netip.Addr) error {
	kind := dns.TypeAAAA
	if ip.Is4() {
		kind = dns.TypeA
	}
	records, err := h.resolver.query(ctx, name, kind)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(records, func(r dns.RR) bool { return addressIn(r) == ip }) {
		return rubbish("its name %s does not lead back to %v; give it that address, or set confirm: false where all reverse zones are yours",
			quote(name), ip)
	}
	return nil
}

// addressIn is the address that a record has, if any.
func addressIn(record dns.RR) netip.Addr {
	var ip netip.Addr
	switch record := record.(type) {
	case *dns.A:
		ip, _ = netip.AddrFromSlice(record.A)
	case *dns.AAAA:
		ip, _ = netip.AddrFromSlice(record.AAAA)
	}
	return ip.Unmap()
}
