package carrier

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"waggle/errno"
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
	lookEvery    = time.Second
)

// sockets are a member of a multicast group: one socket that hears the group, and one that has
// this instance's own address, from which all goes out.
type sockets struct {
	group   netip.AddrPort
	ttl     int
	zone    string // of link-local addresses: the name of the interface
	address netip.AddrPort
	own     *net.UDPConn
	all     *net.UDPConn
	index   int                   // of the interface, when the group was joined
	fault   atomic.Pointer[error] // what is wrong with the interface; nil: nothing
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
	s := &sockets{group: bare(o.Group), ttl: max(o.TTL, 1), zone: card.Name, index: card.Index, closed: make(chan struct{})}
	local := s.zoned(netip.AddrPortFrom(addr, o.Port))
	if s.own, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(local)); err != nil {
		return nil, fmt.Errorf("the address %s cannot be had: %w", local, err)
	}
	s.address = bare(s.own.LocalAddr().(*net.UDPAddr).AddrPort())
	if s.all, err = listenGroup(s.group, card); err != nil {
		return nil, errors.Join(fmt.Errorf("the group %s cannot be heard on %s: %w%s", s.group, card.Name, err, remedy(err)), s.own.Close())
	}
	if err := s.set(card); err != nil {
		return nil, errors.Join(fmt.Errorf("the group %s cannot be joined on %s: %w", s.group, card.Name, err), s.own.Close(), s.all.Close())
	}
	return s, nil
}

func remedy(err error) string {
	if errno.Is(err, syscall.EADDRINUSE) {
		return " (another program has the port and does not share it: stop it, or take another port for the group)"
	}
	return ""
}

func (s *sockets) set(card *net.Interface) error {
	group := &net.UDPAddr{IP: s.group.Addr().AsSlice()}
	for _, c := range []*net.UDPConn{s.own, s.all} {
		_ = c.SetReadBuffer(socketBuffer) // it works with less, too
		_ = c.SetWriteBuffer(socketBuffer)
	}
	if s.group.Addr().Is4() {
		own := ipv4.NewPacketConn(s.own)
		return errors.Join(ipv4.NewPacketConn(s.all).JoinGroup(card, group), own.SetMulticastInterface(card),
			own.SetMulticastTTL(s.ttl), own.SetMulticastLoopback(true))
	}
	own := ipv6.NewPacketConn(s.own)
	return errors.Join(ipv6.NewPacketConn(s.all).JoinGroup(card, group), own.SetMulticastInterface(card),
		own.SetMulticastHopLimit(s.ttl), own.SetMulticastLoopback(true))
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
	if fault := s.fault.Load(); fault != nil {
		return *fault // without its address it would speak, and nobody could answer
	}
	_, err := s.own.WriteToUDPAddrPort(datagram, s.zoned(to))
	return err
}

// listen calls back for each datagram, this instance's own for the group too, from two goroutines,
// until close is called. The datagram is good during the call.
func (s *sockets) listen(call func(from netip.AddrPort, toAll bool, datagram []byte)) {
	s.loops.Go(func() { s.read(s.own, func(from netip.AddrPort, b []byte) { call(from, false, b) }) })
	s.loops.Go(func() { s.read(s.all, func(from netip.AddrPort, b []byte) { call(from, true, b) }) })
	s.loops.Go(s.watch)
}

func (s *sockets) read(c *net.UDPConn, call func(from netip.AddrPort, datagram []byte)) {
	buffer := make([]byte, longest)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buffer)
		if errno.Is(err, syscall.EMSGSIZE) { // Windows: the datagram is longer than any message
			continue
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !s.rest() {
				return
			}
			continue // what an earlier datagram caused, or too little memory for a moment
		}
		call(bare(from), buffer[:n])
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
