package udp_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/frontend/udp"
	"waggle/store/memory"
	"waggle/tracker"
)

// headerFor is that of a proxy on this machine which hands on packets of a client.
func headerFor(client netip.AddrPort) []byte {
	ip, own := client.Addr().As16(), netip.MustParseAddr("127.0.0.1").As16()
	out := append(binary.BigEndian.AppendUint16(nil, 0x56ec), ip[:]...)
	out = binary.BigEndian.AppendUint16(append(out, own[:]...), client.Port())
	return binary.BigEndian.AppendUint16(out, 6969)
}

// askThrough connects and announces for a client, as a proxy, and returns the answer to the announce.
func askThrough(t *testing.T, to, client netip.AddrPort) (answer bittorrent.AnnounceResponse, err error) {
	t.Helper()
	conn, err := net.Dial("udp", to.String())
	if err != nil {
		return answer, err
	}
	defer func() { _ = conn.Close() }()
	header := headerFor(client)
	exchange := func(packet []byte) (bittorrent.UDPResponse, error) {
		_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
		if _, err := conn.Write(append(header[:len(header):len(header)], packet...)); err != nil {
			return bittorrent.UDPResponse{}, err
		}
		in := make([]byte, 2048)
		n, err := conn.Read(in)
		if err != nil {
			return bittorrent.UDPResponse{}, err
		}
		if n < len(header) || string(in[:len(header)]) != string(header) {
			return bittorrent.UDPResponse{}, fmt.Errorf("the answer begins with %x", in[:min(n, len(header))])
		}
		return bittorrent.ParseUDPResponse(in[len(header):n])
	}
	r, err := exchange(bittorrent.AppendUDPConnect(nil, 1))
	if err != nil {
		return answer, err
	}
	id, err := r.ConnectionID()
	if err != nil {
		return answer, err
	}
	a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{7}, PeerID: bittorrent.PeerID{byte(client.Port())}, Port: client.Port(), Left: 1, NumWant: -1}
	if r, err = exchange(bittorrent.AppendUDPAnnounce(nil, id, 2, &a, "")); err != nil {
		return answer, err
	}
	err = r.Announce(client.Addr().Is6(), &answer)
	return answer, err
}

func TestClientsBehindAProxyAreToldOfEachOther(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		o.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		s := listen(t, o, "127.0.0.1:0")
		one, two := netip.MustParseAddrPort("203.0.113.1:1001"), netip.MustParseAddrPort("203.0.113.2:1002")
		if _, err := askThrough(t, s.Addrs()[0], one); err != nil {
			t.Fatal(err)
		}
		answer, err := askThrough(t, s.Addrs()[0], two)
		if err != nil {
			t.Fatal(err)
		}
		var told []netip.AddrPort
		for addr := range answer.Peers.All() {
			told = append(told, addr)
		}
		if len(told) != 1 || told[0] != one {
			t.Errorf("%v is told of %v", two, told)
		}
		s.ExpectHeaders(nil)
		if err := ask(t, "udp", s.Addrs()[0]); err != nil {
			t.Errorf("without proxies: %v", err)
		}
	})
}

func TestAnswersThroughAProxyThatComeLateHaveTheirHeader(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o udp.Options) {
		l := &oracle{asked: make(chan netip.Addr), let: make(chan struct{}), known: map[netip.Addr]bool{}}
		o.Tracker = tracker.New(memory.New(memory.Options{}), tracker.Settings{Interval: time.Minute, NumWant: 50, MaxNumWant: 50}, tracker.Options{Locator: l})
		o.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		s := listen(t, o, "127.0.0.1:0")
		client := netip.MustParseAddrPort("203.0.113.1:1001")
		done := make(chan error, 1)
		go func() {
			_, err := askThrough(t, s.Addrs()[0], client)
			done <- err
		}()
		if asked := <-l.asked; asked != client.Addr() {
			t.Errorf("%v is located", asked)
		}
		close(l.let)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
