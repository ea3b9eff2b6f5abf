package locality

import (
	"net/netip"
	"strings"
)

// maxHost is the length of the longest name of a host, in bytes: that of DNS.
const maxHost = 253

// hostName is a name of a host as it is kept, or nil where it is none: it has letters and digits of
// ASCII, hyphens, underscores and dots.
func hostName(text string) *string {
	text = strings.TrimSuffix(text, ".")
	if text == "" || len(text) > maxHost || strings.ContainsFunc(text, notOfHosts) {
		return nil
	}
	text = strings.Clone(text) // nothing that it may be a part of is kept with it
	return &text
}

func notOfHosts(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
		return false
	}
	return true
}

// Host is what the host at an address is called, as far as that is remembered of the source that
// located it ([Namer]); otherwise "". It never waits.
func (l *Locator) Host(ip netip.Addr) string {
	e, ok := l.cache.peek(plain(ip).As16())
	if !ok || e.host == nil {
		return ""
	}
	return *e.host
}
