//go:build !function

package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"waggle/peer"
)

// peerFlags are those of every command that transfers.
type peerFlags struct {
	up, down    string
	listen      string
	port        uint16
	connections int
	dht, pex    bool
	json        bool

	multicastInterface string
	multicastTTL       int
}

func (p *peerFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&p.up, "up", "", "`SIZE` a second to upload at most, such as 10MiB (default: no limit)")
	flags.StringVar(&p.down, "down", "", "`SIZE` a second to download at most (default: no limit)")
	flags.StringVar(&p.listen, "listen", "", "`ADDRESS` to listen on (default: all)")
	flags.Uint16Var(&p.port, "port", 0, "TCP `PORT` to listen on (default: that of the last time, or any)")
	flags.IntVar(&p.connections, "connections", 50, "`PEERS` of a torrent to be connected to at most")
	flags.BoolVar(&p.dht, "dht", false, "ask the DHT for peers, which are strangers on the internet; not for private torrents")
	flags.BoolVar(&p.pex, "pex", false, "ask peers for peers; not for private torrents")
	flags.StringVar(&p.multicastInterface, "multicast-interface", "", "network `INTERFACE` to ask multicast trackers by, such as eth1 (default: that of --listen, or the route's)")
	flags.IntVar(&p.multicastTTL, "multicast-ttl", 1, "`NETWORKS` that requests to multicast trackers may pass; 1 is this one, more go through routers")
	flags.BoolVar(&p.json, "json", false, "print a line of JSON each second, and one at the end")
}

// options turns the flags into those of a peer. Its errors are wrong usage.
func (p *peerFlags) options() (peer.Options, error) {
	o := peer.Options{Port: p.port, Connections: p.connections, DHT: p.dht, PEX: p.pex, Version: version}
	var err error
	if o.Up, err = parseRate("--up", p.up); err != nil {
		return o, err
	}
	if o.Down, err = parseRate("--down", p.down); err != nil {
		return o, err
	}
	if p.connections < 1 {
		return o, usageError{errors.New("--connections: want 1 or more")}
	}
	if p.listen != "" {
		if o.Addr, err = netip.ParseAddr(p.listen); err != nil {
			return o, usageError{fmt.Errorf("--listen: %q is not an IP address, such as 192.0.2.1; the port has a flag of its own", p.listen)}
		}
	}
	if p.multicastTTL < 1 || p.multicastTTL > math.MaxUint8 {
		return o, usageError{errors.New("--multicast-ttl: want 1 to 255")}
	}
	if _, err := net.InterfaceByName(p.multicastInterface); err != nil && p.multicastInterface != "" {
		return o, usageError{fmt.Errorf("--multicast-interface: this machine has none that is called %s; it has %s", printable(p.multicastInterface), interfaces())}
	}
	o.MulticastInterface, o.MulticastTTL = p.multicastInterface, p.multicastTTL
	return o, nil
}

// interfaces lists those of this machine.
func interfaces() string {
	all, err := net.Interfaces()
	if err != nil || len(all) == 0 {
		return "none"
	}
	var names []string
	for _, one := range all {
		names = append(names, one.Name)
	}
	return strings.Join(names, ", ")
}

func parseRate(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	size, err := humanize.ParseBytes(text)
	if err != nil || size == 0 || size > math.MaxInt64 {
		return 0, usageError{fmt.Errorf("%s: %q is not a size; write it like 500KiB or 10MiB", flag, text)}
	}
	return int64(size), nil
}
