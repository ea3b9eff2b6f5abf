package bittorrent_test

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
)

const goodQuery = "info_hash=%00%01%ff%FEabcdefghijklmnop&peer_id=-WG0001-000000000000&port=6881"

func TestHTTPAnnounceIsReadAsItWasWritten(t *testing.T) {
	for _, form := range []bittorrent.PeerForm{bittorrent.PeersCompact, bittorrent.PeersFull, bittorrent.PeersWithoutIDs} {
		for event := bittorrent.EventNone; event <= bittorrent.EventPaused; event++ {
			want := request()
			want.InfoHash = bittorrent.InfoHash{0, '%', '&', '=', '+', ' ', 0xff, '/', '?', '#'}
			want.Form, want.Event = form, event
			var got bittorrent.AnnounceRequest
			query := string(bittorrent.AppendHTTPAnnounce(nil, &want))
			if err := bittorrent.ParseHTTPAnnounce(query, &got); err != nil || got != want {
				t.Errorf("%s: got %+v, %v, want %+v", query, got, err, want)
			}
		}
	}
}

func TestHTTPAnnounceDefaults(t *testing.T) {
	var a bittorrent.AnnounceRequest
	if err := bittorrent.ParseHTTPAnnounce(goodQuery, &a); err != nil {
		t.Fatal(err)
	}
	want := bittorrent.AnnounceRequest{
		InfoHash: bittorrent.InfoHash([]byte("\x00\x01\xff\xfeabcdefghijklmnop")),
		PeerID:   bittorrent.PeerID([]byte("-WG0001-000000000000")),
		Port:     6881, Left: bittorrent.LeftUnknown, NumWant: -1,
	}
	if a != want {
		t.Errorf("got %+v, want %+v", a, want)
	}
}

func TestHTTPAnnounceParameters(t *testing.T) {
	for query, check := range map[string]func(*bittorrent.AnnounceRequest) bool{
		"left=0":                          func(a *bittorrent.AnnounceRequest) bool { return a.Left == 0 },
		"left=9223372036854775807":        func(a *bittorrent.AnnounceRequest) bool { return a.Left == bittorrent.LeftUnknown },
		"left=-1":                         func(a *bittorrent.AnnounceRequest) bool { return a.Left == bittorrent.LeftUnknown },
		"left=":                           func(a *bittorrent.AnnounceRequest) bool { return a.Left == bittorrent.LeftUnknown },
		"uploaded=-5&downloaded=7":        func(a *bittorrent.AnnounceRequest) bool { return a.Uploaded == 0 && a.Downloaded == 7 },
		"numwant=0":                       func(a *bittorrent.AnnounceRequest) bool { return a.NumWant == 0 },
		"numwant=-7":                      func(a *bittorrent.AnnounceRequest) bool { return a.NumWant == -1 },
		"numwant=999999999999":            func(a *bittorrent.AnnounceRequest) bool { return a.NumWant == 1<<31-1 },
		"event=started":                   func(a *bittorrent.AnnounceRequest) bool { return a.Event == bittorrent.EventStarted },
		"event=paused":                    func(a *bittorrent.AnnounceRequest) bool { return a.Event == bittorrent.EventPaused },
		"event=":                          func(a *bittorrent.AnnounceRequest) bool { return a.Event == bittorrent.EventNone },
		"event=dance":                     func(a *bittorrent.AnnounceRequest) bool { return a.Event == bittorrent.EventNone },
		"compact=1":                       func(a *bittorrent.AnnounceRequest) bool { return a.Form == bittorrent.PeersCompact },
		"compact=0":                       func(a *bittorrent.AnnounceRequest) bool { return a.Form == bittorrent.PeersFull },
		"compact=0&no_peer_id=1":          func(a *bittorrent.AnnounceRequest) bool { return a.Form == bittorrent.PeersWithoutIDs },
		"no_peer_id=1":                    func(a *bittorrent.AnnounceRequest) bool { return a.Form == bittorrent.PeersCompact },
		"key=1a2B":                        func(a *bittorrent.AnnounceRequest) bool { return a.Key == 0x1a2b },
		"key=not-hex":                     func(a *bittorrent.AnnounceRequest) bool { return a.Key != 0 },
		"ip=192.0.2.1&ipv6=::1&ipv4=1":    func(*bittorrent.AnnounceRequest) bool { return true },
		"supportcrypto=1&corrupt=0&x=y&&": func(*bittorrent.AnnounceRequest) bool { return true },
		"\xff\xfe=\xff&caf\u00e9=\x00":    func(*bittorrent.AnnounceRequest) bool { return true },
	} {
		var a bittorrent.AnnounceRequest
		if err := bittorrent.ParseHTTPAnnounce(goodQuery+"&"+query, &a); err != nil || !check(&a) {
			t.Errorf("%s: %+v, %v", query, a, err)
		}
	}
}

func TestBadHTTPAnnouncesAreRefusedWithTheReason(t *testing.T) {
	const hash, peer, port = "info_hash=aaaaaaaaaaaaaaaaaaaa", "peer_id=bbbbbbbbbbbbbbbbbbbb", "port=1"
	all := hash + "&" + peer + "&" + port
	for query, want := range map[string]error{
		"":                               bittorrent.ErrInfoHashMissing,
		peer + "&" + port:                bittorrent.ErrInfoHashMissing,
		hash + "&" + port:                bittorrent.ErrPeerIDMissing,
		hash + "&" + peer:                bittorrent.ErrPortMissing,
		"info_hash=&" + peer:             bittorrent.ErrInfoHashMissing,
		"info_hash=short&" + peer:        bittorrent.ErrInfoHashLength,
		hash + "a&" + peer:               bittorrent.ErrInfoHashLength,
		"info_hash=aaaaaaaaaaaaaaaaaaa%": bittorrent.ErrInfoHashLength,
		"info_hash=aaaaaaaaaaaaaaaaaa%4": bittorrent.ErrInfoHashLength,
		"info_hash=aaaaaaaaaaaaaaaaaa%zz&" + peer + "&" + port: bittorrent.ErrInfoHashLength,
		hash + "&peer_id=" + strings.Repeat("%41", 21):         bittorrent.ErrPeerIDLength,
		hash + "&" + peer + "&port=0":                          bittorrent.ErrPort,
		hash + "&" + peer + "&port=65536":                      bittorrent.ErrPort,
		hash + "&" + peer + "&port=-1":                         bittorrent.ErrPort,
		hash + "&" + peer + "&port=http":                       bittorrent.ErrPort,
		all + "&left=9223372036854775808":                      bittorrent.ErrLeft,
		all + "&left=99999999999999999999999999":               bittorrent.ErrLeft,
		all + "&left=1e9":                                      bittorrent.ErrLeft,
		all + "&left=-":                                        bittorrent.ErrLeft,
		all + "&uploaded=x":                                    bittorrent.ErrUploaded,
		all + "&downloaded=0x10":                               bittorrent.ErrDownloaded,
		all + "&numwant=many":                                  bittorrent.ErrNumWant,
		all + "&" + hash:                                       bittorrent.ErrRepeated,
		all + "&" + port:                                       bittorrent.ErrRepeated,
		all + "&left=1&left=0":                                 bittorrent.ErrRepeated,
		all + "&event=started&event=stopped":                   bittorrent.ErrRepeated,
	} {
		var a bittorrent.AnnounceRequest
		if err := bittorrent.ParseHTTPAnnounce(query, &a); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", query, err, want)
		}
	}
}

func TestKeyIsTheSameOverUDPAndHTTP(t *testing.T) {
	for _, key := range []uint32{1, 0xdeadbeef, 0x00ff} {
		var a bittorrent.AnnounceRequest
		if err := bittorrent.ParseHTTPAnnounce(goodQuery+fmt.Sprintf("&key=%08X", key), &a); err != nil || a.Key != key {
			t.Errorf("key %08X was read as %08X, %v", key, a.Key, err)
		}
	}
}

func TestHTTPScrapeHashesAreSortedAndEachOnce(t *testing.T) {
	query := "info_hash=cccccccccccccccccccc&x=1&info_hash=aaaaaaaaaaaaaaaaaaaa&info_hash=cccccccccccccccccccc"
	got, err := bittorrent.AppendHTTPScrapeHashes(nil, query, 3)
	if err != nil || len(got) != 2 || got[0][0] != 'a' || got[1][0] != 'c' {
		t.Errorf("got %v, %v", got, err)
	}
	for query, want := range map[string]error{
		"":                  bittorrent.ErrScrapeEmpty,
		"x=y":               bittorrent.ErrScrapeEmpty,
		"info_hash=abc":     bittorrent.ErrInfoHashLength,
		query + "&" + query: bittorrent.ErrScrapeLimit,
	} {
		if got, err := bittorrent.AppendHTTPScrapeHashes(nil, query, 3); !errors.Is(err, want) || len(got) != 0 {
			t.Errorf("%s: %v, %v, want %v", query, got, err, want)
		}
	}
}

func response() *bittorrent.AnnounceResponse {
	r := &bittorrent.AnnounceResponse{
		Interval: 1800 * time.Second, MinInterval: 900 * time.Second,
		Complete: 1, Incomplete: 2, Downloaded: 3,
		ExternalIP: netip.MustParseAddr("192.0.2.7"), Warning: "careful",
	}
	r.Peers.AppendWithID(netip.MustParseAddrPort("192.0.2.1:258"), bittorrent.PeerID([]byte("peer1peer1peer1peer1")))
	r.Peers.AppendWithID(netip.MustParseAddrPort("[2001:db8::1]:1"), bittorrent.PeerID([]byte("peer2peer2peer2peer2")))
	return r
}

func TestCompactAnswerHoldsBothFamilies(t *testing.T) {
	got := string(bittorrent.AppendHTTPAnnounceResponse(nil, response(), bittorrent.PeersCompact))
	want := "d8:completei1e10:downloadedi3e11:external ip4:\xc0\x00\x02\x0710:incompletei2e8:intervali1800e" +
		"12:min intervali900e5:peers6:\xc0\x00\x02\x01\x01\x026:peers618:\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01\x00\x01" +
		"15:warning message7:carefule"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestDictionaryAnswerHoldsBothFamilies(t *testing.T) {
	r := response()
	r.Warning, r.MinInterval, r.ExternalIP = "", 0, netip.Addr{}
	got := string(bittorrent.AppendHTTPAnnounceResponse(nil, r, bittorrent.PeersFull))
	want := "d8:completei1e10:downloadedi3e10:incompletei2e8:intervali1800e5:peersl" +
		"d2:ip9:192.0.2.17:peer id20:peer1peer1peer1peer14:porti258ee" +
		"d2:ip11:2001:db8::17:peer id20:peer2peer2peer2peer24:porti1eeee"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if without := string(bittorrent.AppendHTTPAnnounceResponse(nil, r, bittorrent.PeersWithoutIDs)); strings.Contains(without, "peer id") {
		t.Errorf("no_peer_id answered with ids: %q", without)
	}
}

func TestClientReadsWhatTheServerWrote(t *testing.T) {
	want := response()
	for _, form := range []bittorrent.PeerForm{bittorrent.PeersCompact, bittorrent.PeersFull, bittorrent.PeersWithoutIDs} {
		var got bittorrent.AnnounceResponse
		if err := bittorrent.ParseHTTPAnnounceResponse(bittorrent.AppendHTTPAnnounceResponse(nil, want, form), &got); err != nil {
			t.Fatal(err)
		}
		if got.Interval != want.Interval || got.MinInterval != want.MinInterval || got.Complete != 1 || got.Incomplete != 2 ||
			got.Downloaded != 3 || got.ExternalIP != want.ExternalIP || got.Warning != "careful" ||
			string(got.Peers.V4) != string(want.Peers.V4) || string(got.Peers.V6) != string(want.Peers.V6) {
			t.Errorf("form %d: got %+v", form, got)
		}
		if hasIDs := len(got.Peers.IDs4) == 1 && got.Peers.IDs4[0] == want.Peers.IDs4[0]; hasIDs != (form == bittorrent.PeersFull) {
			t.Errorf("form %d: ids %v", form, got.Peers.IDs4)
		}
	}
}

func TestFailureReasonReachesTheClient(t *testing.T) {
	body := bittorrent.AppendHTTPFailure(nil, "not today")
	if string(body) != "d14:failure reason9:not todaye" {
		t.Errorf("got %q", body)
	}
	if err := bittorrent.ParseHTTPAnnounceResponse(body, new(bittorrent.AnnounceResponse)); !errors.Is(err, bittorrent.Error("not today")) {
		t.Errorf("announce: %v", err)
	}
	if _, _, err := bittorrent.ParseHTTPScrapeResponse(body, bittorrent.InfoHash{}); !errors.Is(err, bittorrent.Error("not today")) {
		t.Errorf("scrape: %v", err)
	}
}

func TestRefusalSaysWhenToTryAgain(t *testing.T) {
	for in, want := range map[time.Duration]string{
		0:                    "d14:failure reason4:busy8:intervali60e8:retry ini1ee",
		time.Minute:          "d14:failure reason4:busy8:intervali60e8:retry ini1ee",
		time.Minute + 1:      "d14:failure reason4:busy8:intervali120e8:retry ini2ee",
		time.Hour:            "d14:failure reason4:busy8:intervali3600e8:retry ini60ee",
		bittorrent.Never:     "d14:failure reason4:busy8:retry in5:nevere",
		bittorrent.Never - 1: "d14:failure reason4:busy8:intervali2147483640e8:retry ini35791394ee",
		-time.Hour:           "d14:failure reason4:busy8:intervali60e8:retry ini1ee",
		24 * time.Hour:       "d14:failure reason4:busy8:intervali86400e8:retry ini1440ee",
	} {
		if got := string(bittorrent.AppendHTTPRefusal(nil, &bittorrent.Refusal{Reason: "busy", RetryIn: in})); got != want {
			t.Errorf("%v: got  %q\nwant %q", in, got, want)
		}
	}
}

func TestClientReadsWhenToTryAgain(t *testing.T) {
	for body, want := range map[string]time.Duration{
		"d14:failure reason4:busy8:retry ini5ee":                                                           5 * time.Minute,
		"d14:failure reason4:busy8:retry in1:5e":                                                           5 * time.Minute,
		"d14:failure reason4:busy8:retry in5:nevere":                                                       bittorrent.Never,
		"d14:failure reason4:busy8:retry ini9223372036854775807ee":                                         bittorrent.Never.Truncate(time.Minute),
		string(bittorrent.AppendHTTPRefusal(nil, &bittorrent.Refusal{Reason: "busy", RetryIn: time.Hour})): time.Hour,
	} {
		_, _, scrape := bittorrent.ParseHTTPScrapeResponse([]byte(body), bittorrent.InfoHash{})
		for _, err := range []error{scrape, bittorrent.ParseHTTPAnnounceResponse([]byte(body), new(bittorrent.AnnounceResponse))} {
			refusal, ok := errors.AsType[*bittorrent.Refusal](err)
			if !ok || refusal.RetryIn != want || !errors.Is(err, bittorrent.Error("busy")) || err.Error() != "busy" {
				t.Errorf("%s: %#v, want %v", body, err, want)
			}
		}
	}
	for _, retry := range []string{"i0e", "i-5e", "0:", "4:soon", "2:-1", "le", "de"} {
		body := "d14:failure reason4:busy8:retry in" + retry + "e"
		err := bittorrent.ParseHTTPAnnounceResponse([]byte(body), new(bittorrent.AnnounceResponse))
		if _, ok := errors.AsType[*bittorrent.Refusal](err); ok || !errors.Is(err, bittorrent.Error("busy")) {
			t.Errorf("%s: %#v, want the reason alone", body, err)
		}
	}
}

func TestScrapeAnswer(t *testing.T) {
	hashes := []bittorrent.InfoHash{bittorrent.InfoHash([]byte("aaaaaaaaaaaaaaaaaaaa")), bittorrent.InfoHash([]byte("bbbbbbbbbbbbbbbbbbbb"))}
	counts := []bittorrent.ScrapeCounts{{Complete: 1, Incomplete: 3, Downloaded: 4, Downloaders: 2}, {}}
	body := bittorrent.AppendHTTPScrapeResponse(nil, hashes, counts, 15*time.Minute)
	want := "d5:filesd" +
		"20:aaaaaaaaaaaaaaaaaaaad8:completei1e10:downloadedi4e11:downloadersi2e10:incompletei3ee" +
		"20:bbbbbbbbbbbbbbbbbbbbd8:completei0e10:downloadedi0e11:downloadersi0e10:incompletei0ee" +
		"e5:flagsd20:min_request_intervali900eee"
	if string(body) != want {
		t.Errorf("got  %q\nwant %q", body, want)
	}
	for i := range hashes {
		if got, ok, err := bittorrent.ParseHTTPScrapeResponse(body, hashes[i]); got != counts[i] || !ok || err != nil {
			t.Errorf("read %+v, %t, %v, want %+v", got, ok, err, counts[i])
		}
	}
	if _, ok, err := bittorrent.ParseHTTPScrapeResponse(body, bittorrent.InfoHash{9}); ok || err != nil {
		t.Errorf("a torrent that was not asked for: %t, %v", ok, err)
	}
}

func TestHTTPParsingAndAnsweringAllocatesNothing(t *testing.T) {
	want := request()
	query := string(bittorrent.AppendHTTPAnnounce(nil, &want))
	scrape := string(bittorrent.AppendHTTPScrape(nil, []bittorrent.InfoHash{{2}, {1}}))
	var (
		a      bittorrent.AnnounceRequest
		hashes [74]bittorrent.InfoHash
		body   [4096]byte
	)
	r, refusal := response(), &bittorrent.Refusal{Reason: "busy", RetryIn: time.Hour}
	if n := testing.AllocsPerRun(100, func() {
		_ = bittorrent.ParseHTTPAnnounce(query, &a)
		_ = bittorrent.ParseHTTPAnnounce("left=many", &a)
		_, _ = bittorrent.AppendHTTPScrapeHashes(hashes[:0], scrape, 74)
		_ = bittorrent.AppendHTTPAnnounceResponse(body[:0], r, bittorrent.PeersCompact)
		_ = bittorrent.AppendHTTPAnnounceResponse(body[:0], r, bittorrent.PeersFull)
		_ = bittorrent.AppendHTTPRefusal(body[:0], refusal)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// FuzzHTTPQuery reads any query as an announce and as a scrape. What is taken
// must mean the same when written again, and agree with net/url where that takes
// the query too.
func FuzzHTTPQuery(f *testing.F) {
	a := request()
	f.Add("")
	f.Add(goodQuery)
	f.Add(string(bittorrent.AppendHTTPAnnounce(nil, &a)))
	f.Add(goodQuery + "&left=-1&numwant=99999999999&compact=0&no_peer_id=1&event=paused&key=zz")
	f.Add("info_hash=%zz&info_hash=aaaaaaaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, query string) {
		if hashes, err := bittorrent.AppendHTTPScrapeHashes(nil, query, 74); err == nil {
			again, err := bittorrent.AppendHTTPScrapeHashes(nil, string(bittorrent.AppendHTTPScrape(nil, hashes)), 74)
			if err != nil || len(again) != len(hashes) {
				t.Errorf("hashes %v were written and read as %v, %v", hashes, again, err)
			}
		}
		var first, second bittorrent.AnnounceRequest
		if err := bittorrent.ParseHTTPAnnounce(query, &first); err != nil {
			return
		}
		if first.Port == 0 || first.Left < 0 || first.Uploaded < 0 || first.Downloaded < 0 || first.NumWant < -1 {
			t.Errorf("out of range: %+v", first)
		}
		if err := bittorrent.ParseHTTPAnnounce(string(bittorrent.AppendHTTPAnnounce(nil, &first)), &second); err != nil || first != second {
			t.Errorf("%+v was written and read as %+v, %v", first, second, err)
		}
		if values, err := url.ParseQuery(query); err == nil && values.Has("info_hash") {
			for _, v := range values["info_hash"] {
				if v != "" && v != string(first.InfoHash[:]) {
					t.Errorf("info_hash %q, net/url reads %q", first.InfoHash, v)
				}
			}
		}
	})
}

// FuzzHTTPResponse reads any answer as a client does.
func FuzzHTTPResponse(f *testing.F) {
	f.Add([]byte("d14:failure reason2:noe"))
	f.Add([]byte("d14:failure reason2:no8:retry ini5ee"))
	f.Add(bittorrent.AppendHTTPAnnounceResponse(nil, response(), bittorrent.PeersCompact))
	f.Add(bittorrent.AppendHTTPAnnounceResponse(nil, response(), bittorrent.PeersFull))
	f.Fuzz(func(_ *testing.T, body []byte) {
		var out bittorrent.AnnounceResponse
		if bittorrent.ParseHTTPAnnounceResponse(body, &out) == nil {
			for addr := range out.Peers.All() {
				_ = addr.String()
			}
		}
		_, _, _ = bittorrent.ParseHTTPScrapeResponse(body, bittorrent.InfoHash{})
	})
}
