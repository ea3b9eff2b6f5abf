package udp

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

var (
	now  = time.Unix(1_700_000_000, 0)
	peer = netip.MustParseAddr("192.0.2.1")
)

func newResponder(maxScrape int) (*responder, *memory.Store) {
	store := memory.New(memory.Options{Details: true})
	t := tracker.New(store, tracker.Settings{Interval: time.Minute, PeerLifetime: time.Hour, NumWant: 50, MaxNumWant: 1000},
		tracker.Options{Now: func() time.Time { return now }})
	return &responder{tracker: t, secret: &Secret{1}, maxScrape: maxScrape, log: slog.New(slog.DiscardHandler)}, store
}

// answerAt returns the answer to a packet in memory of its own.
func answerAt(p *responder, packet []byte, from netip.Addr, at time.Time) []byte {
	return p.answerAnything(packet, netip.AddrPortFrom(from, 1), at, make([]byte, maxAnswer))
}

func request(n int) *bittorrent.AnnounceRequest {
	return &bittorrent.AnnounceRequest{
		InfoHash: bittorrent.InfoHash{7}, PeerID: bittorrent.PeerID{byte(n >> 8), byte(n)},
		Port: 6881, Left: 1, NumWant: -1,
	}
}

func connect(t *testing.T, p *responder, from netip.Addr) uint64 {
	t.Helper()
	r, err := bittorrent.ParseUDPResponse(answerAt(p, bittorrent.AppendUDPConnect(nil, 5), from, now))
	if err != nil || r.TransactionID != 5 {
		t.Fatalf("connect: %+v, %v", r, err)
	}
	id, err := r.ConnectionID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func announceTo(t *testing.T, p *responder, from netip.Addr, a *bittorrent.AnnounceRequest) (bittorrent.AnnounceResponse, int) {
	t.Helper()
	id := connect(t, p, from)
	answer := answerAt(p, bittorrent.AppendUDPAnnounce(nil, id, 6, a, ""), from, now)
	r, err := bittorrent.ParseUDPResponse(answer)
	if err != nil || r.TransactionID != 6 {
		t.Fatalf("announce: %+v, %v", r, err)
	}
	var out bittorrent.AnnounceResponse
	if err := r.Announce(from.Is6(), &out); err != nil {
		t.Fatal(err)
	}
	return out, len(answer)
}

func address(n int, v6 bool) netip.Addr {
	if v6 {
		return netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 14: byte(n >> 8), 15: byte(n)})
	}
	return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
}

func TestAnswersFitTheMTUAndHoldPeersOfTheAskersFamily(t *testing.T) {
	p, _ := newResponder(74)
	for n := range 400 {
		for _, v6 := range []bool{false, true} {
			announceTo(t, p, address(n, v6), request(n))
		}
	}
	for v6, want := range map[bool]int{false: 202, true: 67} {
		a := request(1000)
		a.NumWant = 1 << 30
		out, size := announceTo(t, p, address(1000, v6), a)
		if out.Peers.Len() != want || size > maxAnswer {
			t.Errorf("IPv6 %t: %d peers in %d bytes, want %d in at most %d", v6, out.Peers.Len(), size, want, maxAnswer)
		}
		for addr := range out.Peers.All() {
			if addr.Addr().Is6() != v6 || addr.Port() != 6881 {
				t.Errorf("IPv6 %t: told of %v", v6, addr)
			}
		}
		if out.Incomplete != 802-1 && out.Incomplete != 802 {
			t.Errorf("%d leechers, want those of both families", out.Incomplete)
		}
	}
}

func TestWithoutProofOfAddressThereIsOnlySilence(t *testing.T) {
	p, store := newResponder(74)
	good := connect(t, p, peer)
	announce := func(id uint64) []byte { return bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "") }
	for name, test := range map[string]struct {
		packet []byte
		from   netip.Addr
		at     time.Time
	}{
		"nothing":                    {nil, peer, now},
		"a byte short of a header":   {announce(good)[:15], peer, now},
		"connect with another magic": {bytes.Replace(bittorrent.AppendUDPConnect(nil, 1), []byte{0x04}, []byte{0x05}, 1), peer, now},
		"announce with a wrong id":   {announce(good + 1), peer, now},
		"announce with the magic":    {announce(bittorrent.ConnectMagic), peer, now},
		"announce with an old id":    {announce(good), peer, now.Add(121 * time.Second)},
		"another's id":               {announce(good), netip.MustParseAddr("192.0.2.9"), now},
		"scrape with a wrong id":     {bittorrent.AppendUDPScrape(nil, 1, 1, make([]bittorrent.InfoHash, 1)), peer, now},
		"unknown action, wrong id":   {[]byte("0123456789abcdef"), peer, now},
	} {
		if answer := answerAt(p, test.packet, test.from, test.at); answer != nil {
			t.Errorf("%s: answered with %d bytes", name, len(answer))
		}
	}
	if n, _ := store.Totals(context.Background()); n.Peers != 0 {
		t.Errorf("%d peers were recorded", n.Peers)
	}
}

func TestProvenAddressIsToldWhatIsWrong(t *testing.T) {
	p, _ := newResponder(2)
	id := connect(t, p, peer)
	portZero := request(1)
	portZero.Port = 0
	long := append(bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), ""), make([]byte, 1500)...)
	for name, test := range map[string]struct {
		packet []byte
		want   error
	}{
		"unknown action":   {append(bittorrent.AppendUDPScrape(nil, id, 1, nil)[:8], 0, 0, 0, 9, 0, 0, 0, 1), bittorrent.ErrUDPAction},
		"short announce":   {bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "")[:97], bittorrent.ErrUDPShort},
		"port 0":           {bittorrent.AppendUDPAnnounce(nil, id, 1, portZero, ""), bittorrent.ErrPort},
		"scrape of none":   {bittorrent.AppendUDPScrape(nil, id, 1, nil), bittorrent.ErrUDPScrapeLen},
		"scrape of three":  {bittorrent.AppendUDPScrape(nil, id, 1, make([]bittorrent.InfoHash, 3)), bittorrent.ErrUDPScrapeLimit},
		"bytes after it":   {long, nil},
		"garbage options":  {append(bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), ""), 2, 255, 0), nil},
		"scrape of two":    {bittorrent.AppendUDPScrape(nil, id, 1, make([]bittorrent.InfoHash, 2)), nil},
		"announce as such": {bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "/announce"), nil},
	} {
		r, err := bittorrent.ParseUDPResponse(answerAt(p, test.packet, peer, now))
		if err != nil || r.TransactionID != 1 {
			t.Errorf("%s: %+v, %v", name, r, err)
			continue
		}
		var got error
		if r.Action == bittorrent.ActionError {
			got = bittorrent.Error(r.Body)
		}
		if !errors.Is(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestAddressThatSendsTooMuchHearsNothingButConnects(t *testing.T) {
	p, _ := newResponder(74)
	p.tracker.Apply(tracker.Settings{Interval: time.Minute, MaxNumWant: 50, AddressRate: 1})
	id, other := connect(t, p, peer), connect(t, p, address(9, false))
	answers := 0
	for range 100 {
		if answerAt(p, bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), ""), peer, now) != nil {
			answers++
		}
	}
	if limited := p.tracker.Figures().Limited; answers == 0 || uint64(100-answers) != limited || limited == 0 || p.figures.Errors != 0 {
		t.Errorf("%d of 100 were answered, with %d errors, and %d limited", answers, p.figures.Errors, limited)
	}
	if answerAt(p, bittorrent.AppendUDPScrape(nil, id, 1, make([]bittorrent.InfoHash, 1)), peer, now) != nil {
		t.Error("a scrape was answered")
	}
	if answerAt(p, bittorrent.AppendUDPAnnounce(nil, other, 1, request(2), ""), address(9, false), now) == nil {
		t.Error("another address was not answered")
	}
	connect(t, p, peer)
	forged := p.tracker.Figures().Limited
	answerAt(p, bittorrent.AppendUDPAnnounce(nil, id+1, 1, request(1), ""), peer, now)
	if p.tracker.Figures().Limited != forged {
		t.Error("a packet with a wrong connection id used up a request")
	}
}

func TestAnnouncesThatAreTooManyAreMetWithSilence(t *testing.T) {
	p, _ := newResponder(74)
	p.tracker.Apply(tracker.Settings{Interval: time.Minute, MaxNumWant: 50, Rate: 1})
	silent := uint64(0)
	for n := range 1000 {
		from, at := address(n, false), now.Add(time.Duration(n)*10*time.Millisecond)
		if answerAt(p, bittorrent.AppendUDPAnnounce(nil, connect(t, p, from), 1, request(n), ""), from, at) == nil {
			silent++
		}
	}
	if shed := p.tracker.Figures().Shed; silent == 0 || silent != shed || p.figures.Errors != 0 {
		t.Errorf("silent to %d with %d errors; %d were too many", silent, p.figures.Errors, shed)
	}
}

func TestScrapeAnswersInTheOrderAsked(t *testing.T) {
	p, _ := newResponder(74)
	announceTo(t, p, peer, request(1))
	id := connect(t, p, peer)
	hashes := make([]bittorrent.InfoHash, 74)
	hashes[73] = request(1).InfoHash
	answer := answerAt(p, bittorrent.AppendUDPScrape(nil, id, 1, hashes), peer, now)
	r, _ := bittorrent.ParseUDPResponse(answer)
	counts, err := r.AppendScrapeCounts(nil)
	if err != nil || len(counts) != 74 || counts[73].Incomplete != 1 || counts[0].Incomplete != 0 || len(answer) > maxAnswer {
		t.Errorf("%d bytes: %+v, %v", len(answer), counts, err)
	}
}

func TestAnsweringAllocatesNothing(t *testing.T) {
	p, _ := newResponder(74)
	for n := range 200 {
		announceTo(t, p, address(n, false), request(n))
	}
	id := connect(t, p, peer)
	var out [maxAnswer]byte
	packets := [][]byte{
		bittorrent.AppendUDPConnect(nil, 1),
		bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "/announce?jwt=a.b.c"),
		bittorrent.AppendUDPScrape(nil, id, 1, make([]bittorrent.InfoHash, 74)),
		bittorrent.AppendUDPAnnounce(nil, id+1, 1, request(1), ""),
		bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "")[:50],
	}
	if n := testing.AllocsPerRun(200, func() {
		for _, packet := range packets {
			p.answerAnything(packet, netip.AddrPortFrom(peer, 1), now, out[:])
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// answeringDoor refuses with the token that it is shown.
type answeringDoor struct{}

func (answeringDoor) Enter(a *swarm.Announce) error {
	return bittorrent.Error("token " + a.Credentials.Token)
}

func TestTokenComesWithTheURLOfAnAnnounceAndWithNoOther(t *testing.T) {
	tr := tracker.New(memory.New(memory.Options{}), tracker.Settings{Interval: time.Minute}, tracker.Options{Doors: []tracker.Door{answeringDoor{}}})
	p := &responder{tracker: tr, secret: &Secret{1}, maxScrape: 74, log: slog.New(slog.DiscardHandler)}
	long := strings.Repeat("a", 600)
	id := connect(t, p, peer)
	for _, test := range []struct{ url, token string }{
		{"/announce?jwt=a.b.c", "a.b.c"},
		{"", ""},
		{"/announce?x=y&jwt=" + long + "&z", long},
		{"/announce", ""},
		{"jwt=a", ""},
	} {
		r, err := bittorrent.ParseUDPResponse(answerAt(p, bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), test.url), peer, now))
		if err != nil || r.Action != bittorrent.ActionError || string(r.Body) != "token "+test.token {
			t.Errorf("%.40q: %q, %v, want token %.40q", test.url, r.Body, err, test.token)
		}
	}
	broken := append(bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "/announce?jwt=a"), 2, 9)
	if r, err := bittorrent.ParseUDPResponse(answerAt(p, broken, peer, now)); err != nil || string(r.Body) != "token " {
		t.Errorf("options that go beyond the packet: %q, %v", r.Body, err)
	}
}

func TestNetworkThatIsNotWelcomeHearsNothing(t *testing.T) {
	const unwelcome bittorrent.Error = "not you"
	guest := netip.MustParseAddr("192.0.2.9")
	welcome := true
	tr := tracker.New(memory.New(memory.Options{}), tracker.Settings{Interval: time.Minute}, tracker.Options{Welcome: func(ip netip.Addr) error {
		if ip == guest && !welcome {
			return unwelcome
		}
		return nil
	}})
	p := &responder{tracker: tr, secret: &Secret{1}, maxScrape: 74, log: slog.New(slog.DiscardHandler)}
	id := connect(t, p, guest)
	welcome = false
	for name, packet := range map[string][]byte{
		"connect":  bittorrent.AppendUDPConnect(nil, 1),
		"announce": bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), ""),
		"scrape":   bittorrent.AppendUDPScrape(nil, id, 1, make([]bittorrent.InfoHash, 1)),
		"rubbish":  bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "")[:40],
	} {
		if answer := answerAt(p, packet, guest, now); answer != nil {
			t.Errorf("%s is answered with %q", name, answer)
		}
	}
	announceTo(t, p, peer, request(1))
}

// FuzzPacket sends any packet as from a proven address and as from an unproven
// one, which must not be answered with more than it sent.
func FuzzPacket(f *testing.F) {
	p, _ := newResponder(74)
	id := p.secret.connectionID(now, peer)
	f.Add(bittorrent.AppendUDPConnect(nil, 1))
	f.Add(bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "/announce"))
	f.Add(bittorrent.AppendUDPScrape(nil, id, 1, make([]bittorrent.InfoHash, 3)))
	stranger := netip.MustParseAddr("2001:db8::1")
	f.Fuzz(func(t *testing.T, packet []byte) {
		if answer := answerAt(p, packet, stranger, now); len(answer) > len(packet) {
			t.Errorf("a stranger's %d bytes were answered with %d", len(packet), len(answer))
		}
		if len(packet) >= 8 {
			packet = append(bittorrent.AppendUDPScrape(nil, id, 0, nil)[:8], packet[8:]...)
		}
		if answer := answerAt(p, packet, peer, now); len(answer) > maxAnswer {
			t.Errorf("an answer of %d bytes", len(answer))
		}
	})
}
