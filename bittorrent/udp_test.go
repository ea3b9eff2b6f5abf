package bittorrent_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
)

func request() bittorrent.AnnounceRequest {
	return bittorrent.AnnounceRequest{
		InfoHash:   bittorrent.InfoHash([]byte("aaaaabbbbbcccccddddd")),
		PeerID:     bittorrent.PeerID([]byte("-WG0001-000000000000")),
		Downloaded: 1, Left: 2, Uploaded: 3,
		Event: bittorrent.EventStarted, Key: 0xdeadbeef, NumWant: 30, Port: 6881,
	}
}

// The layout is that of BEP 15, byte for byte.
func TestUDPAnnounceHasTheLayoutOfBEP15(t *testing.T) {
	a := request()
	got := hex.EncodeToString(bittorrent.AppendUDPAnnounce(nil, 0x1122334455667788, 0x99aabbcc, &a, ""))
	want := "1122334455667788" + "00000001" + "99aabbcc" +
		hex.EncodeToString(a.InfoHash[:]) + hex.EncodeToString(a.PeerID[:]) +
		"0000000000000001" + "0000000000000002" + "0000000000000003" +
		"00000002" + "00000000" + "deadbeef" + "0000001e" + "1ae1"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestUDPConnectHasTheLayoutOfBEP15(t *testing.T) {
	if got, want := hex.EncodeToString(bittorrent.AppendUDPConnect(nil, 7)), "0000041727101980"+"00000000"+"00000007"; got != want {
		t.Errorf("request %s, want %s", got, want)
	}
	if got, want := hex.EncodeToString(bittorrent.AppendUDPConnectResponse(nil, 7, 9)), "00000000"+"00000007"+"0000000000000009"; got != want {
		t.Errorf("response %s, want %s", got, want)
	}
}

func TestUDPAnnounceIsReadAsItWasWritten(t *testing.T) {
	want := request()
	packet := bittorrent.AppendUDPAnnounce(nil, 1, 2, &want, "/announce?passkey=x")
	header, err := bittorrent.ParseUDPHeader(packet)
	if err != nil || header != (bittorrent.UDPHeader{ConnectionID: 1, Action: bittorrent.ActionAnnounce, TransactionID: 2}) {
		t.Fatalf("header %+v, %v", header, err)
	}
	var got bittorrent.AnnounceRequest
	options, err := bittorrent.ParseUDPAnnounce(packet, &got)
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if data, err := bittorrent.AppendURLData(nil, options); err != nil || string(data) != "/announce?passkey=x" {
		t.Errorf("URL data %q, %v", data, err)
	}
}

func TestURLDataLongerThanAnOptionGoesInPieces(t *testing.T) {
	a := request()
	long := "/" + strings.Repeat("x", 700)
	packet := bittorrent.AppendUDPAnnounce(nil, 1, 2, &a, long)
	data, err := bittorrent.AppendURLData(nil, packet[bittorrent.UDPAnnounceLen:])
	if err != nil || string(data) != long {
		t.Errorf("%d bytes, %v, want %d", len(data), err, len(long))
	}
}

func TestOptionsOfBEP41(t *testing.T) {
	for name, test := range map[string]struct {
		options string
		want    string
		err     error
	}{
		"none":                      {"", "", nil},
		"end":                       {"\x00ignored", "", nil},
		"nothing, then data":        {"\x01\x01\x02\x02/a", "/a", nil},
		"two pieces and an end":     {"\x02\x02/a\x02\x01b\x00\x02\x01c", "/ab", nil},
		"an unknown one is passed":  {"\x7f\x03xyz\x02\x01a", "a", nil},
		"empty data":                {"\x02\x00", "", nil},
		"length without data":       {"\x02", "", bittorrent.ErrUDPOptions},
		"length beyond the packet":  {"\x02\x02/a\x02\xffb", "", bittorrent.ErrUDPOptions},
		"unknown beyond the packet": {"\x09\x05abc", "", bittorrent.ErrUDPOptions},
	} {
		got, err := bittorrent.AppendURLData([]byte("before:"), []byte(test.options))
		if string(got) != "before:"+test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %q, %v, want %q, %v", name, got, err, test.want, test.err)
		}
	}
}

func TestBadUDPAnnouncesAreRefused(t *testing.T) {
	good := func() []byte { a := request(); return bittorrent.AppendUDPAnnounce(nil, 1, 2, &a, "") }
	edited := func(at int, b ...byte) []byte { p := good(); copy(p[at:], b); return p }
	for name, test := range map[string]struct {
		packet []byte
		want   error
	}{
		"a byte short":   {good()[:97], bittorrent.ErrUDPShort},
		"header only":    {good()[:16], bittorrent.ErrUDPShort},
		"port 0":         {edited(96, 0, 0), bittorrent.ErrPort},
		"event 5":        {edited(80, 0, 0, 0, 5), bittorrent.ErrUDPEvent},
		"event 2^32-1":   {edited(80, 255, 255, 255, 255), bittorrent.ErrUDPEvent},
		"nothing at all": {nil, bittorrent.ErrUDPShort},
	} {
		var a bittorrent.AnnounceRequest
		if _, err := bittorrent.ParseUDPAnnounce(test.packet, &a); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestNegativeFiguresMeanUnknown(t *testing.T) {
	a := request()
	a.Left, a.Uploaded, a.Downloaded, a.NumWant = -1, math.MinInt64, -5, -1
	var got bittorrent.AnnounceRequest
	if _, err := bittorrent.ParseUDPAnnounce(bittorrent.AppendUDPAnnounce(nil, 1, 2, &a, ""), &got); err != nil {
		t.Fatal(err)
	}
	if got.Left != bittorrent.LeftUnknown || got.Uploaded != 0 || got.Downloaded != 0 || got.NumWant != -1 {
		t.Errorf("got %+v", got)
	}
}

func TestUDPScrapeHashes(t *testing.T) {
	hashes := []bittorrent.InfoHash{{1}, {2}, {3}}
	packet := bittorrent.AppendUDPScrape(nil, 1, 2, hashes)
	for name, test := range map[string]struct {
		packet []byte
		limit  int
		want   error
	}{
		"as many as the limit": {packet, 3, nil},
		"one beyond the limit": {packet, 2, bittorrent.ErrUDPScrapeLimit},
		"none":                 {packet[:16], 3, bittorrent.ErrUDPScrapeLen},
		"half a hash":          {packet[:46], 3, bittorrent.ErrUDPScrapeLen},
	} {
		got, err := bittorrent.AppendUDPScrapeHashes(nil, test.packet, test.limit)
		if !errors.Is(err, test.want) || (err == nil && (len(got) != 3 || got[2] != hashes[2])) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, test.want)
		}
	}
}

func TestUDPResponsesAreReadAsTheyWereWritten(t *testing.T) {
	r := bittorrent.AnnounceResponse{Interval: 1800 * time.Second, Complete: 5, Incomplete: 7}
	r.Peers.Append(netip.MustParseAddrPort("192.0.2.1:6881"))
	r.Peers.Append(netip.MustParseAddrPort("[2001:db8::1]:6882"))
	for name, v6 := range map[string]bool{"IPv4": false, "IPv6": true} {
		packet := make([]byte, bittorrent.UDPAnnounceResponseLen)
		bittorrent.PutUDPAnnounceHeader(packet, 42, &r)
		peers := r.Peers.V4
		if v6 {
			peers = r.Peers.V6
		}
		response, err := bittorrent.ParseUDPResponse(append(packet, peers...))
		if err != nil || response.TransactionID != 42 {
			t.Fatalf("%s: %+v, %v", name, response, err)
		}
		var got bittorrent.AnnounceResponse
		if err := response.Announce(v6, &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Interval != r.Interval || got.Complete != 5 || got.Incomplete != 7 || got.Peers.Len() != 1 ||
			!bytes.Equal(append(got.Peers.V4, got.Peers.V6...), peers) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestUDPErrorReachesTheClientInTheTrackersWords(t *testing.T) {
	response, err := bittorrent.ParseUDPResponse(bittorrent.AppendUDPError(nil, 1, "no such luck"))
	if err != nil {
		t.Fatal(err)
	}
	_, connectErr := response.ConnectionID()
	_, scrapeErr := response.AppendScrapeCounts(nil)
	for _, err := range []error{connectErr, scrapeErr, response.Announce(false, new(bittorrent.AnnounceResponse))} {
		if !errors.Is(err, bittorrent.Error("no such luck")) {
			t.Errorf("got %v", err)
		}
	}
}

func TestUDPScrapeResponseIsReadAsItWasWritten(t *testing.T) {
	want := []bittorrent.ScrapeCounts{{Complete: 1, Downloaded: 2, Incomplete: 3, Downloaders: 3}, {}}
	response, _ := bittorrent.ParseUDPResponse(bittorrent.AppendUDPScrapeResponse(nil, 1, want))
	got, err := response.AppendScrapeCounts(nil)
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestIntervalStaysWithin32Bits(t *testing.T) {
	b := make([]byte, bittorrent.UDPAnnounceResponseLen)
	for given, want := range map[time.Duration]uint32{
		-time.Second: 0, 0: 0, 1499 * time.Millisecond: 1, 1500 * time.Millisecond: 2, math.MaxInt64: math.MaxInt32,
	} {
		bittorrent.PutUDPAnnounceHeader(b, 1, &bittorrent.AnnounceResponse{Interval: given})
		if got := binary.BigEndian.Uint32(b[8:]); got != want {
			t.Errorf("%v is written as %d s, want %d", given, got, want)
		}
	}
}

func TestParsingUDPAllocatesNothing(t *testing.T) {
	a := request()
	announce := bittorrent.AppendUDPAnnounce(nil, 1, 2, &a, "/announce")
	scrape := bittorrent.AppendUDPScrape(nil, 1, 2, []bittorrent.InfoHash{{1}, {2}})
	var (
		parsed bittorrent.AnnounceRequest
		hashes [74]bittorrent.InfoHash
		url    [64]byte
	)
	if n := testing.AllocsPerRun(100, func() {
		options, _ := bittorrent.ParseUDPAnnounce(announce, &parsed)
		_, _ = bittorrent.AppendURLData(url[:0], options)
		_, _ = bittorrent.AppendUDPScrapeHashes(hashes[:0], scrape, 74)
		_, _ = bittorrent.ParseUDPAnnounce(announce[:50], &parsed)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// FuzzUDPPacket reads any packet in every way that server and client do. What is
// taken for an announce must mean the same when written again.
func FuzzUDPPacket(f *testing.F) {
	a := request()
	f.Add([]byte{})
	f.Add(bittorrent.AppendUDPConnect(nil, 7))
	f.Add(bittorrent.AppendUDPAnnounce(nil, 1, 2, &a, "/announce?passkey=secret"))
	f.Add(bittorrent.AppendUDPScrape(nil, 1, 2, []bittorrent.InfoHash{{1}, {2}}))
	f.Add(bittorrent.AppendUDPError(nil, 1, "words"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		_, _ = bittorrent.ParseUDPHeader(packet)
		var first, second bittorrent.AnnounceRequest
		if options, err := bittorrent.ParseUDPAnnounce(packet, &first); err == nil {
			if first.Port == 0 || first.Left < 0 || first.Uploaded < 0 || first.Downloaded < 0 {
				t.Errorf("out of range: %+v", first)
			}
			_, _ = bittorrent.AppendURLData(nil, options)
			again := bittorrent.AppendUDPAnnounce(nil, 1, 2, &first, "")
			if _, err := bittorrent.ParseUDPAnnounce(again, &second); err != nil || first != second {
				t.Errorf("%+v was written and read as %+v, %v", first, second, err)
			}
		}
		if hashes, err := bittorrent.AppendUDPScrapeHashes(nil, packet, 74); err == nil && (len(hashes) == 0 || len(hashes) > 74) {
			t.Errorf("%d hashes", len(hashes))
		}
		if r, err := bittorrent.ParseUDPResponse(packet); err == nil {
			_, _ = r.ConnectionID()
			_, _ = r.AppendScrapeCounts(nil)
			for _, v6 := range []bool{false, true} {
				var out bittorrent.AnnounceResponse
				if r.Announce(v6, &out) == nil {
					for addr := range out.Peers.All() {
						_ = addr.String()
					}
				}
			}
		}
	})
}
