package udp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"waggle/bittorrent"
)

// proxy is the address that Spectrum's packets come from.
var proxy = netip.MustParseAddr("198.51.100.9")

// newProxied returns a responder that expects headers of proxy.
func newProxied() *responder {
	p, _ := newResponder(74)
	s := &Server{}
	s.ExpectHeaders([]netip.Prefix{netip.PrefixFrom(proxy, 32)})
	p.proxies = &s.proxies
	return p
}

// headed puts the header of a proxy before a packet.
func headed(client netip.Addr, port uint16, packet []byte) []byte {
	out := binary.BigEndian.AppendUint16(nil, proxyMagic)
	for _, ip := range []netip.Addr{client, proxy} {
		as16 := ip.As16()
		out = append(out, as16[:]...)
	}
	out = binary.BigEndian.AppendUint16(out, port)
	out = binary.BigEndian.AppendUint16(out, 6969)
	return append(out, packet...)
}

// throughProxy announces with the header of a proxy, and returns the answer without it.
func throughProxy(t *testing.T, p *responder, client netip.Addr, port uint16, packet []byte) []byte {
	t.Helper()
	asked := headed(client, port, packet)
	answer := answerAt(p, asked, proxy, now)
	if answer == nil {
		return nil
	}
	if len(answer) > maxAnswer || !bytes.HasPrefix(answer, asked[:proxyHeader]) {
		t.Fatalf("%d bytes that begin with %x", len(answer), answer[:min(len(answer), proxyHeader)])
	}
	return answer[proxyHeader:]
}

func connectThrough(t *testing.T, p *responder, client netip.Addr) uint64 {
	t.Helper()
	answer := throughProxy(t, p, client, 51413, bittorrent.AppendUDPConnect(nil, 5))
	if len(answer) != 16 {
		t.Fatalf("a connect request is answered with %d bytes", len(answer))
	}
	r, err := bittorrent.ParseUDPResponse(answer)
	if err != nil {
		t.Fatal(err)
	}
	id, err := r.ConnectionID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestClientBehindAProxyIsKnownByItsOwnAddress(t *testing.T) {
	p := newProxied()
	for name, client := range map[string]netip.Addr{"IPv4": peer, "IPv6": netip.MustParseAddr("2001:db8::7")} {
		id := connectThrough(t, p, client)
		if id != connect(t, p, client) {
			t.Errorf("%s: its connection id is not that of its address", name)
		}
		packet := bittorrent.AppendUDPAnnounce(nil, id, 6, request(1), "")
		r, err := bittorrent.ParseUDPResponse(throughProxy(t, p, client, 51413, packet))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var out bittorrent.AnnounceResponse
		if err := r.Announce(client.Is6(), &out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// Whoever comes without a proxy is told of its own address.
		directly, _ := announceTo(t, p, address(9, client.Is6()), request(2))
		told := false
		for addr := range directly.Peers.All() {
			told = told || addr == netip.AddrPortFrom(client, 6881)
		}
		if !told {
			t.Errorf("%s: others are told of %v", name, directly.Peers)
		}
	}
	if answer := throughProxy(t, p, peer, 51413, bittorrent.AppendUDPAnnounce(nil, connect(t, p, address(1, false)), 6, request(1), "")); answer != nil {
		t.Error("the connection id of another address is good")
	}
}

func TestAnswersThroughAProxyFitTheMTUWithTheirHeader(t *testing.T) {
	p := newProxied()
	for n := range 400 {
		for _, v6 := range []bool{false, true} {
			announceTo(t, p, address(n, v6), request(n))
		}
	}
	a := request(1000)
	a.NumWant = 1 << 30
	for v6, want := range map[bool]int{false: 195, true: 65} {
		client := address(1000, v6)
		r, err := bittorrent.ParseUDPResponse(throughProxy(t, p, client, 1, bittorrent.AppendUDPAnnounce(nil, connectThrough(t, p, client), 6, a, "")))
		if err != nil {
			t.Fatal(err)
		}
		var out bittorrent.AnnounceResponse
		if err := r.Announce(v6, &out); err != nil || out.Peers.Len() != want {
			t.Errorf("IPv6 %t: %d peers, %v; want %d", v6, out.Peers.Len(), err, want)
		}
	}
	id := connectThrough(t, p, peer)
	if answer := throughProxy(t, p, peer, 1, bittorrent.AppendUDPScrape(nil, id, 1, make([]bittorrent.InfoHash, 74))); len(answer) != 8+74*12 {
		t.Errorf("a scrape of 74 torrents is answered with %d bytes", len(answer))
	}
	if answer := throughProxy(t, p, peer, 1, bittorrent.AppendUDPAnnounce(nil, id, 6, request(1), "")[:90]); len(answer) < 8 {
		t.Errorf("a broken announce is answered with %d bytes", len(answer))
	}
}

func TestHeadersCountFromProxiesAloneAndThereMustBeOne(t *testing.T) {
	p := newProxied()
	packet := bittorrent.AppendUDPConnect(nil, 5)
	if answer := answerAt(p, packet, proxy, now); answer != nil {
		t.Error("a proxy is answered without its header")
	}
	for n := range proxyHeader {
		if answer := answerAt(p, headed(peer, 1, nil)[:n], proxy, now); answer != nil {
			t.Errorf("%d bytes of a header are answered", n)
		}
	}
	if got := p.figures.Unproxied; got != 1+proxyHeader {
		t.Errorf("%d packets without a header", got)
	}
	if answer := answerAt(p, headed(peer, 0, packet), proxy, now); answer != nil {
		t.Error("port 0 is answered")
	}
	other := headed(peer, 1, packet)
	other[0]++
	if answer := answerAt(p, other, proxy, now); answer != nil {
		t.Error("another number is answered")
	}
	if answer := answerAt(p, headed(peer, 1, packet), address(1, false), now); answer != nil {
		t.Error("a stranger's header is believed")
	}
}

func TestAnsweringThroughAProxyAllocatesNothing(t *testing.T) {
	p := newProxied()
	for n := range 200 {
		announceTo(t, p, address(n, false), request(n))
	}
	id := connectThrough(t, p, peer)
	var out [maxAnswer]byte
	packets := [][]byte{
		headed(peer, 1, bittorrent.AppendUDPConnect(nil, 1)),
		headed(peer, 1, bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "/announce")),
		headed(peer, 1, bittorrent.AppendUDPScrape(nil, id, 1, make([]bittorrent.InfoHash, 74))),
		bittorrent.AppendUDPConnect(nil, 1),
	}
	if n := testing.AllocsPerRun(200, func() {
		for _, packet := range packets {
			for _, from := range []netip.Addr{proxy, peer} {
				p.answerAnything(packet, netip.AddrPortFrom(from, 1), now, out[:])
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// FuzzProxied sends any packet through a proxy, which must not get more than it sent on behalf of an
// unproven client, and never more than fits.
func FuzzProxied(f *testing.F) {
	p := newProxied()
	id := p.secret.connectionID(now, peer)
	f.Add(headed(peer, 1, bittorrent.AppendUDPConnect(nil, 1)))
	f.Add(headed(peer, 1, bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "/announce")))
	f.Add(headed(netip.MustParseAddr("2001:db8::7"), 1, bittorrent.AppendUDPConnect(nil, 1)))
	f.Add(bittorrent.AppendUDPConnect(nil, 1))
	f.Fuzz(func(t *testing.T, packet []byte) {
		answer := answerAt(p, packet, proxy, now)
		if len(answer) > maxAnswer || answer != nil && !bytes.HasPrefix(answer, packet[:proxyHeader]) {
			t.Errorf("%d bytes were answered with %x", len(packet), answer)
		}
		_, _, client, ok := cutProxyHeader(packet)
		if !ok && answer != nil {
			t.Errorf("without a header there is an answer of %d bytes", len(answer))
		}
		if ok && client.Addr() != peer && len(answer) > len(packet) {
			t.Errorf("a stranger's %d bytes were answered with %d", len(packet), len(answer))
		}
	})
}
