package carrier

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"waggle/internal/clustertest"
)

func taken(t testing.TB) uint16        { return listenOn(t, "127.0.0.1:0").Port() }
func takenFromAll(t testing.TB) uint16 { return listenOn(t, ":0").Port() }

// listenOn takes a port until the test ends, and does not share it.
func listenOn(t testing.TB, address string) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// newPeer returns a socket of a peer, which sends to groups by the loopback interface.
func newPeer(t *testing.T) *sockets {
	t.Helper()
	s, err := join(GroupOptions{Group: clustertest.Group(t), Interface: "lo"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func next(t *testing.T, g *Group) Datagram {
	t.Helper()
	select {
	case d := <-g.Receive():
		return d
	case <-time.After(patience):
		t.Fatalf("nothing came: %+v", g.Figures())
		panic("not reached")
	}
}

func TestPeersAskAGroupAndOneAnswers(t *testing.T) {
	o := GroupOptions{Group: clustertest.Group(t), Interface: "lo"}
	var groups [2]*Group
	for i := range groups {
		g, err := JoinGroup(o)
		if err != nil {
			t.Fatal(err)
		}
		closing(t, g)
		groups[i] = g
	}
	peer := newPeer(t)
	if err := peer.write(o.Group, []byte("request")); err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		d := next(t, g)
		if d.From != peer.address || !d.ToGroup || string(d.Bytes) != "request" {
			t.Errorf("%+v", d)
		}
	}
	if err := groups[0].Answer(peer.address, []byte("answer")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, from, err := peer.own.ReadFromUDPAddrPort(b)
	if err != nil || string(b[:n]) != "answer" || bare(from) != groups[0].Address() {
		t.Errorf("%q from %s, want it from %s: %v", b[:n], from, groups[0].Address(), err)
	}
	if err := peer.write(groups[0].Address(), []byte("more")); err != nil {
		t.Fatal(err)
	}
	if d := next(t, groups[0]); d.ToGroup || string(d.Bytes) != "more" {
		t.Errorf("%+v", d)
	}
	if f := groups[0].Figures(); f.Received != 2 || f.Answered != 1 || f.Failed+f.Lost != 0 {
		t.Errorf("%+v", f)
	}
}

func TestGroupHearsNothingThatGoesToTheSamePortOfAnotherAddress(t *testing.T) {
	o := GroupOptions{Group: clustertest.Group(t), Interface: "lo"}
	other := o
	other.Group = netip.AddrPortFrom(netip.MustParseAddr("239.192.77.71"), o.Group.Port())
	var groups [2]*Group
	for i, o := range []GroupOptions{o, other} {
		g, err := JoinGroup(o)
		if err != nil {
			t.Fatal(err)
		}
		closing(t, g)
		groups[i] = g
	}
	peer := newPeer(t)
	for _, to := range []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), o.Group.Port()), other.Group, o.Group} {
		if err := peer.write(to, []byte(to.String())); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []netip.AddrPort{o.Group, other.Group} {
		if d := next(t, groups[i]); string(d.Bytes) != want.String() {
			t.Errorf("%s heard what went to %s", want, d.Bytes)
		}
	}
}
