package carrier

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// GroupOptions are those of a multicast group.
type GroupOptions struct {
	Group     netip.AddrPort // a multicast address of IPv4 or IPv6, and its port
	Interface string         // by name; "": the one that the route to the group takes
	TTL       int            // routers that what goes to the group may pass, plus 1; 0 is 1: none
	Port      uint16         // of this instance's own address; 0: any that is free
}

func (o *GroupOptions) check() error {
	switch {
	case !o.Group.Addr().IsMulticast() || o.Group.Port() == 0:
		return fmt.Errorf("%s is no multicast group: write an address from 224.0.0.0 to 239.255.255.255, or of IPv6 one that begins with ff, and a port, as in 239.192.0.70:6970", o.Group)
	case o.TTL < 0 || o.TTL > 255:
		return fmt.Errorf("a TTL of %d cannot be: write one from 1 to 255", o.TTL)
	}
	return nil
}

const (
	socketBuffer = 4 << 20 // asked for; the operating system may give less
	longest      = 2048    // a datagram that is as long is too long
)

// sockets are a member of a multicast group: one socket that hears the group, and one that has
// this instance's own address, from which all goes out.
type sockets struct {
	group   netip.AddrPort
	zone    string // of link-local addresses
	address netip.AddrPort
	own     *net.UDPConn
	all     *net.UDPConn
	loops   sync.WaitGroup
	closing sync.Once
	closed  chan struct{}
}

// join opens the sockets.
func join(o GroupOptions) (*sockets, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	card, addr, err := o.find()
	if err != nil {
		return nil, err
	}
	s := &sockets{group: bare(o.Group), zone: card.Name, closed: make(chan struct{})}
	local := s.zoned(netip.AddrPortFrom(addr, o.Port))
	if s.own, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(local)); err != nil {
		return nil, fmt.Errorf("the address %s cannot be had: %w", local, err)
	}
	s.address = bare(s.own.LocalAddr().(*net.UDPAddr).AddrPort())
	if s.all, err = listenGroup(s.group, card); err != nil {
		return nil, errors.Join(fmt.Errorf("the group %s cannot be heard on %s: %w%s", s.group, card.Name, err, remedy(err)), s.own.Close())
	}
	if err := s.set(card, max(o.TTL, 1)); err != nil {
		return nil, errors.Join(fmt.Errorf("the group %s cannot be joined on %s: %w", s.group, card.Name, err), s.own.Close(), s.all.Close())
	}
	return s, nil
}

func remedy(err error) string {
	if errors.Is(err, syscall.EADDRINUSE) {
		return " (another program has the port and does not share it: stop it, or take another port for the group)"
	}
	return ""
}

func (s *sockets) set(card *net.Interface, ttl int) error {
	group := &net.UDPAddr{IP: s.group.Addr().AsSlice()}
	for _, c := range []*net.UDPConn{s.own, s.all} {
		_ = c.SetReadBuffer(socketBuffer) // it works with less, too
	}
	if s.group.Addr().Is4() {
		own := ipv4.NewPacketConn(s.own)
		return errors.Join(ipv4.NewPacketConn(s.all).JoinGroup(card, group), own.SetMulticastInterface(card),
			own.SetMulticastTTL(ttl), own.SetMulticastLoopback(true))
	}
	own := ipv6.NewPacketConn(s.own)
	return errors.Join(ipv6.NewPacketConn(s.all).JoinGroup(card, group), own.SetMulticastInterface(card),
		own.SetMulticastHopLimit(ttl), own.SetMulticastLoopback(true))
}

// find returns the network interface, and the address on it that others know this instance by.
func (o *GroupOptions) find() (*net.Interface, netip.Addr, error) {
	if o.Interface != "" {
		card, err := net.InterfaceByName(o.Interface)
		if err != nil {
			return nil, netip.Addr{}, fmt.Errorf("the network interface %q: %w", o.Interface, err)
		}
		addr, err := addressOn(card, o.Group.Addr())
		return card, addr, err
	}
	local, err := sourceFor(o.Group)
	if err != nil {
		return nil, netip.Addr{}, fmt.Errorf("there is no route to the group %s: name the network interface (%w)", o.Group, err)
	}
	cards, err := net.Interfaces()
	if err != nil {
		return nil, netip.Addr{}, err
	}
	for i := range cards {
		list, err := addresses(&cards[i])
		if err != nil {
			return nil, netip.Addr{}, err
		}
		for _, addr := range list {
			if addr == local.WithZone("") && (local.Zone() == "" || local.Zone() == cards[i].Name) {
				return &cards[i], addr, nil
			}
		}
	}
	return nil, netip.Addr{}, fmt.Errorf("no network interface has the address %s, from which the route to the group %s goes: name the network interface", local, o.Group)
}

// sourceFor returns the address that a datagram to a group would go out from. None is sent.
func sourceFor(group netip.AddrPort) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(group))
	if err != nil {
		return netip.Addr{}, err
	}
	defer func() { _ = c.Close() }() // nothing was sent
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// addressOn returns the address of an interface to use with a group: for one of IPv6 that does
// not leave the link a link-local one if there is any, else one that is not.
func addressOn(card *net.Interface, group netip.Addr) (best netip.Addr, err error) {
	list, err := addresses(card)
	if err != nil {
		return best, err
	}
	local := group.Is6() && (group.IsLinkLocalMulticast() || group.IsInterfaceLocalMulticast())
	for _, addr := range list {
		if addr.Is4() == group.Is4() && (!best.IsValid() || addr.IsLinkLocalUnicast() == local && best.IsLinkLocalUnicast() != local) {
			best = addr
		}
	}
	if !best.IsValid() {
		return best, fmt.Errorf("the network interface %s has no address that goes with the group %s: give it one, or name another interface", card.Name, group)
	}
	return best, nil
}

func addresses(card *net.Interface) (list []netip.Addr, err error) {
	all, err := card.Addrs()
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if n, is := a.(*net.IPNet); is {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				list = append(list, addr.Unmap())
			}
		}
	}
	return list, nil
}

// zoned gives a link-local address the zone that it has on this machine.
func (s *sockets) zoned(a netip.AddrPort) netip.AddrPort {
	if ip := a.Addr(); ip.Is6() && (ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsInterfaceLocalMulticast()) {
		return netip.AddrPortFrom(ip.WithZone(s.zone), a.Port())
	}
	return a
}

// write sends a datagram to an address; zero: to the group.
func (s *sockets) write(to netip.AddrPort, datagram []byte) error {
	if !to.IsValid() {
		to = s.group
	}
	_, err := s.own.WriteToUDPAddrPort(datagram, s.zoned(to))
	return err
}

// listen calls back for each datagram, this instance's own for the group too, from two goroutines,
// until close is called. The datagram belongs to who is called.
func (s *sockets) listen(call func(from netip.AddrPort, toAll bool, datagram []byte)) {
	s.loops.Go(func() { s.read(s.own, func(from netip.AddrPort, b []byte) { call(from, false, b) }) })
	s.loops.Go(func() { s.read(s.all, func(from netip.AddrPort, b []byte) { call(from, true, b) }) })
}

func (s *sockets) read(c *net.UDPConn, call func(from netip.AddrPort, datagram []byte)) {
	buffer := make([]byte, longest)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buffer)
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !s.rest() {
				return
			}
			continue // what an earlier datagram caused, or too little memory for a moment
		}
		call(bare(from), append([]byte(nil), buffer[:n]...))
	}
}

// rest waits for a moment, so that an error that stays does not take all of a processor.
func (s *sockets) rest() bool {
	timer := time.NewTimer(10 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-s.closed:
		return false
	case <-timer.C:
		return true
	}
}

// close ends all, and waits for it.
func (s *sockets) close() (err error) {
	s.closing.Do(func() {
		close(s.closed)
		err = errors.Join(s.own.Close(), s.all.Close())
	})
	s.loops.Wait()
	return err
}
