package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/torrent"
)

func TestEveryInstanceHearsAndAConnectionIDServesForAMinute(t *testing.T) {
	s := startTrackers(t)
	s.wantAnswer(t)
	s.clock.pass(59 * time.Second)
	s.wantAnswer(t)
	s.clock.pass(time.Second)
	s.wantAnswer(t)
	s.wantHeard(t, "connect at 0s", "announce 7 at 0s", "announce 7 at 59s", "connect at 1m0s", "announce 10 at 1m0s")
	eventually(t, "the slave hears all", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.heard[1] == s.heard[0]
	})
}

func TestAnnounceThatIsLostIsSentAgainAfterFifteenSecondsAndIsTheSame(t *testing.T) {
	s := startTrackers(t)
	s.wantAnswer(t) // so that there is an id
	s.clock.pass(time.Second)
	var sent []string
	s.script(func(from netip.AddrPort, h bittorrent.UDPHeader, packet []byte) {
		if sent = append(sent, from.String()+string(packet)); len(sent) < 4 {
			s.clock.pass(groupResend)
			return
		}
		s.answer(from, h, packet)
	})
	s.wantAnswer(t)
	s.wantHeard(t, "connect at 0s", "announce 7 at 0s",
		"announce 7 at 1s", "announce 7 at 16s", "announce 7 at 31s", "announce 7 at 46s")
	if len(slices.Compact(sent)) != 1 {
		t.Errorf("what is sent again differs, so that nobody knows it again: %q", sent)
	}
}

func TestMasterThatDiesBetweenConnectAndAnnounceGoesUnnoticed(t *testing.T) {
	s := startTrackers(t)
	var id uint64
	s.script(func(from netip.AddrPort, h bittorrent.UDPHeader, packet []byte) {
		switch {
		case s.master == 0 && h.Action == bittorrent.ActionConnect:
			s.answer(from, h, packet)
		case s.master == 0: // it dies with this, and the other takes over
			s.master = 1
			s.clock.pass(groupResend)
		case s.heard[1] == 3: // what was sent before, it hears as a slave
			id = h.ConnectionID
			s.answer(from, h, packet)
		}
	})
	s.wantAnswer(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.master != 1 || id != 7 || s.clock.passed != groupResend {
		t.Errorf("after %v instance %d has answered to id %d, want the other one to that of the first", s.clock.passed, s.master, id)
	}
}

func TestAnswerToTheFirstOfTwoSendsIsTakenThoughItComesAfterTheSecond(t *testing.T) {
	s := startTrackers(t)
	var first uint32
	s.script(func(from netip.AddrPort, h bittorrent.UDPHeader, packet []byte) {
		switch {
		case h.Action != bittorrent.ActionConnect:
			s.answer(from, h, packet)
		case first == 0:
			first = h.TransactionID
			s.clock.pass(groupResend)
		default:
			h.TransactionID = first
			s.answer(from, h, packet)
		}
	})
	s.wantAnswer(t)
	s.clock.pass(time.Minute)
	s.script(s.answer)
	s.wantAnswer(t)
	s.wantHeard(t, "connect at 0s", "connect by the document at 15s", "announce 8 at 15s", "connect at 1m15s", "announce 10 at 1m15s")
}

func TestTrackerThatTakesTheDocumentsMagicAloneIsFoundAndRemembered(t *testing.T) {
	s := startTrackers(t)
	var lengths []int
	s.script(func(from netip.AddrPort, h bittorrent.UDPHeader, packet []byte) {
		lengths = append(lengths, len(packet))
		if h.ConnectionID == bittorrent.ConnectMagic {
			s.clock.pass(groupResend)
			return
		}
		s.answer(from, h, packet)
	})
	s.wantAnswer(t)
	s.clock.pass(time.Minute)
	s.wantAnswer(t)
	s.wantHeard(t, "connect at 0s", "connect by the document at 15s", "announce 8 at 15s",
		"connect by the document at 1m15s", "announce 10 at 1m15s")
	if want := []int{16, 16, 98, 16, 98}; !slices.Equal(lengths, want) {
		t.Errorf("requests of %v bytes, want %v", lengths, want)
	}
}

func TestSilenceForSeventyFiveSecondsIsToldTheUser(t *testing.T) {
	s := startTrackers(t)
	s.lose(5)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var said []string
	a := &announcer{
		tiers: [][]string{{s.url()}}, post: s.asks.post,
		ask: func() bittorrent.AnnounceRequest { return bittorrent.AnnounceRequest{Port: 1} },
		say: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) },
	}
	if again, _ := a.announce(ctx); again != firstRetry {
		t.Errorf("it is asked again after %v, want %v", again, firstRetry)
	}
	if len(said) != 1 || !strings.Contains(said[0], "it is down: none of its instances has answered in the multicast group "+s.group.String()+" by lo for 75 seconds; it is tried again") {
		t.Errorf("the user is told %q", said)
	}
	if passed := s.clock.passed; passed != groupDown {
		t.Errorf("told after %v, want %v", passed, groupDown)
	}
	s.wantHeard(t, "connect at 0s", "connect by the document at 15s", "connect at 30s", "connect by the document at 45s", "connect at 1m0s")
	s.wantAnswer(t) // it is back
}

func TestSilenceInWhichAConnectionIDAgesLastsNoLonger(t *testing.T) {
	s := startTrackers(t)
	s.wantAnswer(t)
	s.clock.pass(20 * time.Second)
	s.lose(100)
	if _, err := s.announce(t); err == nil || !strings.Contains(err.Error(), "it is down") {
		t.Errorf("error %v", err)
	}
	s.wantHeard(t, "connect at 0s", "announce 7 at 0s",
		"announce 7 at 20s", "announce 7 at 35s", "announce 7 at 50s", "connect at 1m5s", "connect by the document at 1m20s")
	if s.clock.passed != 20*time.Second+groupDown {
		t.Errorf("given up after %v, want 95 s", s.clock.passed)
	}
}

func TestClusterThatConnectsButNeverAnswersAnnouncesIsGivenUp(t *testing.T) {
	s := startTrackers(t)
	s.script(func(from netip.AddrPort, h bittorrent.UDPHeader, packet []byte) {
		if h.Action == bittorrent.ActionConnect {
			s.answer(from, h, packet)
			return
		}
		s.clock.pass(groupResend)
	})
	if _, err := s.announce(t); err == nil || !strings.Contains(err.Error(), "it is down") || s.clock.passed != groupDown {
		t.Errorf("error %v after %v", err, s.clock.passed)
	}
}

func TestConnectionIDThatIsRefusedIsAskedForAnewOnce(t *testing.T) {
	s := startTrackers(t)
	s.wantAnswer(t)
	refuse := func(from netip.AddrPort, h bittorrent.UDPHeader, _ []byte) {
		s.say(s.master, from, bittorrent.AppendUDPError(nil, h.TransactionID, "connection id"))
	}
	s.script(func(from netip.AddrPort, h bittorrent.UDPHeader, packet []byte) {
		if h.ConnectionID == 7 {
			refuse(from, h, packet)
			return
		}
		s.answer(from, h, packet)
	})
	s.wantAnswer(t)
	s.wantHeard(t, "connect at 0s", "announce 7 at 0s", "announce 7 at 0s", "connect at 0s", "announce 10 at 0s")
	s.script(func(from netip.AddrPort, h bittorrent.UDPHeader, packet []byte) {
		if h.Action == bittorrent.ActionAnnounce {
			refuse(from, h, packet)
			return
		}
		s.answer(from, h, packet)
	})
	if _, err := s.announce(t); !errors.Is(err, bittorrent.Error("connection id")) {
		t.Errorf("error %v, want the tracker's", err)
	}
}

func TestForgedAnswersAreIgnored(t *testing.T) {
	s := startTrackers(t)
	many := announced(0, 1)
	many = append(many, make([]byte, 83*bittorrent.CompactLen4)...)
	s.script(func(from netip.AddrPort, h bittorrent.UDPHeader, packet []byte) {
		id := h.TransactionID
		binary.BigEndian.PutUint32(many[4:], id)
		forged := [][]byte{
			nil,
			{1},
			make([]byte, 2047), make([]byte, 8),
			bittorrent.AppendUDPConnectResponse(nil, id+1, 666),
			append(bittorrent.AppendUDPConnectResponse(nil, id, 666), 0),
			bittorrent.AppendUDPConnectResponse(nil, id, 666)[:15],
			announced(id+1, 666), announced(id, 666)[:19], append(announced(id, 666), 1, 2, 3), many,
			bittorrent.AppendUDPError(nil, id+1, "forged"),
			bittorrent.AppendUDPError(nil, id, strings.Repeat("long", 200)),
			bittorrent.AppendUDPScrapeResponse(nil, id, make([]bittorrent.ScrapeCounts, 1)),
			packet,
		}
		if h.Action == bittorrent.ActionConnect {
			forged = append(forged, announced(id, 666))
		} else {
			forged = append(forged, bittorrent.AppendUDPConnectResponse(nil, id, 666))
		}
		for _, f := range forged {
			s.say(1, from, f)
		}
		s.answer(from, h, packet)
	})
	s.wantAnswer(t)
	s.wantHeard(t, "connect at 0s", "announce 7 at 0s")
}

func TestDuplicatesAreIgnored(t *testing.T) {
	s := startTrackers(t)
	s.script(func(from netip.AddrPort, h bittorrent.UDPHeader, packet []byte) {
		s.answer(from, h, packet)
		s.say(1, from, bittorrent.AppendUDPConnectResponse(nil, h.TransactionID, 666))
		s.say(1, from, announced(h.TransactionID, 666))
	})
	s.wantAnswer(t)
	s.wantAnswer(t)
	s.wantHeard(t, "connect at 0s", "announce 7 at 0s", "announce 7 at 0s")
}

func TestGroupWithoutARouteOrInterfaceIsAnErrorInWords(t *testing.T) {
	s := startTrackers(t)
	s.ask("nosuch0")
	if _, err := s.announce(t); err == nil || !strings.Contains(err.Error(), `no network interface "nosuch0"`) {
		t.Errorf("error %v", err)
	}
}

func TestRequestsLeaveByTheInterfaceOfTheAddressThatIsListenedOn(t *testing.T) {
	s := startTrackers(t)
	s.asks.groups.device, s.asks.groups.addr = "", netip.MustParseAddr("127.0.0.3")
	s.script(func(from netip.AddrPort, h bittorrent.UDPHeader, packet []byte) {
		if from.Addr() != s.asks.groups.addr {
			t.Errorf("a request from %v", from)
		}
		s.answer(from, h, packet)
	})
	s.wantAnswer(t)
}

func TestAskingAGroupEndsWithItsContext(t *testing.T) {
	s := startTrackers(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.script(func(netip.AddrPort, bittorrent.UDPHeader, []byte) { cancel() })
	err := s.asks.post(ctx, s.url(), &bittorrent.AnnounceRequest{Port: 1}, &bittorrent.AnnounceResponse{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// Loopback has no multicast of IPv6: one address stands for the group.
func TestAnswersOverIPv6HavePeersOfIPv6(t *testing.T) {
	conn, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			h, _ := bittorrent.ParseUDPHeader(buffer[:n])
			answer := bittorrent.AppendUDPConnectResponse(nil, h.TransactionID, 7)
			if h.Action == bittorrent.ActionAnnounce {
				_, _ = conn.WriteToUDPAddrPort(announced(h.TransactionID, 666, "192.0.2.1:1"), from)
				answer = announced(h.TransactionID, 60, "[2001:db8::1]:6881")
			}
			_, _ = conn.WriteToUDPAddrPort(answer, from)
		}
	}()
	var out bittorrent.AnnounceResponse
	g := newGroups(&Options{MulticastTTL: 3, MulticastInterface: "1"})
	err = g.post(t.Context(), conn.LocalAddr().(*net.UDPAddr).AddrPort(), "", &bittorrent.AnnounceRequest{Port: 1}, &out)
	if peers := addresses(&out.Peers); err != nil || !slices.Equal(peers, []netip.AddrPort{netip.MustParseAddrPort("[2001:db8::1]:6881")}) {
		t.Errorf("%v, %v", out, err)
	}
}

func TestRequestsOverIPv6ComeFromAnAddressThatOthersCanUse(t *testing.T) {
	lo, err := net.InterfaceByIndex(1)
	if err != nil {
		t.Fatal(err)
	}
	if have := beyondLink(lo); have != netip.IPv6Loopback() {
		t.Errorf("from %v, want the address of the interface", have)
	}
	if have := beyondLink(nil); have != netip.IPv6Unspecified() {
		t.Errorf("from %v, want what the system chooses", have)
	}
}

func TestURLsOfGroupsAreKnown(t *testing.T) {
	for tracker, want := range map[string]string{
		"udp://239.192.0.69:6969/announce":    "239.192.0.69:6969",
		"udp://[ff02::69%eth0]:6969":          "[ff02::69%eth0]:6969",
		"udp://[ff02::69%eth0]:6969/announce": "[ff02::69%eth0]:6969",
		"udp://[ff02::69%25eth0]:6969":        "[ff02::69%eth0]:6969",
		"udp://[ff02::69%fe0]:6969":           "[ff02::69%fe0]:6969",
		"udp://[ff05::69]:6969/announce":      "[ff05::69]:6969",
		"udp://[::ffff:239.192.0.69]:6969":    "239.192.0.69:6969",
		"udp://192.0.2.1:6969":                "",
		"udp://[fe80::1%eth0]:6969":           "",
		"udp://239.192.0.69/announce":         "",
		"udp://239.192.0.69:0/announce":       "",
		"http://239.192.0.69:6969/announce":   "",
		"udp://tracker.example:6969":          "",
	} {
		u, err := torrent.ParseTracker(tracker)
		if err != nil {
			t.Errorf("%s: %v", tracker, err)
			continue
		}
		have := ""
		if group, is := groupOf(u); is {
			have = group.String()
		}
		if have != want {
			t.Errorf("%s is group %q, want %q", tracker, have, want)
		}
	}
	for _, tracker := range []string{"udp://a%b:1", "udp://[::1]:1/%", "udp://[%", "%"} {
		if _, err := torrent.ParseTracker(tracker); err == nil {
			t.Errorf("%s is taken for a URL", tracker)
		}
	}
}
