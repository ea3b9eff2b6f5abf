// Package clustertest has what tests of clusters need of the machine: multicast groups and
// sockets on loopback, and a NATS.
//
//	group := clustertest.Group(t)
//	conn := clustertest.Socket(t) // what it sends to the group stays on this machine
package clustertest

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/net/ipv4"

	"waggle/internal/freeport"
)

// Group returns a multicast group with a port that nobody has, for the interface lo.
func Group(t testing.TB) netip.AddrPort {
	t.Helper()
	return netip.AddrPortFrom(netip.MustParseAddr("239.192.77.1"), freeport.For(t))
}

// Socket returns a socket on loopback, which the end of the test closes. What it sends to a group
// goes by lo.
func Socket(t testing.TB) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	lo, err := net.InterfaceByName("lo")
	if err == nil {
		err = ipv4.NewPacketConn(conn).SetMulticastInterface(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// NATS starts a NATS on loopback, and returns how to stop it, which the end of the test does, too.
// Port and Users may be set in its options.
func NATS(t testing.TB, o server.Options) (s *server.Server, stop func()) {
	t.Helper()
	o.Host, o.NoSigs, o.NoLog = "127.0.0.1", true, true
	s, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	stop = func() {
		s.Shutdown()
		s.WaitForShutdown()
	}
	t.Cleanup(stop)
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS does not start")
	}
	return s, stop
}
