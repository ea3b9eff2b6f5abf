package carrier

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

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

// watch looks what becomes of the interface, until close is called.
func (s *sockets) watch() {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.closed:
			return
		case <-ticker.C:
			s.look()
		}
	}
}

// look joins the group again where the interface was away: one that is plugged in again is
// another one to the operating system, which has left the group with the old one.
func (s *sockets) look() {
	card, err := s.present()
	if _, unknown := errors.AsType[*os.SyscallError](err); unknown {
		return // too many open files, say: that tells nothing of the interface
	}
	if err == nil && (card.Index != s.index || s.fault.Load() != nil) {
		err = s.rejoin(card)
	}
	if err != nil {
		s.fault.Store(&err)
	} else {
		s.fault.Store(nil)
	}
}

// present returns the interface if it is in order. Errors say what to do.
func (s *sockets) present() (*net.Interface, error) {
	card, err := net.InterfaceByName(s.zone)
	if err != nil {
		return nil, fmt.Errorf("the network interface %s is gone: plug it in or set it up again (%w)", s.zone, err)
	}
	if card.Flags&net.FlagUp == 0 {
		return nil, fmt.Errorf("the network interface %s is down: bring it up", s.zone)
	}
	list, err := addresses(card)
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains(list, s.address.Addr()):
		return nil, fmt.Errorf("the network interface %s has lost the address %s, by which others know this tracker: give it back, or start the tracker again for a new one", s.zone, s.address.Addr())
	case s.address.Addr().IsLinkLocalUnicast() && s.address.Addr().Is6() && card.Index != s.index:
		return nil, fmt.Errorf("the network interface %s is another one than before, with the same link-local address: start the tracker again", s.zone)
	}
	return card, nil
}

func (s *sockets) rejoin(card *net.Interface) error {
	group, before := &net.UDPAddr{IP: s.group.Addr().AsSlice()}, &net.Interface{Index: s.index}
	if s.group.Addr().Is4() { // if the operating system has left it already, all the better
		_ = ipv4.NewPacketConn(s.all).LeaveGroup(before, group)
	} else {
		_ = ipv6.NewPacketConn(s.all).LeaveGroup(before, group)
	}
	if err := s.set(card); err != nil {
		return fmt.Errorf("the group %s cannot be joined again on %s: %w", s.group, s.zone, err)
	}
	s.index = card.Index
	return nil
}
