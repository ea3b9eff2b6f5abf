package config

import (
	"errors"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"sync"
)

// Cluster says with which other trackers of this network this one is a cluster.
type Cluster struct {
	// Multicast group that the trackers of the cluster speak to each other in. Its name is all that
	// another one needs to join, beside the secret. off, unless cluster.nats is set, for no cluster.
	Group Group `key:"group" default:"off"`

	// Multicast group that peers send their requests to. All trackers hear it, and the master answers:
	// a torrent names it as udp://239.192.0.69:6969/announce. off for none.
	Peers Group `key:"peers" default:"239.192.0.69:6969"`

	// Network interface that both groups are on, such as eth0. Empty for the one that the route to the
	// group takes.
	Interface string `key:"interface" default:""`

	// How far packets to a group go. 1 is this network alone, each router that may pass them on is one
	// more.
	TTL int `key:"ttl" default:"1" range:"1..255"`

	// File of one line, the secret of the cluster, which all its trackers have. It is 16 or more
	// characters without spaces, as openssl rand -hex 32 prints them; others than its owner and group
	// must not be able to read the file.
	SecretFile Path `key:"secret_file" default:""`

	// Whether to believe everybody on the network, in place of cluster.secret_file. Whoever sends a
	// packet can then become master and change what all trackers know. It is for trackers of the
	// original design, which know of no secret, and for trying out.
	Unauthenticated bool `key:"unauthenticated" default:"false"`

	// URL of a NATS by which the trackers speak to each other, in place of cluster.group. nats://host:4222
	// is for this machine alone, any other speaks TLS, as tls://host:4222. A user and a password may
	// stand in it, which is best given by WAGGLE_CLUSTER_NATS. Empty for none.
	NATS NATSURL `key:"nats" default:""`

	// What the subjects of cluster.nats begin with, which tells clusters at one NATS apart. It is up to
	// eight words of ASCII letters, digits, - and _, with dots between them.
	NATSPrefix string `key:"nats_prefix" default:"waggle.cluster"`

	// File of credentials (.creds) for cluster.nats. Empty for none.
	Credentials Path `key:"credentials" default:""`

	// Peers that the cluster knows at once. Those that have left lately are some of them, and so is a
	// count of each torrent. Each takes some 140 bytes beside the store. All trackers should have the
	// same number.
	MaxRows Count `key:"max_rows" default:"5M" range:"1k..100M"`

	// Whether clients of this tracker's own addresses are answered while another one is master. The
	// master records what they announce first. Without, only the master answers: others turn clients
	// away.
	Forward bool `key:"forward" default:"true"`
}

// On reports whether there is a cluster.
func (c *Cluster) On() bool { return c.Group != "" || c.NATS != "" }

// Group is a multicast group, as address:port; empty for none, which is written off.
type Group string

// String returns the group, or off.
func (g Group) String() string {
	if g == "" {
		return "off"
	}
	return string(g)
}

// AddrPort returns the group; the zero value for none.
func (g Group) AddrPort() netip.AddrPort {
	a, _ := netip.ParseAddrPort(string(g)) // parseGroup has checked it
	return a
}

func parseGroup(text string) (Group, error) {
	if text == "off" || text == "" {
		return "", nil
	}
	a, err := netip.ParseAddrPort(text)
	switch {
	case err != nil:
		return "", errShape
	case a.Addr().Zone() != "":
		return "", errors.New("leave out % and what follows it: cluster.interface has the name of the network interface")
	case !a.Addr().Unmap().IsMulticast():
		return "", errors.New("its address is of one machine: a group is from 224.0.0.0 to 239.255.255.255, or begins with ff")
	case a.Port() == 0:
		return "", errors.New("its port is from 1 to 65535")
	}
	return Group(netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()), nil
}

// subjects is what cluster/carrier takes as the beginning of subjects.
var subjects = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}(\.[A-Za-z0-9_-]{1,32}){0,7}$`) })

// clusters checks the rules of and between keys of the cluster.
func (l *loader) clusters() {
	c := &l.loaded.Config.Cluster
	if !c.On() {
		return
	}
	blame := "cluster.group"
	if c.Group == "" {
		blame = "cluster.nats"
	}
	at := l.loaded.Sources[blame]
	for _, rule := range []struct {
		broken bool
		words  string
	}{
		{c.Group != "" && c.NATS != "", "cluster.nats and cluster.group exclude each other: the trackers speak by one of them; set cluster.group to off"},
		{c.SecretFile == "" && !c.Unauthenticated && !l.broken["cluster.secret_file"], blame + " needs cluster.secret_file, a file that all trackers of the cluster have: " +
			"make one with (umask 077; openssl rand -hex 32 > cluster.secret), or set cluster.unauthenticated to true, where everybody on the network may be believed"},
		{c.SecretFile != "" && c.Unauthenticated, "cluster.unauthenticated and cluster.secret_file exclude each other: leave one of them out"},
		{l.loaded.Config.Store.Remote(), blame + " needs a store in memory or a file: trackers with a store on a network share their peers by that; " +
			"give all of them the same store, or set " + blame + offFor(blame)},
		{c.Group != "" && c.Group == c.Peers, "cluster.peers and cluster.group are one group: peers and trackers do not understand each other; give them two ports"},
	} {
		if rule.broken {
			l.add(at, "%s", rule.words)
		}
	}
	for key, set := range map[string]bool{"link.listen": l.loaded.Config.Link.Listen != "", "link.nats": l.loaded.Config.Link.NATS != ""} {
		if set {
			l.add(l.loaded.Sources[key], "%s and %s exclude each other: the trackers of a cluster are one already; leave %s out", key, blame, key)
		}
	}
	if !subjects().MatchString(c.NATSPrefix) {
		l.refuse(l.byPath["cluster.nats_prefix"], l.loaded.Sources["cluster.nats_prefix"],
			"is up to eight words of 1 to 32 ASCII letters, digits, - and _, with dots between them, as waggle.cluster, unlike %s", shown(c.NATSPrefix))
	}
	l.clusterPort(c)
}

func offFor(key string) string {
	if key == "cluster.nats" {
		return " to nothing"
	}
	return " to off"
}

// clusterPort refuses to listen for peers where the trackers speak to each other.
func (l *loader) clusterPort(c *Cluster) {
	if c.Group == "" {
		return
	}
	taken := strconv.Itoa(int(c.Group.AddrPort().Port()))
	for _, a := range l.loaded.Config.Listen.UDP {
		if host, port, _ := net.SplitHostPort(string(a)); port == taken && everywhere(host) {
			l.add(l.loaded.Sources["cluster.group"], "cluster.group and listen.udp are both on port %s: give one of them another", taken)
		}
	}
}

func everywhere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}
