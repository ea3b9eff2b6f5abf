package carrier

import (
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// listenGroup binds a socket to the address of a group itself, which package net does not do: it
// takes nothing that goes to the same port of this machine's own addresses or of other groups.
func listenGroup(group netip.AddrPort, card *net.Interface) (*net.UDPConn, error) {
	family, level, all := unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL
	var address unix.Sockaddr = &unix.SockaddrInet6{Port: int(group.Port()), ZoneId: uint32(card.Index), Addr: group.Addr().As16()}
	if group.Addr().Is4() {
		family, level, all = unix.AF_INET, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL
		address = &unix.SockaddrInet4{Port: int(group.Port()), Addr: group.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "group")
	defer func() { _ = file.Close() }() // the connection has a descriptor of its own
	for _, option := range [][3]int{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
		{level, all, 0}, // only from the interface on which this socket joins the group
	} {
		if err := unix.SetsockoptInt(fd, option[0], option[1], option[2]); err != nil {
			return nil, os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Bind(fd, address); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	c, err := net.FilePacketConn(file)
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}
