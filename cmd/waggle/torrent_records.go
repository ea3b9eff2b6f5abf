package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// records returns lines of a zone file for the trackers of tiers: for each host the TXT
// record of BEP 34, which says to clients at which ports it has trackers, then SRV
// records (RFC 2782) below the name that the zone file is of, by which clients that look
// for them find all. Trackers of an earlier tier are preferred; of those of one tier any
// is as good as another. Hosts that are addresses have no records, and are in without.
func records(tiers [][]string) (lines, without []string) {
	type service struct{ owner, line string }
	ports, hosts, services := map[string][]string{}, []string{}, []service{}
	for priority, tier := range tiers {
		for _, u := range tier {
			host, protocol, port, ok := endpoint(u)
			if !ok {
				without = append(without, u)
				continue
			}
			if _, seen := ports[host]; !seen {
				hosts = append(hosts, host)
			}
			if word := strings.ToUpper(protocol) + ":" + port; !slices.Contains(ports[host], word) {
				ports[host] = append(ports[host], word)
				owner := "_bittorrent-tracker._" + protocol
				services = append(services, service{owner, fmt.Sprintf("%s IN SRV %d 1 %s %s.", owner, priority, port, host)})
			}
		}
	}
	for _, host := range hosts {
		lines = append(lines, fmt.Sprintf("%s. IN TXT %q", host, "BITTORRENT "+strings.Join(ports[host], " ")))
	}
	for _, s := range services {
		lines = append(lines, s.line)
	}
	return lines, without
}

// endpoint returns where the tracker of a URL is; false: that has no records. BEP 34
// knows UDP and TCP.
func endpoint(tracker string) (host, protocol, port string, ok bool) {
	u, err := url.Parse(tracker)
	if err != nil {
		return "", "", "", false
	}
	host, port = strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), u.Port()
	switch u.Scheme {
	case "udp":
		protocol = "udp"
	case "http", "ws":
		protocol, port = "tcp", orElse(port, "80")
	case "https", "wss":
		protocol, port = "tcp", orElse(port, "443")
	default:
		return "", "", "", false
	}
	_, notAddress := netip.ParseAddr(host)
	number, err := strconv.ParseUint(port, 10, 16)
	return host, protocol, port, notAddress != nil && err == nil && number > 0 && isHostName(host)
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// isHostName reports whether a name can stand in a zone file as it is. A URL may have
// what means something else there.
func isHostName(host string) bool {
	if len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, strange) {
			return false
		}
	}
	return true
}

func strange(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
