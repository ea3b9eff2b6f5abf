package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"waggle/errno"
)

// groupSocket sends to a multicast group and hears who answers, from whatever
// address.
type groupSocket struct {
	conn     *net.UDPConn
	by       string        // " by lo", where the interface was chosen
	received chan []byte   // each a slice of its own
	closing  chan struct{} // closed to end the reader
	ended    chan struct{} // closed by the reader
}

// maxGroupAnswer is more bytes than any answer has that is believed, so that none
// is cut to a size that would be.
const maxGroupAnswer = 2048

// maxReadErrors is how often reading may fail, which some systems have it do for
// what another host says, before an announce goes on deaf.
const maxReadErrors = 100

// open opens a socket for requests to a group.
func (g *groups) open(ctx context.Context, group netip.AddrPort) (*groupSocket, error) {
	device, err := g.leavesBy(group.Addr())
	if err != nil {
		return nil, err
	}
	network, local := "udp4", netip.IPv4Unspecified()
	if group.Addr().Is6() {
		network, local = "udp6", beyondLink(device)
	}
	if own := g.addr.Unmap(); own.IsValid() && own.Is6() == local.Is6() {
		local = own // multicasts leave by its interface, unless another is chosen
	}
	var config net.ListenConfig
	opened, err := config.ListenPacket(ctx, network, netip.AddrPortFrom(local, 0).String())
	if err != nil {
		return nil, err
	}
	conn := opened.(*net.UDPConn)
	if err := g.direct(conn, local.Is6(), device); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s := &groupSocket{conn: conn, received: make(chan []byte), closing: make(chan struct{}), ended: make(chan struct{})}
	if device != nil {
		s.by = " by " + device.Name
	}
	go s.read()
	return s, nil
}

// beyondLink returns the address that requests to a group of IPv6 come from. For
// ff02::/16 the system would take that of the link, fe80::, which the tracker would
// then tell others, who cannot connect to it: they miss the zone.
func beyondLink(device *net.Interface) netip.Addr {
	if device == nil {
		return netip.IPv6Unspecified()
	}
	list, _ := device.Addrs()
	for _, one := range list {
		prefix, err := netip.ParsePrefix(one.String())
		if addr := prefix.Addr(); err == nil && addr.Is6() && !addr.Is4In6() && !addr.IsLinkLocalUnicast() {
			return addr
		}
	}
	return netip.IPv6Unspecified()
}

// leavesBy returns the interface for requests to a group; nil: the system knows.
func (g *groups) leavesBy(group netip.Addr) (*net.Interface, error) {
	name := cmp.Or(group.Zone(), g.device)
	if name == "" {
		return nil, nil
	}
	device, err := net.InterfaceByName(name)
	if index, no := strconv.Atoi(name); err != nil && no == nil {
		device, err = net.InterfaceByIndex(index)
	}
	if err != nil {
		return nil, fmt.Errorf("this machine has no network interface %q now", printable(name))
	}
	return device, nil
}

// direct sets how far multicasts go, and by which interface, if there is one.
func (g *groups) direct(conn *net.UDPConn, v6 bool, device *net.Interface) error {
	var socket interface {
		SetMulticastInterface(device *net.Interface) error
		SetMulticastLoopback(on bool) error
	}
	var err error
	hops := max(g.hops, 1)
	if v6 {
		p := ipv6.NewPacketConn(conn)
		socket, err = p, p.SetMulticastHopLimit(hops)
	} else {
		p := ipv4.NewPacketConn(conn)
		socket, err = p, p.SetMulticastTTL(hops)
	}
	// An instance may be on this machine.
	err = errors.Join(err, socket.SetMulticastLoopback(true))
	if device != nil {
		err = errors.Join(err, socket.SetMulticastInterface(device))
	}
	return err
}

func (s *groupSocket) send(packet []byte, group netip.AddrPort) error {
	_, err := s.conn.WriteToUDPAddrPort(packet, group)
	if errno.Is(err, syscall.ENETUNREACH, syscall.EHOSTUNREACH) {
		return fmt.Errorf("this machine has no route to the multicast group %s%s: choose a network interface that has (--multicast-interface): %w", group, s.by, err)
	}
	return err
}

// read passes on what comes until the socket is closed.
func (s *groupSocket) read() {
	defer close(s.ended)
	buffer := make([]byte, maxGroupAnswer)
	for failed := 0; failed < maxReadErrors; {
		n, _, err := s.conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if errno.Is(err, syscall.EMSGSIZE) { // Windows: the datagram is longer than any answer
			continue
		}
		if err != nil {
			failed++
			continue
		}
		select {
		case s.received <- append([]byte(nil), buffer[:n]...):
		case <-s.closing:
			return
		}
	}
}

func (s *groupSocket) close() {
	close(s.closing)
	_ = s.conn.Close()
	<-s.ended
}

// groupOf returns the multicast group that the URL of a tracker names, if it does.
func groupOf(u *url.URL) (netip.AddrPort, bool) {
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil || u.Scheme != "udp" || !addr.Unmap().IsMulticast() {
		return netip.AddrPort{}, false
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), err == nil && port != 0
}
