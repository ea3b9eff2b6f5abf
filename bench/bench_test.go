package bench_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/bench"
	"waggle/bench/echo"
	"waggle/bench/population"
	"waggle/bittorrent"
	"waggle/frontend/http"
	"waggle/frontend/udp"
	"waggle/internal/freeport"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server is a tracker with both frontends.
type server struct {
	store     swarm.Store
	tracker   *tracker.Tracker
	udp, http string // URLs
}

func serve(t *testing.T, host string) *server {
	t.Helper()
	s := &server{store: memory.New(memory.Options{})}
	s.tracker = tracker.New(s.store, tracker.Settings{Interval: time.Minute, NumWant: 50, MaxNumWant: 50}, tracker.Options{})
	address := []string{net.JoinHostPort(host, "0")}
	u, err := udp.Listen(t.Context(), address, udp.Options{Tracker: s.tracker})
	if err != nil {
		t.Fatal(err)
	}
	h, err := http.Listen(t.Context(), address, nil, http.Options{Tracker: s.tracker})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.Close(), u.Close(), s.store.Close()); err != nil {
			t.Error(err)
		}
	})
	s.udp, s.http = "udp://"+u.Addrs()[0].String(), "http://"+h.Addrs()[0].String()+"/announce"
	return s
}

// few returns a load that is soon over, and that no slow machine loses anything of.
func few() bench.Options {
	d := population.Rank()
	d.Torrents, d.Peers = 100, 2_000
	return bench.Options{Distribution: d, Seed: 1, Fill: true, Announces: 5_000, Timeout: time.Minute}
}

func mustRun(t *testing.T, o bench.Options, urls ...string) *bench.Report {
	t.Helper()
	var targets []bench.Target
	for _, url := range urls {
		targets = append(targets, bench.Target{URL: url})
	}
	r, err := bench.Run(t.Context(), targets, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantAnswered checks that each request was answered well.
func wantAnswered(t *testing.T, r *bench.Round, announces int64) {
	t.Helper()
	if r.Announces != announces || r.Sent != r.Announces+r.Scrapes || r.Errors != 0 || r.Timeouts != 0 || r.Late != 0 || r.Unsent != 0 {
		t.Errorf("want %d announces and nothing amiss: %+v", announces, r)
	}
	l := r.Latency
	if l.P50 <= 0 || l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max || r.AnswersPerSecond <= 0 {
		t.Errorf("figures that cannot be: %+v", r)
	}
}

func wantPeers(t *testing.T, s *server, want int) {
	t.Helper()
	totals, err := s.store.Totals(t.Context())
	if err != nil || totals.Peers != want {
		t.Errorf("the tracker has %+v, %v, want %d peers", totals, err, want)
	}
}

func TestEachRequestIsAnsweredAndCounted(t *testing.T) {
	for name, change := range map[string]func(*bench.Options){
		"closed loop":              func(*bench.Options) {},
		"open loop":                func(o *bench.Options) { o.Rate = 50_000 },
		"several workers":          func(o *bench.Options) { o.Workers = 3 },
		"one at a time":            func(o *bench.Options) { o.Window, o.Sockets, o.Connections = 1, 1, 1 },
		"pipelined":                func(o *bench.Options) { o.Pipeline = 8 },
		"a connection an announce": func(o *bench.Options) { o.Connection = bench.OneAnnounce },
		"with scrapes":             func(o *bench.Options) { o.Distribution.ScrapeEach = 10 },
		"aquatic": func(o *bench.Options) {
			o.Distribution = population.Aquatic()
			o.Distribution.Torrents, o.Distribution.Peers = 1_000, 2_000
		},
	} {
		for _, protocol := range []string{"udp", "http"} {
			t.Run(name+" over "+protocol, func(t *testing.T) {
				s := serve(t, "127.0.0.1")
				o := few()
				change(&o)
				url := s.udp
				if protocol == "http" {
					url = s.http
				}
				r := mustRun(t, o, url)
				result := r.Results[0]
				if f := result.Fill; f == nil || f.Announces != 2_000 || f.Errors != 0 {
					t.Errorf("filled: %+v", f)
				}
				wantAnswered(t, &result.Rounds[0], 5_000)
				wantPeers(t, s, 2_000)
				if got := s.tracker.Figures(); got.Announces != 7_000 || got.Scrapes != uint64(result.Rounds[0].Scrapes) {
					t.Errorf("the tracker counted %+v", got)
				}
				if each := o.Distribution.ScrapeEach; (each > 0) != (result.Rounds[0].Scrapes > 0) {
					t.Errorf("%d scrapes, of one for %d announces", result.Rounds[0].Scrapes, each)
				}
				if r.Protocol != protocol || r.Peers != 2_000 || r.Interrupted {
					t.Errorf("reported: %+v", r)
				}
			})
		}
	}
}

func TestSpoofedPacketsAreSentBesideAndNotAnswered(t *testing.T) {
	s := serve(t, "127.0.0.1")
	o := few()
	o.Spoofed, o.Workers = 1_000, 2
	r := mustRun(t, o, s.udp)
	round := &r.Results[0].Rounds[0]
	wantAnswered(t, round, 5_000)
	wantPeers(t, s, 2_000)
	if round.Spoofed == 0 || r.Results[0].Median.Spoofed != round.Spoofed {
		t.Errorf("%d packets were spoofed, %d in the median", round.Spoofed, r.Results[0].Median.Spoofed)
	}
	if got := s.tracker.Figures(); got.Announces != 7_000 {
		t.Errorf("the tracker counted %+v", got)
	}
}

func TestPeersPerAnswerIsWhatTheTrackerTold(t *testing.T) {
	for _, protocol := range []string{"udp", "http"} {
		s := serve(t, "127.0.0.1")
		o := few()
		o.Fill = false
		r := mustRun(t, o, map[string]string{"udp": s.udp, "http": s.http}[protocol]).Results[0].Median
		if want := float64(s.tracker.Figures().Told) / 5_000; want == 0 || r.PeersPerAnswer != want {
			t.Errorf("%s: %v peers an answer, and the tracker told of %v", protocol, r.PeersPerAnswer, want)
		}
	}
}

func TestPeersShareAnAddressWhereThereIsOneOnly(t *testing.T) {
	s := serve(t, "::1")
	for _, url := range []string{s.udp, s.http} {
		r := mustRun(t, few(), url)
		wantAnswered(t, &r.Results[0].Rounds[0], 5_000)
		wantPeers(t, s, 2_000)
	}
}

func TestChurnEndsStaysAndKeepsTheTrackerFull(t *testing.T) {
	s := serve(t, "127.0.0.1")
	o := few()
	o.Churn, o.Announces = 0.2, 20_000
	r, err := bench.Run(t.Context(), []bench.Target{{URL: s.udp, PID: linuxPID()}}, o)
	if err != nil {
		t.Fatal(err)
	}
	wantAnswered(t, &r.Results[0].Rounds[0], 20_000)
	totals, err := s.store.Totals(t.Context())
	// Half of those who leave say so; the others stay until they expire.
	if silent := 20_000 * 0.1; err != nil || float64(totals.Peers) < 2_000+silent/2 || float64(totals.Peers) > 2_000+silent*3/2 {
		t.Errorf("the tracker has %+v, %v", totals, err)
	}
	if m := r.Results[0].Memory; (m == nil) != (linuxPID() == 0) {
		t.Errorf("memory: %+v", m)
	}
}

// linuxPID returns this process where what it uses can be read.
func linuxPID() int {
	if runtime.GOOS == "linux" {
		return os.Getpid()
	}
	return 0
}

func TestTwoTrackersAreMeasuredInTurnAndCompared(t *testing.T) {
	a, b := serve(t, "127.0.0.1"), serve(t, "127.0.0.1")
	o := few()
	o.Rounds = 3
	for protocol, urls := range map[string][]string{"udp": {a.udp, b.udp}, "http": {a.http, b.http}} {
		r := mustRun(t, o, urls...)
		for i, result := range r.Results {
			if result.URL != urls[i] || len(result.Rounds) != 3 || result.Median.Announces != 15_000 {
				t.Errorf("%s: %+v", protocol, result)
			}
		}
		first, second := r.Results[0].Median, r.Results[1].Median
		if r.Ratio == nil || r.Ratio.AnswersPerSecond != first.AnswersPerSecond/second.AnswersPerSecond {
			t.Errorf("%s: ratio %+v of %v and %v", protocol, r.Ratio, first.AnswersPerSecond, second.AnswersPerSecond)
		}
	}
	if x, y := a.tracker.Figures(), b.tracker.Figures(); x.Announces != y.Announces || x.Told == 0 {
		t.Errorf("one got %+v, the other %+v", x, y)
	}
}

func TestEchoIsATarget(t *testing.T) {
	u, err := echo.ListenUDP(netip.MustParseAddrPort("127.0.0.1:0"), 1, 30)
	if err != nil {
		t.Fatal(err)
	}
	h, err := echo.ListenHTTP(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"), 30)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- u.Serve(ctx) }()
	go func() { ended <- h.Serve(ctx) }()
	for _, url := range []string{"udp://" + u.Addr().String(), "http://" + h.Addr().String()} {
		r := mustRun(t, few(), url)
		wantAnswered(t, &r.Results[0].Rounds[0], 5_000)
		if got := r.Results[0].Median.PeersPerAnswer; got != 30 {
			t.Errorf("%s: %v peers an answer, want 30", url, got)
		}
	}
	cancel()
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Error(err)
	}
}

// answerUDP answers packets with a function, of which nil drops them.
func answerUDP(t *testing.T, answer func(packet []byte) []byte) (url string) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		packet := make([]byte, 2_000)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(packet)
			if err != nil {
				return
			}
			if a := answer(packet[:n]); a != nil {
				_, _ = conn.WriteToUDPAddrPort(a, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
	return "udp://" + conn.LocalAddr().String()
}

// answering answers as a tracker would, except that announce decides about announces,
// which it is told the number of.
func answering(announce func(n int, transaction uint32) []byte) func([]byte) []byte {
	n := 0
	return func(packet []byte) []byte {
		h, err := bittorrent.ParseUDPHeader(packet)
		if err != nil {
			return nil
		}
		if h.Action == bittorrent.ActionConnect {
			return bittorrent.AppendUDPConnectResponse(nil, h.TransactionID, 1)
		}
		n++
		return announce(n, h.TransactionID)
	}
}

func goodAnswer(transaction uint32, peers int) []byte {
	b := make([]byte, bittorrent.UDPAnnounceResponseLen+peers*bittorrent.CompactLen4)
	bittorrent.PutUDPAnnounceHeader(b, transaction, &bittorrent.AnnounceResponse{})
	return b
}

func TestLostAnswersAreTimeouts(t *testing.T) {
	url := answerUDP(t, answering(func(n int, transaction uint32) []byte {
		if n%10 == 0 {
			return nil
		}
		return goodAnswer(transaction, 1)
	}))
	o := few()
	o.Fill, o.Announces, o.Timeout = false, 200, 200*time.Millisecond
	r := mustRun(t, o, url).Results[0].Rounds[0]
	// On a machine that stalls more answers may come too late, and then count as both.
	if r.Sent != 200 || r.Timeouts < 20 || r.Announces+r.Timeouts != 200 || r.Errors != 0 || r.Late > r.Timeouts-20 {
		t.Errorf("%+v, want 20 of 200 lost", r)
	}
}

func TestFillAnnouncesAgainWhatWasLost(t *testing.T) {
	url := answerUDP(t, answering(func(n int, transaction uint32) []byte {
		if n <= 20 {
			return nil
		}
		return goodAnswer(transaction, 0)
	}))
	o := few()
	o.Distribution.Peers, o.Announces, o.Timeout = 300, 1, 200*time.Millisecond
	f := mustRun(t, o, url).Results[0].Fill
	if f.Announces != 300 || f.Timeouts < 20 {
		t.Errorf("%+v, want each of 300 peers answered, and 20 losses or more", f)
	}
}

func TestWrongAnswersAreErrorsThatSayWhatIsWrong(t *testing.T) {
	for want, answer := range map[string]func(transaction uint32) []byte{
		"announce: who are you?":                             func(tr uint32) []byte { return bittorrent.AppendUDPError(nil, tr, "who are you?") },
		"announce: " + bittorrent.ErrUDPResponseKind.Error(): func(tr uint32) []byte { return bittorrent.AppendUDPConnectResponse(nil, tr, 1) },
		"announce: " + bittorrent.ErrUDPShort.Error():        func(tr uint32) []byte { return goodAnswer(tr, 0)[:19] },
		"announce: " + bittorrent.ErrUDPPeers.Error():        func(tr uint32) []byte { return goodAnswer(tr, 1)[:25] },
		"announce: 31 peers in an answer where 30 were wanted": func(tr uint32) []byte {
			return goodAnswer(tr, 31)
		},
	} {
		url := answerUDP(t, answering(func(_ int, transaction uint32) []byte { return answer(transaction) }))
		o := few()
		o.Fill, o.Announces = false, 100
		r := mustRun(t, o, url).Results[0].Rounds[0]
		if r.Errors != 100 || r.Announces != 0 || r.Failures[want] != 100 {
			t.Errorf("want 100 times %q: %+v", want, r)
		}
	}
}

func TestAnswersToNothingAreNotCountedAsAnswers(t *testing.T) {
	url := answerUDP(t, answering(func(n int, transaction uint32) []byte {
		if n%2 == 0 {
			return goodAnswer(transaction+1<<16, 0) // of a request that was never made
		}
		return goodAnswer(transaction, 0)
	}))
	o := few()
	o.Fill, o.Announces, o.Timeout = false, 100, 200*time.Millisecond
	r := mustRun(t, o, url).Results[0].Rounds[0]
	if r.Late < 50 || r.Timeouts < 50 || r.Announces+r.Timeouts != 100 {
		t.Errorf("%+v, want 50 answers to nothing", r)
	}
}

// answerHTTP serves each connection with a function.
func answerHTTP(t *testing.T, handle func(net.Conn)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			handle(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return "http://" + l.Addr().String() + "/announce"
}

// request reads a request, and tells whether there was one.
func request(conn net.Conn) bool {
	var got []byte
	for buf := make([]byte, 4096); !bytes.Contains(got, []byte("\r\n\r\n")); {
		n, err := conn.Read(buf)
		if err != nil {
			return false
		}
		got = append(got, buf[:n]...)
	}
	return bytes.HasPrefix(got, []byte("GET /announce?info_hash="))
}

func TestServerThatClosesIsConnectedToAgain(t *testing.T) {
	for name, answer := range map[string]string{
		"without saying so": "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nd5:peers0:e",
		"having said so":    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\nd5:peers0:e",
		"of HTTP/1.0":       "HTTP/1.0 200 OK\r\n\r\nd5:peers0:e",
	} {
		t.Run(name, func(t *testing.T) {
			url := answerHTTP(t, func(conn net.Conn) {
				if request(conn) {
					_, _ = conn.Write([]byte(answer))
				}
			})
			o := few()
			o.Announces, o.Fill, o.Connections = 200, false, 4
			wantAnswered(t, &mustRun(t, o, url).Results[0].Rounds[0], 200)
		})
	}
}

func TestHTTPErrorsSayWhatIsWrong(t *testing.T) {
	for want, answer := range map[string]string{
		"announce: not today":                          "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nd14:failure reason9:not todaye",
		"status 503":                                   "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
		errText("announce", "x"):                       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
		"an answer that is not HTTP":                   "SSH-2.0\r\n\r\n",
		"the connection ended before the answer":       "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nd",
		"an answer that nobody asked for":              "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nd5:peers0:eHTTP/1.1 200 OK\r\n",
		"a chunked answer, which trackers do not send": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		url := answerHTTP(t, func(conn net.Conn) {
			if request(conn) {
				_, _ = conn.Write([]byte(answer))
			}
		})
		o := few()
		o.Announces, o.Fill, o.Sockets, o.Connections, o.Connection = 20, false, 1, 1, bench.OneAnnounce
		r := mustRun(t, o, url).Results[0].Rounds[0]
		if r.Failures[want] == 0 || r.Sent != r.Announces+r.Errors {
			t.Errorf("want %q: %+v", want, r)
		}
	}
}

// errText is the error of a body that is no answer.
func errText(kind, body string) string {
	return kind + ": " + bittorrent.ParseHTTPAnnounceResponse([]byte(body), new(bittorrent.AnnounceResponse)).Error()
}

func TestInterruptionKeepsTheFiguresSoFar(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var announces atomic.Int64
	url := answerUDP(t, answering(func(_ int, transaction uint32) []byte {
		if announces.Add(1) == 500 {
			cancel()
		}
		return goodAnswer(transaction, 0)
	}))
	o := few()
	o.Fill, o.Announces, o.Rounds = false, 1<<40, 5
	r, err := bench.Run(ctx, []bench.Target{{URL: url}}, o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || len(r.Results[0].Rounds) != 1 || r.Results[0].Rounds[0].Announces < 500 {
		t.Errorf("%+v", r)
	}
}

func TestNoTrackerIsSaid(t *testing.T) {
	nobody := freeport.Address(t)
	mute := answerUDP(t, func([]byte) []byte { return nil })
	banned := answerUDP(t, func(packet []byte) []byte {
		h, _ := bittorrent.ParseUDPHeader(packet)
		return bittorrent.AppendUDPError(nil, h.TransactionID, "you are banned")
	})
	for url, want := range map[string]string{
		"udp://" + nobody:  "refused",
		"http://" + nobody: "refused",
		mute:               "is it running?",
		banned:             "you are banned",
	} {
		o := few()
		o.Timeout = 50 * time.Millisecond
		r, err := bench.Run(t.Context(), []bench.Target{{URL: url}}, o)
		var nobody bench.NoTrackerError
		if r != nil || !errors.As(err, &nobody) || nobody.URL != url || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want an error with %q", url, r, err, want)
		}
	}
}

func TestWhatCannotBeLoadedIsRefused(t *testing.T) {
	s := serve(t, "127.0.0.1")
	for want, targets := range map[string][]bench.Target{
		"one or two":               nil,
		`"wss://a:1" is not a URL`: {{URL: "wss://a:1"}},
		`"http://%zz" is not a`:    {{URL: "http://%zz"}},
		"names no port":            {{URL: "udp://127.0.0.1"}},
		"--remote":                 {{URL: "udp://192.0.2.1:6969"}},
		"one protocol":             {{URL: s.udp}, {URL: s.http}},
	} {
		if _, err := bench.Run(t.Context(), targets, few()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", targets, err, want)
		}
	}
	for want, change := range map[string]func(*bench.Options){
		"duration":    func(o *bench.Options) { o.Announces = 0 },
		"negative":    func(o *bench.Options) { o.Timeout = -1 },
		"a rate":      func(o *bench.Options) { o.Rate = -1 },
		"churn":       func(o *bench.Options) { o.Churn = 2 },
		"workers":     func(o *bench.Options) { o.Workers = -1 },
		"window":      func(o *bench.Options) { o.Window = 1 << 20 },
		"peers":       func(o *bench.Options) { o.Distribution.Peers = 0 },
		"one address": func(o *bench.Options) { o.Distribution.Peers, o.Distribution.Torrents = 100_000, 1 },
	} {
		o := few()
		change(&o)
		if _, err := bench.Run(t.Context(), []bench.Target{{URL: "udp://[::1]:1"}}, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	o := few()
	o.Churn = 0.1
	if _, err := bench.Run(t.Context(), []bench.Target{{URL: s.udp}, {URL: s.udp}}, o); err == nil || !strings.Contains(err.Error(), "churn") {
		t.Errorf("churn of two: %v", err)
	}
}

func TestProcessThatIsNotThereIsSaid(t *testing.T) {
	s := serve(t, "127.0.0.1")
	if _, err := bench.Run(t.Context(), []bench.Target{{URL: s.udp, PID: 1 << 30}}, few()); err == nil || !strings.Contains(err.Error(), "process") {
		t.Errorf("%v, want an error that names the process", err)
	}
}
