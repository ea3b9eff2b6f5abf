package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"waggle/bittorrent"
)

// script is trackers that answer as a test says, and what they were told when.
type script struct {
	told   []string
	begun  time.Time
	answer func(url string, a *bittorrent.AnnounceRequest, out *bittorrent.AnnounceResponse) error
}

func (s *script) post(_ context.Context, url string, a *bittorrent.AnnounceRequest, out *bittorrent.AnnounceResponse) error {
	s.told = append(s.told, fmt.Sprintf("%s %s at %v", a.Event, url, time.Since(s.begun)))
	return s.answer(url, a, out)
}

// announceFor runs an announcer for some time, and returns what trackers were told.
func announceFor(t *testing.T, d time.Duration, a *announcer, s *script) []string {
	t.Helper()
	s.begun = time.Now()
	a.post = s.post
	a.ask = func() bittorrent.AnnounceRequest { return bittorrent.AnnounceRequest{} }
	if a.found == nil {
		a.found = func([]netip.AddrPort) {}
	}
	if a.lonely == nil {
		a.lonely = func() bool { return false }
	}
	if a.say == nil {
		a.say = func(string, ...any) {}
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	a.run(ctx)
	return s.told
}

func every(interval time.Duration) func(string, *bittorrent.AnnounceRequest, *bittorrent.AnnounceResponse) error {
	return func(_ string, _ *bittorrent.AnnounceRequest, out *bittorrent.AnnounceResponse) error {
		out.Interval = interval
		return nil
	}
}

func wantTold(t *testing.T, have []string, want ...string) {
	t.Helper()
	if !slices.Equal(have, want) {
		t.Errorf("trackers were told\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

func TestAnnouncesKeepToTheTrackersIntervalAndEndWithStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := announceFor(t, 100*time.Second, &announcer{tiers: [][]string{{"a"}}}, &script{answer: every(40 * time.Second)})
		wantTold(t, told, "started a at 0s", "none a at 40s", "none a at 1m20s", "stopped a at 1m40s")
	})
}

func TestCompletionIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := make(chan struct{})
		time.AfterFunc(10*time.Second, func() { close(whole) })
		told := announceFor(t, 30*time.Second, &announcer{tiers: [][]string{{"a"}}, whole: whole}, &script{answer: every(time.Hour)})
		wantTold(t, told, "started a at 0s", "completed a at 10s", "stopped a at 30s")
	})
}

func TestCompletionThatComesWithTheEndIsToldBeforeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := make(chan struct{})
		close(whole)
		s := &script{answer: every(time.Hour)}
		a := &announcer{tiers: [][]string{{"a"}}, whole: whole, told: true}
		wantTold(t, announceFor(t, 0, a, s), "completed a at 0s", "stopped a at 0s")
	})
}

// Trackers count a completion of a peer that was no seeder before. The last piece may be there
// long before all is in place.
func TestNothingIsLeftOnlyWhenTheCompletionIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := make(chan struct{})
		time.AfterFunc(90*time.Second, func() { close(whole) })
		var left []string
		answer := func(url string, a *bittorrent.AnnounceRequest, out *bittorrent.AnnounceResponse) error {
			left = append(left, fmt.Sprintf("%s %d", a.Event, a.Left))
			return every(40*time.Second)(url, a, out)
		}
		announceFor(t, 140*time.Second, &announcer{tiers: [][]string{{"a"}}, whole: whole}, &script{answer: answer})
		wantTold(t, left, "started 1", "none 1", "none 1", "completed 0", "none 0", "stopped 0")
	})
}

func TestLonelyPeerAsksOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &announcer{tiers: [][]string{{"a"}}, lonely: func() bool { return true }}
		told := announceFor(t, 150*time.Second, a, &script{answer: every(time.Hour)})
		wantTold(t, told, "started a at 0s", "none a at 1m0s", "none a at 2m0s", "stopped a at 2m30s")
	})
}

func TestTrackerThatFailsIsAskedLessAndLessAndComplainedOfOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		a := &announcer{tiers: [][]string{{"a"}}, say: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }}
		told := announceFor(t, time.Minute, a, &script{answer: func(string, *bittorrent.AnnounceRequest, *bittorrent.AnnounceResponse) error {
			return errors.New("gone\x1b[2J")
		}})
		wantTold(t, told, "started a at 0s", "started a at 5s", "started a at 15s", "started a at 35s")
		wantTold(t, said, "tracker a: gone?[2J")
	})
}

func TestTrackerThatSaysNeverIsNotAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := announceFor(t, 1000*time.Hour, &announcer{tiers: [][]string{{"a"}}}, &script{answer: func(string, *bittorrent.AnnounceRequest, *bittorrent.AnnounceResponse) error {
			return &bittorrent.Refusal{Reason: "denied", RetryIn: bittorrent.Never}
		}})
		wantTold(t, told, "started a at 0s")
	})
}

func TestNextTierIsAskedOnlyIfNoTrackerOfTheFirstAnswersAndWhoAnswersComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &announcer{tiers: [][]string{{"a", "b"}, {"c"}}}
		told := announceFor(t, 50*time.Second, a, &script{answer: func(url string, _ *bittorrent.AnnounceRequest, out *bittorrent.AnnounceResponse) error {
			out.Interval = 40 * time.Second
			if url == "a" {
				return errors.New("gone")
			}
			return nil
		}})
		wantTold(t, told, "started a at 0s", "started b at 0s", "none b at 40s", "stopped b at 50s")
	})
}

func TestPeersThatCannotBePeersAreNotPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var found []netip.AddrPort
		a := &announcer{tiers: [][]string{{"a"}}, found: func(some []netip.AddrPort) { found = append(found, some...) }}
		good := netip.MustParseAddrPort("192.0.2.1:6881")
		announceFor(t, time.Second, a, &script{answer: func(_ string, r *bittorrent.AnnounceRequest, out *bittorrent.AnnounceResponse) error {
			if r.Event != bittorrent.EventStarted {
				return nil
			}
			for _, s := range []string{"192.0.2.2:0", "0.0.0.0:1", "224.0.0.1:1", "[::]:1"} {
				out.Peers.Append(netip.MustParseAddrPort(s))
			}
			out.Peers.Append(good)
			return nil
		}})
		if !slices.Equal(found, []netip.AddrPort{good}) {
			t.Errorf("passed on %v, want %v", found, good)
		}
	})
}

func TestHTTPTrackerThatAnswersBadlyIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a status": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, "418"},
		"a page":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "bencode"},
		"a reason": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bittorrent.AppendHTTPFailure(nil, "not today"))
		}, "not today"},
		"too much": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxAnswer+1)) }, "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.answer)
			defer server.Close()
			err := newTrackers("", &Options{}).post(t.Context(), server.URL+"/announce?key=1", &bittorrent.AnnounceRequest{Port: 1}, &bittorrent.AnnounceResponse{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// serveUDP answers packets over UDP until the test ends, each with those that answer returns, and returns the tracker's URL.
func serveUDP(t *testing.T, answer func(h bittorrent.UDPHeader, packet []byte, from net.Addr) [][]byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		buffer := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			h, err := bittorrent.ParseUDPHeader(buffer[:n])
			if err != nil {
				continue
			}
			for _, packet := range answer(h, buffer[:n], from) {
				_, _ = conn.WriteTo(packet, from)
			}
		}
	})
	t.Cleanup(func() {
		_ = conn.Close()
		serving.Wait()
	})
	return "udp://" + conn.LocalAddr().String()
}

func TestUDPTrackerMayLoseAPacketAndAnswerNonsenseBetween(t *testing.T) {
	lost := false
	tracker := serveUDP(t, func(h bittorrent.UDPHeader, _ []byte, _ net.Addr) [][]byte {
		if !lost {
			lost = true
			return nil
		}
		answer := bittorrent.AppendUDPConnectResponse(nil, h.TransactionID, 7)
		if h.Action == bittorrent.ActionAnnounce {
			answer = bittorrent.AppendUDPError(nil, h.TransactionID, "not today")
		}
		return [][]byte{nil, {1, 2, 3}, bittorrent.AppendUDPConnectResponse(nil, h.TransactionID+1, 8), answer}
	})
	err := newTrackers("", &Options{}).post(t.Context(), tracker, &bittorrent.AnnounceRequest{Port: 1}, &bittorrent.AnnounceResponse{})
	if !errors.Is(err, bittorrent.Error("not today")) {
		t.Errorf("error %v, want the tracker's", err)
	}
}

func TestUDPTrackerIsShownThePathOfItsURL(t *testing.T) {
	tracker := serveUDP(t, func(h bittorrent.UDPHeader, packet []byte, _ net.Addr) [][]byte {
		if h.Action != bittorrent.ActionAnnounce {
			return [][]byte{bittorrent.AppendUDPConnectResponse(nil, h.TransactionID, 7)}
		}
		path, _ := bittorrent.AppendURLData(nil, packet[bittorrent.UDPAnnounceLen:])
		return [][]byte{bittorrent.AppendUDPError(nil, h.TransactionID, "you asked for "+string(path))}
	})
	err := newTrackers("", &Options{}).post(t.Context(), tracker+"/abc/announce", &bittorrent.AnnounceRequest{Port: 1}, &bittorrent.AnnounceResponse{})
	if !errors.Is(err, bittorrent.Error("you asked for /abc/announce")) {
		t.Errorf("the tracker says %v", err)
	}
}

func TestAnnouncesComeFromTheAddressThatIsListenedOn(t *testing.T) {
	overUDP := serveUDP(t, func(h bittorrent.UDPHeader, _ []byte, from net.Addr) [][]byte {
		host, _, _ := net.SplitHostPort(from.String())
		return [][]byte{bittorrent.AppendUDPError(nil, h.TransactionID, "you are "+host)}
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		_, _ = w.Write(bittorrent.AppendHTTPFailure(nil, "you are "+host))
	}))
	defer server.Close()
	overHTTP := server.URL + "/announce"
	elsewhere := netip.MustParseAddr("192.0.2.255")
	for _, test := range []struct {
		tracker  string
		listened netip.Addr
		want     string
	}{
		{overUDP, netip.Addr{}, "you are 127.0.0.1"},
		{overUDP, netip.MustParseAddr("127.0.0.2"), "you are 127.0.0.2"},
		{overHTTP, netip.Addr{}, "you are 127.0.0.1"},
		{overHTTP, netip.MustParseAddr("127.0.0.2"), "you are 127.0.0.2"},
		{overHTTP, elsewhere, "you are 127.0.0.1"}, // which this machine does not have
	} {
		err := newTrackers("", &Options{Addr: test.listened}).post(t.Context(), test.tracker, &bittorrent.AnnounceRequest{Port: 1}, &bittorrent.AnnounceResponse{})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s, listening on %v: %v, want %s", test.tracker, test.listened, err, test.want)
		}
	}
}

func TestTrackerOverAnotherProtocolIsRefusedWithThoseThatAreKnown(t *testing.T) {
	err := newTrackers("", &Options{}).post(t.Context(), "wss://tracker.example", &bittorrent.AnnounceRequest{}, &bittorrent.AnnounceResponse{})
	if err == nil || !strings.Contains(err.Error(), "udp, http and https") {
		t.Errorf("error %v", err)
	}
}
