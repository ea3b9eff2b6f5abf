package udp_test

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/cluster/carrier"
	"waggle/frontend/udp"
	"waggle/internal/clustertest"
)

// TestWildcardAndAGroupShareAPort has each hear what is for it.
func TestWildcardAndAGroupShareAPort(t *testing.T) {
	for _, readers := range []int{1, 2} {
		s := listen(t, udp.Options{Readers: readers, BesideGroups: true}, ":0")
		port := s.Addrs()[0].Port()
		addr := netip.AddrPortFrom(netip.MustParseAddr("239.192.77.3"), port)
		g, err := carrier.JoinGroup(carrier.GroupOptions{Group: addr, Interface: "lo"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = g.Close() })
		conn := clustertest.Socket(t)
		if _, err := conn.WriteToUDPAddrPort(bittorrent.AppendUDPConnect(nil, 1), addr); err != nil {
			t.Fatal(err)
		}
		select {
		case d := <-g.Receive():
			if !d.ToGroup || len(d.Bytes) != 16 {
				t.Errorf("%+v", d)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the group hears nothing")
		}
		if err := ask(t, "udp4", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)); err != nil {
			t.Error(err)
		}
		if n := s.Figures().Connects; n != 1 {
			t.Errorf("%d connects were answered at the wildcard, want the one that went there", n)
		}
		if f := g.Figures(); f.Received != 1 {
			t.Errorf("the group heard %d packets, want the one that went there", f.Received)
		}
	}
}

func TestGroupOnAPortThatIsKeptIsRefusedInWords(t *testing.T) {
	s := listen(t, udp.Options{Readers: 1}, "0.0.0.0:0")
	group := netip.MustParseAddrPort("239.192.77.3:" + strconv.Itoa(int(s.Addrs()[0].Port())))
	g, err := carrier.JoinGroup(carrier.GroupOptions{Group: group, Interface: "lo"})
	if err == nil {
		_ = g.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "take another port for the group") {
		t.Errorf("%v", err)
	}
}
