package config

import (
	"errors"
	"net"
	"net/url"
	"regexp"
	"strings"
)

// Link says which trackers this one acts as one with.
type Link struct {
	// What others call this tracker, in letters of ASCII, digits, - and _. Empty for the name of this
	// machine. Over link.nats, a leaf is known to its hub by it.
	Name string `key:"name" default:""`

	// Address at which leaves join this tracker, which makes it a hub. It is for TLS alone, and for
	// those who were invited. off turns it off; a leaf needs none.
	Listen OptionalAddress `key:"listen" default:"off"`

	// Addresses of link.listen that invitations name, as others reach it. They are tried in this order.
	// Without any there are those of this machine, which are of no use from beyond a NAT.
	Addresses []Address `key:"addresses" default:""`

	// URL of a NATS that is there already, in place of link.listen. nats://host:4222 is for this machine
	// alone, any other speaks TLS, as tls://host:4222. A user and a password may stand in it, which is
	// best given by WAGGLE_LINK_NATS. Empty for none.
	NATS NATSURL `key:"nats" default:""`

	// What this tracker is to others over link.nats. A leaf finds the hub there by itself; a hub lets in
	// those that "waggle link invite" names.
	NATSRole string `key:"nats_role" default:"leaf" oneof:"leaf,hub"`

	// File that the NATS knows this tracker by. It has credentials (.creds), or the seed of an NKey.
	// Empty for none.
	Credentials Path `key:"credentials" default:""`

	// Folder of what links need from one start to the next. That is the hub's key, who was invited, the
	// hub that was joined, and counters of completed downloads. It holds secrets.
	Directory Path `key:"directory" default:"waggle-data/link"`

	// Which .torrent files travel over links: to this tracker, from it, both or none. Each leaf's rights
	// say so too, and the lesser counts. What comes is added as an upload; torrents.max_upload bounds it.
	ShareTorrents string `key:"share_torrents" default:"off" oneof:"off,receive,send,both"`

	// Whether a torrent is deactivated here when it is where it came from. It is for trackers that trust
	// each other: a link may remove all that it has told of.
	ShareRemovals bool `key:"share_removals" default:"false"`

	// Peers that links know of at once, those of this tracker too. Each takes some 130 bytes beside the
	// store. One leaf brings half as many at most, unless its rights say otherwise.
	MaxPeers Count `key:"max_peers" default:"5M" range:"1k..100M"`
}

// NATSURL is where a NATS is: nats or tls, a host and a port; empty for nowhere.
type NATSURL string

// String is the URL without its password. The URL itself is string(u).
func (u NATSURL) String() string { return hidePassword(string(u)) }

func parseNATSURL(text string) (NATSURL, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, hidden+"@"):
		return "", errors.New("its password is hidden: put the password in place of " + hidden)
	case err != nil || u.Hostname() == "" || u.Scheme != "nats" && u.Scheme != "tls":
		return "", errShape
	case u.Port() == "":
		return "", errors.New("it has no port, which is 4222 as a rule")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("leave out what stands behind the port")
	}
	return NATSURL(text), nil
}

// trackerName is what link/carrier takes as one.
var trackerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// maxAddresses is the most that an invitation has.
const maxAddresses = 16

// links checks the rules of and between keys of links.
func (l *loader) links() {
	c := &l.loaded.Config.Link
	if c.Listen != "" && c.NATS != "" && !l.broken["link.listen"] && !l.broken["link.nats"] {
		l.add(l.loaded.Sources["link.nats"], "link.nats and link.listen exclude each other: leaves come by one of them; set link.listen to off")
	}
	if c.Name != "" && !trackerName.MatchString(c.Name) {
		l.refuse(l.byPath["link.name"], l.loaded.Sources["link.name"], "has 1 to 64 letters of ASCII, digits, - and _, unlike %s", shown(c.Name))
	}
	if n := len(c.Addresses); n > maxAddresses {
		l.refuse(l.byPath["link.addresses"], l.loaded.Sources["link.addresses"], "are %d, and may be %d: leave out those by which few leaves come", n, maxAddresses)
	}
	for _, a := range c.Addresses {
		if host, port, _ := net.SplitHostPort(string(a)); host == "" || port == "0" {
			l.refuse(l.byPath["link.addresses"], l.loaded.Sources["link.addresses"],
				"are where others reach this tracker, as tracker.example:6971, not %s", shown(string(a)))
		}
	}
}
