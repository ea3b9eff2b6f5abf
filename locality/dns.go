package locality

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// DNSOptions say which records a DNS source asks for: one of TXT and LOC.
type DNSOptions struct {
	// TXT is a Template of the name whose TXT record is the path: {reversed} is the address from
	// its last byte (1.2.3.4 is 4.3.2.1) or digit, {arpa} the same as a name of the reverse zones.
	TXT string

	// LOC is a Template of the name of a LOC record (RFC 1876), with the same names.
	LOC string

	// Path is a Template of the path of a LOC record: {lat}, {long} and {alt} are degrees north and
	// east, and metres above the sea, rounded down; {lat.2} has two decimals, up to 7.
	Path string

	// Server is the name server, as host or host:port; default: those of /etc/resolv.conf.
	Server string
}

// DNS is a Source that asks name servers for TXT or LOC records. A name that does not exist, or has
// no such record, is an address that is not known.
type DNS struct {
	resolver *resolver
	kind     uint16
	name     Template
	path     Template // of a LOC record
	shown    string
}

// NewDNS makes a DNS source. It fails on options that cannot be, and without a name server.
func NewDNS(o DNSOptions) (*DNS, error) {
	d := &DNS{kind: dns.TypeTXT, shown: o.TXT}
	if (o.TXT == "") == (o.LOC == "") {
		return nil, errors.New("dns: give one of txt and loc")
	}
	var err error
	if o.LOC != "" {
		d.kind, d.shown = dns.TypeLOC, o.LOC
		if d.path, err = parseTemplate("dns: path", o.Path); err != nil {
			return nil, err
		}
		if err := checkPlaceNames(d.path.Names()); err != nil {
			return nil, fmt.Errorf("dns: path: %w", err)
		}
	}
	if d.name, err = parseTemplate("dns: name", d.shown, "reversed", "arpa"); err != nil {
		return nil, err
	}
	if d.resolver, err = newResolver(o.Server); err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	return d, nil
}

// String is "dns", the type and the name, and the server.
func (d *DNS) String() string {
	return fmt.Sprintf("dns %s %s at %v", dns.TypeToString[d.kind], d.shown, d.resolver)
}

// Locate asks the name server.
func (d *DNS) Locate(ctx context.Context, ip netip.Addr) (string, error) {
	name, _ := d.name.Fill(func(name string) (string, error) {
		labels, arpa := reversed(ip)
		if name == "arpa" {
			return arpa, nil
		}
		return labels, nil
	})
	records, err := d.resolver.query(ctx, name, d.kind)
	if err != nil || len(records) == 0 {
		return "", err
	}
	if len(records) > 1 {
		return "", rubbish("%s has %d %s records; keep one", name, len(records), dns.TypeToString[d.kind])
	}
	if txt, ok := records[0].(*dns.TXT); ok {
		return unescaped(strings.Join(txt.Txt, "")), nil
	}
	loc, ok := records[0].(*dns.LOC)
	if !ok {
		return "", rubbish("%s has a record that is not read", name)
	}
	place, err := placeOf(loc)
	if err != nil {
		return "", rubbish("%s: %w", name, err)
	}
	return d.path.Fill(place.value)
}

// unescaped is a text as it is in a record, where the library has \DDD and \X for bytes that are
// special in zone files.
func unescaped(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b = append(b, text[i])
			continue
		}
		if n := i + 4; n <= len(text) && isDigits(text[i+1:n]) {
			value := int(text[i+1]-'0')*100 + int(text[i+2]-'0')*10 + int(text[i+3]-'0')
			b, i = append(b, byte(value)), i+3
			continue
		}
		i++
		b = append(b, text[i])
	}
	return string(b)
}

func isDigits(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}
