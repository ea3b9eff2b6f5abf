package locality

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// patience is how long a name server may take before it, or the next one, is asked again: a packet
// may be lost.
const patience = 500 * time.Millisecond

// resolvConf names the name servers of the system.
const resolvConf = "/etc/resolv.conf"

// resolver asks name servers.
type resolver struct {
	servers []string // host:port
}

// newResolver makes a resolver of one server, host or host:port, or if it is "" of those of the
// system.
func newResolver(server string) (*resolver, error) {
	if server == "" {
		c, err := dns.ClientConfigFromFile(resolvConf)
		if err != nil {
			return nil, fmt.Errorf("name servers: %w; name one with server", err)
		}
		r := new(resolver)
		for _, server := range c.Servers {
			r.servers = append(r.servers, net.JoinHostPort(server, c.Port))
		}
		if len(r.servers) == 0 {
			return nil, fmt.Errorf("%s names no name server; name one with server", resolvConf)
		}
		return r, nil
	}
	if _, err := netip.ParseAddr(server); err == nil || !strings.Contains(server, ":") {
		server = net.JoinHostPort(server, "53")
	}
	host, port, err := net.SplitHostPort(server)
	if _, notPort := strconv.ParseUint(port, 10, 16); err != nil || notPort != nil || host == "" {
		return nil, fmt.Errorf("server %s is neither a host nor host:port", quote(server))
	}
	return &resolver{servers: []string{server}}, nil
}

// String is the first server, unless it is the system's.
func (r *resolver) String() string { return r.servers[0] }

// query asks for the records of a type that a name has, and returns those. A name that does not
// exist has none. It asks again, or another server, until ctx ends.
func (r *resolver) query(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	if _, ok := dns.IsDomainName(name); !ok {
		return nil, fmt.Errorf("%s is no domain name", quote(name))
	}
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), kind)
	m.SetEdns0(1232, false) // the size that passes without fragments
	var err error
	for i := 0; ctx.Err() == nil; i++ {
		var answer *dns.Msg
		answer, err = exchange(ctx, m, r.servers[i%len(r.servers)])
		if err == nil && answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
			err = fmt.Errorf("name server %s answers %s for %s", r.servers[i%len(r.servers)], dns.RcodeToString[answer.Rcode], name)
		}
		if err == nil {
			return ofKind(answer, kind), nil
		}
		var late net.Error
		if i+1 >= len(r.servers) && (!errors.As(err, &late) || !late.Timeout()) {
			return nil, err // all servers answered, and would again
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return nil, err
}

// ofKind are the records of a type that an answer has. Aliases before them are of no interest.
func ofKind(m *dns.Msg, kind uint16) []dns.RR {
	var records []dns.RR
	for _, record := range m.Answer {
		if record.Header().Rrtype == kind {
			records = append(records, record)
		}
	}
	return records
}

// exchange asks one server once, over UDP, and over TCP if the answer does not fit.
func exchange(ctx context.Context, m *dns.Msg, server string) (*dns.Msg, error) {
	answer, err := exchangeOver(ctx, "udp", m, server)
	if err == nil && answer.Truncated {
		return exchangeOver(ctx, "tcp", m, server)
	}
	return answer, err
}

func exchangeOver(ctx context.Context, network string, m *dns.Msg, server string) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := &dns.Client{Net: network}
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the client looks at the deadline alone
	defer stop()
	m = m.Copy()
	m.Id = dns.Id()
	answer, _, err := client.ExchangeWithConnContext(ctx, m, conn)
	if err != nil {
		var late net.Error
		switch {
		case ctx.Err() != nil:
			err = fmt.Errorf("name server %s: %w", server, ctx.Err())
		case errors.As(err, &late) && late.Timeout(): // the connection has the deadline of ctx, and may be the first to notice
			err = fmt.Errorf("name server %s: %w", server, context.DeadlineExceeded)
		}
		return nil, err
	}
	if len(answer.Question) != 1 || !strings.EqualFold(answer.Question[0].Name, m.Question[0].Name) || answer.Question[0].Qtype != m.Question[0].Qtype {
		return nil, fmt.Errorf("name server %s answers another question", server)
	}
	return answer, nil
}

// reversed are the bytes of an IPv4 address, or the digits of an IPv6 one, from the last, with dots
// between. arpa is the same as a name of the reverse zones (RFC 1035 3.5, RFC 3596 2.5).
func reversed(ip netip.Addr) (labels, arpa string) {
	if ip.Is4() {
		b := ip.As4()
		labels = fmt.Sprintf("%d.%d.%d.%d", b[3], b[2], b[1], b[0])
		return labels, labels + ".in-addr.arpa"
	}
	const digits = "0123456789abcdef"
	b := ip.As16()
	text := make([]byte, 0, 63)
	for i := len(b) - 1; i >= 0; i-- {
		text = append(text, digits[b[i]&15], '.', digits[b[i]>>4], '.')
	}
	labels = string(text[:63])
	return labels, labels + ".ip6.arpa"
}
