package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
)

// handClock is a time that passes when a test says so.
type handClock struct {
	mu     sync.Mutex
	passed time.Duration
	alarms map[chan time.Time]time.Duration
}

func (c *handClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Unix(1_700_000_000, 0).Add(c.passed)
}

func (c *handClock) after(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	alarm := make(chan time.Time, 1)
	c.alarms[alarm] = c.passed + d
	return alarm
}

func (c *handClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += d
	for alarm, at := range c.alarms {
		if c.passed >= at {
			alarm <- time.Time{}
			delete(c.alarms, alarm)
		}
	}
}

// swarmOfTrackers is two instances that hear a multicast group on loopback, each of
// which answers from an address of its own.
type swarmOfTrackers struct {
	clock *handClock
	group netip.AddrPort
	asks  *trackers
	own   [2]*net.UDPConn
	ears  sync.WaitGroup

	mu     sync.Mutex
	heard  [2]int
	log    []string // what the first instance has heard, and when
	master int

	// hear is what happens when the master hears a request; others hear it too.
	hear func(from netip.AddrPort, h bittorrent.UDPHeader, packet []byte)
}

func startTrackers(t *testing.T) *swarmOfTrackers {
	t.Helper()
	lo, err := net.InterfaceByIndex(1)
	if err != nil {
		t.Fatal(err)
	}
	s := &swarmOfTrackers{clock: &handClock{alarms: map[chan time.Time]time.Duration{}}}
	s.hear = s.answer
	group := &net.UDPAddr{IP: net.IPv4(239, 192, 0, 69)}
	var ears []*net.UDPConn
	for i, ip := range []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 2)} {
		ear, err := net.ListenMulticastUDP("udp4", lo, group)
		if err != nil {
			t.Fatal(err)
		}
		group.Port = ear.LocalAddr().(*net.UDPAddr).Port
		if s.own[i], err = net.ListenUDP("udp4", &net.UDPAddr{IP: ip}); err != nil {
			t.Fatal(err)
		}
		ears = append(ears, ear)
	}
	s.group = netip.AddrPortFrom(netip.MustParseAddr("239.192.0.69"), uint16(group.Port))
	s.ask(lo.Name)
	for i, ear := range ears {
		s.ears.Go(func() { s.listen(i, ear) })
	}
	t.Cleanup(func() {
		for i, ear := range ears {
			if err := errors.Join(ear.Close(), s.own[i].Close()); err != nil {
				t.Error(err)
			}
		}
		s.ears.Wait()
	})
	return s
}

// ask makes who asks, by an interface, with a memory of nothing.
func (s *swarmOfTrackers) ask(device string) {
	s.asks = newTrackers("", &Options{MulticastInterface: device})
	s.asks.groups.now, s.asks.groups.after = s.clock.now, s.clock.after
}

// script says what happens when the master hears a request.
func (s *swarmOfTrackers) script(hear func(from netip.AddrPort, h bittorrent.UDPHeader, packet []byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hear = hear
}

func (s *swarmOfTrackers) listen(i int, ear *net.UDPConn) {
	buffer := make([]byte, 2048)
	for {
		n, from, err := ear.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		h, err := bittorrent.ParseUDPHeader(buffer[:n])
		if err != nil {
			panic(err)
		}
		s.mu.Lock()
		s.heard[i]++
		if i == 0 {
			s.log = append(s.log, fmt.Sprintf("%s at %v", what(h), s.clock.now().Sub(time.Unix(1_700_000_000, 0))))
		}
		if i == s.master {
			s.hear(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), h, buffer[:n])
		}
		s.mu.Unlock()
	}
}

// what names a request, and its connection id.
func what(h bittorrent.UDPHeader) string {
	switch {
	case h.Action != bittorrent.ActionConnect:
		return fmt.Sprintf("announce %d", h.ConnectionID)
	case h.ConnectionID == bittorrent.ConnectMagic:
		return "connect"
	case h.ConnectionID == bittorrent.DocumentMagic:
		return "connect by the document"
	}
	return "nonsense"
}

// say sends a packet from the address of an instance.
func (s *swarmOfTrackers) say(i int, to netip.AddrPort, packet []byte) {
	_, _ = s.own[i].WriteToUDPAddrPort(packet, to)
}

// answer answers as the master does: with connection id 7 and above, by the number
// of requests before, and peers that are told from others by the interval.
func (s *swarmOfTrackers) answer(from netip.AddrPort, h bittorrent.UDPHeader, _ []byte) {
	if h.Action == bittorrent.ActionConnect {
		s.say(s.master, from, bittorrent.AppendUDPConnectResponse(nil, h.TransactionID, uint64(s.heard[s.master])+6))
		return
	}
	s.say(s.master, from, announced(h.TransactionID, 1800, "192.0.2.1:6881"))
}

// announced is an answer to an announce.
func announced(transaction uint32, interval int, peers ...string) []byte {
	b := make([]byte, bittorrent.UDPAnnounceResponseLen)
	bittorrent.PutUDPAnnounceHeader(b, transaction, &bittorrent.AnnounceResponse{Interval: time.Duration(interval) * time.Second})
	for _, p := range peers {
		addr := netip.MustParseAddrPort(p)
		b = binary.BigEndian.AppendUint16(append(b, addr.Addr().AsSlice()...), addr.Port())
	}
	return b
}

// lose has each of the first n requests that the master hears go unanswered, and
// 15 seconds pass.
func (s *swarmOfTrackers) lose(n int) {
	s.script(func(from netip.AddrPort, h bittorrent.UDPHeader, packet []byte) {
		if n--; n >= 0 {
			s.clock.pass(groupResend)
			return
		}
		s.answer(from, h, packet)
	})
}

func (s *swarmOfTrackers) url() string { return "udp://" + s.group.String() + "/announce?key=1" }

func (s *swarmOfTrackers) announce(t *testing.T) (bittorrent.AnnounceResponse, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out bittorrent.AnnounceResponse
	err := s.asks.post(ctx, s.url(), &bittorrent.AnnounceRequest{Port: 1, NumWant: -1}, &out)
	return out, err
}

// wantAnswer announces, and checks that the master's answer is what comes out.
func (s *swarmOfTrackers) wantAnswer(t *testing.T) {
	t.Helper()
	out, err := s.announce(t)
	if err != nil {
		t.Fatal(err)
	}
	peers := addresses(&out.Peers)
	if out.Interval != 30*time.Minute || !slices.Equal(peers, []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:6881")}) {
		t.Errorf("the answer is %v, want the master's", out)
	}
}

// wantHeard checks what the first instance has heard.
func (s *swarmOfTrackers) wantHeard(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	wantTold(t, s.log, want...)
}

func addresses(list *bittorrent.PeerList) (all []netip.AddrPort) {
	for addr := range list.All() {
		all = append(all, addr)
	}
	return all
}
