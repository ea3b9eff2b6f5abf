package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
)

// endpoint is where a target is, and how it is asked.
type endpoint struct {
	target   Target
	protocol string // "udp", "http" or "ws"
	addr     netip.AddrPort
	host     string // as in the URL
	announce string // HTTP: path of an announce, up to its first parameter; WebSocket: all of it; UDP: what of the URL is sent along (BEP 41)
	scrape   string // HTTP: the same of a scrape
}

// resolve reads a URL and looks up its host. Anything but the loopback has to be
// allowed: load on a stranger's tracker is an attack.
func resolve(ctx context.Context, t Target, remote bool) (*endpoint, error) {
	u, err := url.Parse(t.URL)
	if err != nil || (u.Scheme != "udp" && u.Scheme != "http" && u.Scheme != "ws") || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is not a URL of a tracker: write it like udp://127.0.0.1:6969, http://127.0.0.1:6969/announce or ws://127.0.0.1:6969", t.URL)
	}
	port := u.Port()
	if port == "" {
		if u.Scheme == "udp" {
			return nil, fmt.Errorf("%s names no port: write it like udp://127.0.0.1:6969", t.URL)
		}
		port = "80"
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.URL, err)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.URL, err)
	}
	e := &endpoint{target: t, protocol: u.Scheme, host: u.Host, addr: netip.AddrPortFrom(ips[0].Unmap(), uint16(number))}
	if !e.addr.Addr().IsLoopback() && !remote {
		return nil, fmt.Errorf("%s is not on the loopback of this machine: load it only if it is yours, with --remote", t.URL)
	}
	switch e.protocol {
	case "http":
		e.announce, e.scrape = paths(u)
	case "ws":
		e.announce = u.RequestURI()
	default:
		e.announce = shown(u)
	}
	return e, nil
}

// paths returns the paths of announces and scrapes, up to the first parameter.
func paths(u *url.URL) (announce, scrape string) {
	path := u.EscapedPath()
	if path == "" || path == "/" {
		path = "/announce"
	}
	end := "?"
	if u.RawQuery != "" {
		end = "?" + u.RawQuery + "&"
	}
	scrape = path
	if i := strings.LastIndex(path, "/announce"); i >= 0 {
		scrape = path[:i] + "/scrape" + path[i+len("/announce"):]
	}
	return path + end, scrape + end
}

// shown returns path and query of a URL over UDP, where they say more than that it is one.
func shown(u *url.URL) string {
	if uri := u.RequestURI(); uri != "/" && uri != "/announce" {
		return uri
	}
	return ""
}

// hasSources tells whether each group can have an address of its own: every address
// of 127.0.0.0/8 is one of Linux's loopback.
func (e *endpoint) hasSources() bool {
	return runtime.GOOS == "linux" && e.addr.Addr().Is4() && e.addr.Addr().IsLoopback()
}

// source returns the address of a group; an invalid one leaves it to the system.
func (e *endpoint) source(group int) netip.Addr {
	if !e.hasSources() {
		return netip.Addr{}
	}
	n := group + 1
	return netip.AddrFrom4([4]byte{127, byte(1 + n>>16), byte(n >> 8), byte(n)})
}
