package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"go.uber.org/goleak"

	"waggle/bittorrent"
	frontend "waggle/frontend/http"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within is how long a test waits for what must happen.
const within = 2 * time.Minute

// world is a tracker with a frontend for HTTP and this one for browsers.
type world struct {
	*Server
	t       *testing.T
	tracker *tracker.Tracker
	swarms  *Swarms
	handler http.Handler
	dial    func() (net.Conn, error)
}

// setting is what a test wants otherwise than usual.
type setting struct {
	options  Options
	settings tracker.Settings
	tracker  tracker.Options
	trusted  []netip.Prefix
	most     int // peers
}

// serve begins to serve, over TCP or TLS.
func serve(t *testing.T, secure bool, change func(*setting)) *world {
	t.Helper()
	o := setting{settings: tracker.Settings{
		Interval: time.Hour, MinInterval: time.Minute, BrowserInterval: 100 * time.Second, PassiveInterval: 10 * time.Second,
		PeerLifetime: 2 * time.Hour, NumWant: 50, MaxNumWant: 200,
	}}
	if change != nil {
		change(&o)
	}
	w := &world{t: t, swarms: NewSwarms(o.most, [2]uint64{3, 4}, time.Now())}
	o.tracker.Browsers = w.swarms
	w.tracker = tracker.New(memory.New(memory.Options{Details: true}), o.settings, o.tracker)
	o.options.Tracker, o.options.Swarms = w.tracker, w.swarms
	var err error
	if w.Server, err = New(o.options); err != nil {
		t.Fatal(err)
	}
	h, err := frontend.Listen(t.Context(), []string{"127.0.0.1:0"}, o.trusted, frontend.Options{Tracker: w.tracker, WebSocket: w.Server, MaxConnections: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.Close(), w.Close()); err != nil {
			t.Error(err)
		}
	})
	w.handler = h.Handler()
	w.dial = func() (net.Conn, error) { return net.Dial("tcp", h.Addrs()[0].String()) }
	if secure {
		over := httptest.NewTLSServer(w.handler)
		t.Cleanup(over.Close)
		config := over.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		config.NextProtos = nil
		w.dial = func() (net.Conn, error) { return tls.Dial("tcp", over.Listener.Addr().String(), config) }
	}
	return w
}

// both runs a test over TCP, where connections have no goroutines, and over TLS, where
// they have.
func both(t *testing.T, change func(*setting), test func(*testing.T, *world)) {
	for name, secure := range map[string]bool{"TCP": false, "TLS": true} {
		t.Run(name, func(t *testing.T) { test(t, serve(t, secure, change)) })
	}
}

// browser is a client.
type browser struct {
	net.Conn
	t  *testing.T
	in io.Reader
	id bittorrent.PeerID
}

// connect returns a browser whose request has more headers.
func (w *world) connect(id bittorrent.PeerID, headers ...string) *browser {
	w.t.Helper()
	b, response := w.try(id, "/", headers...)
	if b == nil {
		w.t.Fatal(response)
	}
	return b
}

// try asks for a path. Where the answer is no, there is no browser.
func (w *world) try(id bittorrent.PeerID, path string, headers ...string) (b *browser, response string) {
	w.t.Helper()
	conn, err := w.dial()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(within))
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: tracker\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", path, strings.Join(append(headers, ""), "\r\n"))
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		_ = conn.Close() // or it would be one of HTTP's
		return nil, fmt.Sprintf("%d %s", answer.StatusCode, body)
	}
	return &browser{Conn: conn, t: w.t, in: in, id: id}, ""
}

// says sends fields, with those of every announce.
func (b *browser) says(h bittorrent.InfoHash, more ...any) {
	b.t.Helper()
	b.sends(text(with(map[string]any{"action": "announce", "info_hash": latin1(h[:]), "peer_id": latin1(b.id[:])}, more...)))
}

func (b *browser) sends(message string) {
	b.t.Helper()
	if err := wsutil.WriteClientText(b, []byte(message)); err != nil {
		b.t.Fatal(err)
	}
}

// hears returns the next message.
func (b *browser) hears() map[string]any {
	b.t.Helper()
	data, err := wsutil.ReadServerText(readWriter{b.in, b})
	if err != nil {
		b.t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		b.t.Fatalf("%v: %q", err, data)
	}
	return fields
}

// isClosed returns the code that the connection is closed with, after at most so much
// else; 0: it breaks.
func (b *browser) isClosed() ws.StatusCode {
	b.t.Helper()
	for {
		_, err := wsutil.ReadServerText(readWriter{b.in, b})
		if err == nil {
			continue
		}
		if closed, ok := errors.AsType[wsutil.ClosedError](err); ok {
			return closed.Code
		}
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			b.t.Fatal("the connection stays open")
		}
		return 0
	}
}

type readWriter struct {
	io.Reader
	io.Writer
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func offerOf(sdp string) map[string]any {
	return map[string]any{"offer": map[string]any{"type": "offer", "sdp": sdp}, "offer_id": fmt.Sprintf("id of %.20s", sdp)}
}

func TestTwoBrowsersFindEachOther(t *testing.T) {
	both(t, nil, func(t *testing.T, w *world) {
		a, b := w.connect(peerID(1)), w.connect(peerID(2))
		a.says(hash, "event", "started", "left", 9, "offers", []any{offerOf("to nobody")})
		if got := a.hears(); got["complete"] != 0.0 || got["incomplete"] != 1.0 || got["info_hash"] != latin1(hash[:]) || got["action"] != "announce" {
			t.Errorf("the first hears %v", got)
		} else if i := got["interval"].(float64); i < 90 || i > 110 {
			t.Errorf("the interval is %v, want 100 s or a tenth less or more", i)
		}
		b.says(hash, "event", "started", "left", 0, "offers", []any{offerOf("v=0\r\nä\"")})
		if got := b.hears(); got["complete"] != 1.0 || got["incomplete"] != 1.0 {
			t.Errorf("the second hears %v", got)
		}
		want := map[string]any{
			"action": "announce", "info_hash": latin1(hash[:]), "peer_id": latin1(b.id[:]),
			"offer": map[string]any{"type": "offer", "sdp": "v=0\r\nä\""}, "offer_id": "id of v=0\r\nä\"",
		}
		if got := a.hears(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("offered is %v, want %v", got, want)
		}
		a.says(hash, "to_peer_id", latin1(b.id[:]), "answer", map[string]any{"type": "answer", "sdp": "w"}, "offer_id", "x")
		want = map[string]any{
			"action": "announce", "info_hash": latin1(hash[:]), "peer_id": latin1(a.id[:]),
			"answer": map[string]any{"type": "answer", "sdp": "w"}, "offer_id": "x",
		}
		if got := b.hears(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("answered is %v, want %v", got, want)
		}
		b.says(hash, "event", "stopped")
		if got := b.hears(); got["complete"] != 0.0 || got["incomplete"] != 1.0 {
			t.Errorf("after the stop: %v", got)
		}
		if f := w.Figures(); f.Offers != 1 || f.Answers != 1 || f.Announces != 3 || f.Messages != 4 || f.Sent != 5 || f.Failures != 0 {
			t.Errorf("figures %+v", f)
		}
	})
}

func TestOneSwarmsCountsHoldBrowsersAndOthers(t *testing.T) {
	both(t, nil, func(t *testing.T, w *world) {
		a := swarm.Announce{From: netip.MustParseAddr("192.0.2.1"), Now: w.tracker.Now(), Families: swarm.IPv4}
		a.InfoHash, a.PeerID, a.Port, a.NumWant, a.Left = hash, peerID(7), 6881, 50, 0
		var r swarm.Reply
		if err := w.tracker.Announce(t.Context(), &a, &r); err != nil {
			t.Fatal(err)
		}
		b := w.connect(peerID(1))
		b.says(hash, "event", "started", "left", 9, "offers", []any{offerOf("x")})
		if got := b.hears(); got["complete"] != 1.0 || got["incomplete"] != 1.0 {
			t.Errorf("the browser hears %v", got)
		}
		r.Reset()
		a.Left = 5
		if err := w.tracker.Announce(t.Context(), &a, &r); err != nil || r.Incomplete != 2 || r.Complete != 0 || r.Peers.Len() != 0 {
			t.Errorf("%v: the other hears of %d and %d, and is told of %d peers", err, r.Complete, r.Incomplete, r.Peers.Len())
		}
		b.sends(text(map[string]any{"action": "scrape", "info_hash": latin1(hash[:])}))
		files := b.hears()["files"].(map[string]any)
		if got := fmt.Sprint(files[latin1(hash[:])]); got != "map[complete:0 downloaded:0 incomplete:2]" {
			t.Errorf("a scrape is %v", files)
		}
		counts := make([]bittorrent.ScrapeCounts, 1)
		if err := w.tracker.Scrape(t.Context(), []bittorrent.InfoHash{hash}, counts); err != nil || counts[0].Incomplete != 2 || counts[0].Downloaders != 2 {
			t.Errorf("%v: %+v", err, counts)
		}
	})
}

func TestWhoCompletesIsASeeder(t *testing.T) {
	both(t, nil, func(t *testing.T, w *world) {
		b := w.connect(peerID(1))
		b.says(hash, "event", "started")
		b.hears()
		b.says(hash, "event", "completed") // as npm's client does, which need not know what is left
		if got := b.hears(); got["complete"] != 1.0 || got["incomplete"] != 0.0 {
			t.Errorf("hears %v", got)
		}
	})
}

func TestConnectionThatEndsTakesItsPeersAlong(t *testing.T) {
	both(t, nil, func(t *testing.T, w *world) {
		b := w.connect(peerID(1))
		for i := range 20 {
			b.says(infoHash(i), "event", "started")
			b.hears()
		}
		if n := w.swarms.Totals().Peers; n != 20 {
			t.Fatalf("%d peers", n)
		}
		_ = b.Close()
		eventually(t, "the peers stay", func() bool { return w.swarms.Totals() == swarm.Totals{} && w.Figures().Open == 0 })
	})
}

func TestWhatIsWrongIsToldWithItsTorrent(t *testing.T) {
	both(t, nil, func(t *testing.T, w *world) {
		b := w.connect(peerID(1))
		for in, want := range map[string]map[string]any{
			`{"action":"connect"}`: {"action": "announce", "failure reason": errAction.Error()},
			`{`:                    {"action": "announce", "failure reason": errJSON.Error()},
			`{"action":"scrape"}`:  {"action": "scrape", "failure reason": bittorrent.ErrScrapeEmpty.Error()},
			text(with(plainAnnounce, "peer_id", "me")): {"action": "announce", "info_hash": latin1(hash[:]), "failure reason": errPeerID.Error()},
		} {
			b.sends(in)
			if got := b.hears(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v", in, got, want)
			}
		}
	})
}

func TestClientThatKnowsNothingButMistakesIsHungUpOn(t *testing.T) {
	both(t, nil, func(t *testing.T, w *world) {
		b := w.connect(peerID(1))
		for range maxRefused - 1 {
			b.sends("{}")
			b.hears()
		}
		b.says(hash)
		b.hears()
		for range maxRefused {
			b.sends("{}")
		}
		if code := b.isClosed(); code != ws.StatusPolicyViolation {
			t.Errorf("closed with %d", code)
		}
		_ = b.Close()
		eventually(t, "the connection stays", func() bool { return w.Figures().Open == 0 })
	})
}

func TestFramesThatBreakTheRulesEndTheConnection(t *testing.T) {
	long := bytes.Repeat([]byte("x"), maxMessage+1)
	for name, tt := range map[string]struct {
		frame ws.Frame
		want  ws.StatusCode
	}{
		"a message of more than 64 KiB":            {ws.MaskFrame(ws.NewTextFrame(long)), ws.StatusMessageTooBig},
		"an unmasked frame":                        {ws.NewTextFrame([]byte("{}")), ws.StatusProtocolError},
		"a reserved bit":                           {ws.MaskFrame(ws.Frame{Header: ws.Header{Fin: true, Rsv: ws.Rsv(true, false, false), OpCode: ws.OpText}}), ws.StatusProtocolError},
		"a reserved code":                          {ws.MaskFrame(ws.NewFrame(3, true, nil)), ws.StatusProtocolError},
		"a continuation of nothing":                {ws.MaskFrame(ws.NewFrame(ws.OpContinuation, true, nil)), ws.StatusProtocolError},
		"a ping in two":                            {ws.MaskFrame(ws.NewFrame(ws.OpPing, false, nil)), ws.StatusProtocolError},
		"a long ping":                              {ws.MaskFrame(ws.NewFrame(ws.OpPing, true, long[:126])), ws.StatusProtocolError},
		"a close without half of its code":         {ws.MaskFrame(ws.NewCloseFrame([]byte{3})), ws.StatusProtocolError},
		"a close with a code that nobody may send": {ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusAbnormalClosure, ""))), ws.StatusProtocolError},
		"a length below zero":                      {ws.Frame{Header: ws.Header{Fin: true, OpCode: ws.OpText, Masked: true, Length: 1<<63 - 1}}, ws.StatusMessageTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, nil, func(t *testing.T, w *world) {
				b := w.connect(peerID(1))
				_ = ws.WriteFrame(b, tt.frame) // the end of a long one is not taken any more
				if code := b.isClosed(); code != tt.want {
					t.Errorf("closed with %d, want %d", code, tt.want)
				}
				_ = b.Close()
				eventually(t, "the connection stays", func() bool { f := w.Figures(); return f.Open == 0 && f.Memory == 0 && f.HungUp == 1 })
			})
		})
	}
}

func TestMessageMayComeInFramesAndInBytes(t *testing.T) {
	both(t, nil, func(t *testing.T, w *world) {
		b := w.connect(peerID(1))
		message := []byte(text(plainAnnounce))
		var raw bytes.Buffer
		for i, part := range [][]byte{message[:7], {}, message[7:20], message[20:]} {
			frame := ws.NewFrame(ws.OpContinuation, i == 3, bytes.Clone(part))
			if i == 0 {
				frame.Header.OpCode = ws.OpText
			}
			_ = ws.WriteFrame(&raw, ws.MaskFrame(frame))
			_ = ws.WriteFrame(&raw, ws.MaskFrame(ws.NewPingFrame([]byte{byte(i)})))
		}
		for _, c := range raw.Bytes() {
			if _, err := b.Write([]byte{c}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 { // wsutil passes over the last
			if h, err := ws.ReadHeader(b.in); err != nil || h.OpCode != ws.OpPong || h.Length != 1 {
				t.Fatalf("%v, %+v", err, h)
			}
			if pong, err := b.in.(*bufio.Reader).ReadByte(); err != nil || pong != byte(i) {
				t.Fatalf("%v, %d", err, pong)
			}
		}
		if got := b.hears(); got["incomplete"] != 1.0 {
			t.Errorf("hears %v", got)
		}
		eventually(t, "something is kept", func() bool { return w.Figures().Memory == 0 })
	})
}

func TestBinaryMessagesAreAsTexts(t *testing.T) {
	both(t, nil, func(t *testing.T, w *world) {
		b := w.connect(peerID(1))
		if err := wsutil.WriteClientBinary(b, []byte(text(plainAnnounce))); err != nil {
			t.Fatal(err)
		}
		if got := b.hears(); got["incomplete"] != 1.0 {
			t.Errorf("hears %v", got)
		}
	})
}

func TestManyMessagesInOnePacketAreAllAnswered(t *testing.T) {
	both(t, nil, func(t *testing.T, w *world) {
		b := w.connect(peerID(1))
		var raw bytes.Buffer
		for i := range 500 {
			m := text(with(plainAnnounce, "info_hash", latin1(infoHashBytes(i)), "offers", []any{offerOf(strings.Repeat("s", i))}))
			_ = ws.WriteFrame(&raw, ws.MaskFrame(ws.NewTextFrame([]byte(m))))
		}
		go func() { _, _ = b.Write(raw.Bytes()) }()
		for i := range 500 {
			if got := b.hears(); got["info_hash"] != latin1(infoHashBytes(i)) {
				t.Fatalf("answer %d is %v", i, got)
			}
		}
	})
}

func infoHashBytes(n int) []byte { h := infoHash(n); return h[:] }

func TestCloseIsAnswered(t *testing.T) {
	both(t, nil, func(t *testing.T, w *world) {
		b := w.connect(peerID(1))
		_ = ws.WriteFrame(b, ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "bye"))))
		if code := b.isClosed(); code != ws.StatusNormalClosure {
			t.Errorf("closed with %d", code)
		}
		if _, err := b.in.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the server does not hang up: %v", err)
		}
	})
}

func TestWhoDoesNotReadIsCutOffAndHoldsUpNobody(t *testing.T) {
	both(t, nil, func(t *testing.T, w *world) {
		deaf, busy := w.connect(peerID(1)), w.connect(peerID(2))
		deaf.says(hash, "event", "started")
		deaf.hears()
		sdp := strings.Repeat("s", 50<<10)
		for n := 0; w.Figures().Undelivered == 0; n++ {
			if n > 10_000 {
				t.Fatal("offers without end are kept")
			}
			busy.says(hash, "offers", []any{offerOf(sdp)})
			busy.hears()
		}
		if f := w.Figures(); f.Open != 2 || f.Slow != 0 {
			t.Errorf("others have it cut off by what they send: %+v", f)
		}
		eventually(t, "it is not the deaf one alone that is waited for", func() bool {
			n := 0
			for _, c := range w.all() {
				if c.deaf.Load() > 0 {
					n++
				}
			}
			return n == 1
		})
		w.tendOnce(w.seconds() + uint32(patience/time.Second) + 1)
		if n := w.Figures().Slow; n != 1 {
			t.Errorf("%d are cut off, want the deaf one", n)
		}
		eventually(t, "the deaf one stays", func() bool { f := w.Figures(); return f.Open == 1 && f.Memory == 0 })
		busy.says(hash)
		if got := busy.hears(); got["incomplete"] != 1.0 {
			t.Errorf("hears %v", got)
		}
	})
}

func TestMemoryOfMessagesIsBounded(t *testing.T) {
	both(t, func(o *setting) { o.options.MaxMemory = 100 << 10 }, func(t *testing.T, w *world) {
		var all []*browser
		for i := range 3 { // each begins a message and does not end it
			b := w.connect(peerID(i))
			frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame(make([]byte, 40<<10))))
			if _, err := b.Write(frame[:len(frame)-1]); err != nil {
				t.Fatal(err)
			}
			all = append(all, b)
			if i < 2 {
				want := int64(i+1) * int64(len(frame))
				eventually(t, "what is there of a message is not kept", func() bool { return w.Figures().Memory == want })
			}
		}
		eventually(t, "more is kept than may be", func() bool { return w.Figures().HungUp+w.Figures().Slow > 0 })
		_ = all[0].Close()
		_ = all[1].Close()
		_ = all[2].Close()
		eventually(t, "memory is not given back", func() bool { return w.Figures().Memory == 0 && w.Figures().Open == 0 })
	})
}

func TestTimesOfClientsAreBounded(t *testing.T) {
	both(t, nil, func(t *testing.T, w *world) {
		slow, silent, there := w.connect(peerID(1)), w.connect(peerID(2)), w.connect(peerID(3))
		if _, err := slow.Write([]byte{0x81}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a part of a frame is not noticed", func() bool {
			for _, c := range w.all() {
				if c.late.Load() > 0 {
					return true
				}
			}
			return false
		})
		for _, c := range w.all() {
			eventually(t, "a connection does not begin", func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return c.state == open
			})
		}
		now := w.seconds()
		w.tendOnce(now + uint32(patience/time.Second) - 1)
		if w.Figures().Slow != 0 {
			t.Error("cut off too early")
		}
		w.tendOnce(now + uint32(patience/time.Second) + 2)
		if code := slow.isClosed(); code != 0 || w.Figures().Slow != 1 {
			t.Errorf("the slow one is closed with %d", code)
		}
		w.tendOnce(now + uint32(quiet/time.Second) + 2)
		for _, b := range []*browser{silent, there} {
			if h, err := ws.ReadHeader(b.in); err != nil || h.OpCode != ws.OpPing {
				t.Fatalf("%v, %+v: want a ping", err, h)
			}
		}
		for _, c := range w.all() { // as if they were connected for long
			c.heard.Store(0)
		}
		if err := ws.WriteFrame(there, ws.MaskFrame(ws.NewPongFrame(nil))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a pong is not heard", func() bool {
			for _, c := range w.all() {
				if c.heard.Load() > 0 {
					return true
				}
			}
			return false
		})
		for _, c := range w.all() {
			if c.heard.Load() == 0 {
				c.heard.Store(1)
			} else {
				c.heard.Store(now + 1000)
			}
		}
		w.tendOnce(now + uint32(silence/time.Second) + 2)
		if code := silent.isClosed(); code != 0 || w.Figures().Silent != 1 {
			t.Errorf("the silent one is closed with %d", code)
		}
		there.says(hash)
		there.hears()
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	both(t, func(o *setting) { o.options.MaxConnections = 5 }, func(t *testing.T, w *world) {
		var all []*browser
		for i := range 5 { // of which HTTP has three at a time
			all = append(all, w.connect(peerID(i)))
		}
		if b, response := w.try(peerID(9), "/"); b != nil || !strings.HasPrefix(response, "503 ") {
			t.Errorf("the sixth hears %s", response)
		}
		_ = all[0].Close()
		eventually(t, "the place is not free", func() bool { return w.Figures().Open == 4 })
		w.connect(peerID(9))
		eventually(t, "connections are not counted", func() bool { f := w.Figures(); return f.Connections == 6 && f.Refused == 1 })
	})
}

func TestConnectionsOfAnAddressAreBounded(t *testing.T) {
	change := func(o *setting) {
		o.options.MaxPerAddress = 2
		o.trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		o.settings.Unlimited = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	}
	both(t, change, func(t *testing.T, w *world) {
		for i, tt := range []struct {
			from string
			in   bool
		}{
			{"192.0.2.1", true},
			{"192.0.2.1", true},
			{"192.0.2.1", false},
			{"192.0.2.2", true},
			{"2001:db8::1", true},
			{"2001:db8::2", true},
			{"2001:db8::ffff:3", false},
			{"2001:db8:0:1::1", true},
			{"198.51.100.1", true},
			{"198.51.100.1", true},
			{"198.51.100.1", true},
		} {
			b, response := w.try(peerID(i), "/", "X-Forwarded-For: "+tt.from)
			if (b != nil) != tt.in || b == nil && !strings.HasPrefix(response, "429 ") {
				t.Errorf("%d from %s: %v", i, tt.from, response)
			}
		}
	})
}

func TestRequestsOfAnAddressAreBounded(t *testing.T) {
	change := func(o *setting) {
		o.settings.AddressRate = 1
		o.trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		now := time.Now()
		o.tracker.Now = func() time.Time { return now }
	}
	both(t, change, func(t *testing.T, w *world) {
		b := w.connect(peerID(1), "X-Forwarded-For: 192.0.2.1")
		for range 10 {
			b.says(hash)
			if got := b.hears(); got["failure reason"] != nil {
				t.Fatalf("hears %v", got)
			}
		}
		b.says(hash, "event", "stopped")
		if got := b.hears(); got["failure reason"] == nil || got["retry in"] != 1.0 || got["info_hash"] != latin1(hash[:]) {
			t.Errorf("hears %v", got)
		}
		other := w.connect(peerID(2), "X-Forwarded-For: 192.0.2.2")
		other.says(hash)
		if got := other.hears(); got["incomplete"] != 2.0 {
			t.Errorf("another address hears %v", got)
		}
	})
}

func TestOriginsMayBeBounded(t *testing.T) {
	both(t, func(o *setting) { o.options.Origins = []string{"https://a.example", "http://b.example:8080"} }, func(t *testing.T, w *world) {
		for origin, in := range map[string]bool{
			"Origin: https://a.example": true, "Origin: HTTP://B.example:8080": true, "Referer: x": true,
			"Origin: https://a.example:444": false, "Origin: null": false, "Origin: https://a.example.evil": false,
		} {
			b, response := w.try(peerID(1), "/", origin)
			if (b != nil) != in || b == nil && !strings.HasPrefix(response, "403 ") {
				t.Errorf("%s: %s", origin, response)
			}
		}
		w.Allow(nil)
		w.connect(peerID(1), "Origin: null")
	})
}

func TestTokenLongerThanAnyIsRefused(t *testing.T) {
	both(t, nil, func(_ *testing.T, w *world) {
		if b, response := w.try(peerID(1), "/?jwt="+strings.Repeat("j", maxToken+1)); b != nil || !strings.HasPrefix(response, "414 ") {
			w.t.Errorf("answered is %s", response)
		}
	})
}

func TestWhatIsNoUpgradeIsForHTTP(t *testing.T) {
	w := serve(t, false, nil)
	conn, err := w.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n")
	if answer, _ := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK") {
		t.Errorf("answered is %q", answer)
	}
	for headers, want := range map[string]string{
		"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8": "426 ",
		"Connection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13":                       "400 ",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13":                       "400 ",
	} {
		conn, err := w.dial()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n%s\r\n\r\n", headers)
		if answer, _ := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 "+want) {
			t.Errorf("%s: answered is %q, want %s", headers, answer, want)
		}
		_ = conn.Close()
	}
	if f := w.Figures(); f.Open != 0 {
		t.Errorf("%d are open", f.Open)
	}
}

// doorFunc is a door of one function.
type doorFunc func(*swarm.Announce) error

func (f doorFunc) Enter(a *swarm.Announce) error { return f(a) }

func TestDoorsSeeWhatTheClientHasShown(t *testing.T) {
	seen := make(chan swarm.Credentials, 1)
	both(t, func(o *setting) {
		o.tracker.Doors = []tracker.Door{doorFunc(func(a *swarm.Announce) error {
			seen <- swarm.Credentials{Passkey: strings.Clone(a.Credentials.Passkey), Token: a.Credentials.Token, Agent: a.Credentials.Agent}
			return bittorrent.Error("not you")
		})}
	}, func(t *testing.T, w *world) {
		for path, want := range map[string]swarm.Credentials{
			"/":                              {Agent: "Firefox"},
			"/announce":                      {Agent: "Firefox"},
			"/0123456789abcdef/announce":     {Passkey: "0123456789abcdef", Agent: "Firefox"},
			"/announce/0123456789abcdef":     {Passkey: "0123456789abcdef", Agent: "Firefox"},
			"/0123456789abcdef":              {Agent: "Firefox"}, // as over HTTP and UDP: any path that is no announce's
			"/ws":                            {Agent: "Firefox"},
			"/a/b/announce":                  {Agent: "Firefox"},
			"/announce?jwt=a.b.c&info_hash=": {Token: "a.b.c", Agent: "Firefox"},
		} {
			b, response := w.try(peerID(1), path, "User-Agent: Firefox")
			if b == nil {
				t.Fatal(response)
			}
			b.says(hash, "event", "started")
			if got := <-seen; got != want {
				t.Errorf("%s: %+v, want %+v", path, got, want)
			}
			if got := b.hears(); got["failure reason"] != "not you" {
				t.Errorf("hears %v", got)
			}
		}
		if n := w.swarms.Totals().Peers; n != 0 {
			t.Errorf("%d are recorded", n)
		}
	})
}

func TestWhoMayNotAnnounceAnyMoreIsToldToNobody(t *testing.T) {
	var revoked atomic.Bool
	both(t, func(o *setting) {
		revoked.Store(false)
		o.tracker.Doors = []tracker.Door{doorFunc(func(a *swarm.Announce) error {
			if revoked.Load() && a.PeerID == peerID(1) {
				return bittorrent.Error("not you")
			}
			return nil
		})}
	}, func(t *testing.T, w *world) {
		a, b := w.connect(peerID(1)), w.connect(peerID(2))
		for _, b := range []*browser{a, b} {
			b.says(hash, "event", "started")
			b.hears()
		}
		revoked.Store(true)
		a.says(hash)
		if got := a.hears(); got["failure reason"] != "not you" {
			t.Errorf("hears %v", got)
		}
		b.says(hash, "offers", []any{offerOf("x")})
		if got := b.hears(); got["incomplete"] != 1.0 {
			t.Errorf("the other one hears %v", got)
		}
		a.says(hash, "to_peer_id", latin1(b.id[:]), "answer", map[string]any{}, "offer_id", "x")
		eventually(t, "an answer of who may not announce is not dropped", func() bool { return w.Figures().Undelivered == 1 })
		if f := w.Figures(); f.Offers+f.Answers != 0 {
			t.Errorf("figures %+v", f)
		}
	})
}

// scrapeDoor is a door of one function that scrapes come by too.
type scrapeDoor func(*swarm.Credentials) error

func (f scrapeDoor) Enter(a *swarm.Announce) error                       { return f(&a.Credentials) }
func (f scrapeDoor) EnterScrape(c *swarm.Credentials, _ time.Time) error { return f(c) }

func TestScrapeComesByTheSameDoorsAsOverHTTP(t *testing.T) {
	both(t, func(o *setting) {
		o.tracker.Doors = []tracker.Door{scrapeDoor(func(c *swarm.Credentials) error {
			if c.Passkey != "0123456789abcdef" {
				return bittorrent.Error("not you")
			}
			return nil
		})}
	}, func(t *testing.T, w *world) {
		for path, refused := range map[string]bool{"/announce": true, "/0123456789abcdef/announce": false} {
			b, response := w.try(peerID(1), path)
			if b == nil {
				t.Fatal(response)
			}
			b.sends(text(map[string]any{"action": "scrape", "info_hash": latin1(hash[:])}))
			if got := b.hears(); (got["failure reason"] == "not you") != refused || (got["files"] == nil) != refused {
				t.Errorf("%s: %v", path, got)
			}
		}
	})
}

func TestTorrentThatIsNotServedHasNoBrowsers(t *testing.T) {
	both(t, nil, func(t *testing.T, w *world) {
		a, b := w.connect(peerID(1)), w.connect(peerID(2))
		for _, b := range []*browser{a, b} {
			b.says(hash, "event", "started")
			b.hears()
		}
		s := tracker.Settings{Interval: time.Hour, PassiveInterval: 10 * time.Second, NumWant: 50, MaxNumWant: 50, Listed: true}
		w.tracker.Apply(s)
		a.says(hash, "offers", []any{offerOf("x")})
		if got := a.hears(); got["warning message"] != tracker.WarnPassive || got["incomplete"] != 0.0 || got["interval"].(float64) > 11 {
			t.Errorf("hears %v", got)
		}
		s.Listed, s.Denied = false, tracker.Denied{hash: {}}
		w.tracker.Apply(s)
		b.says(hash, "to_peer_id", latin1(a.id[:]), "answer", map[string]any{}, "offer_id", "x") // to nobody
		b.says(hash, "offers", []any{offerOf("x")})
		if got := b.hears(); got["failure reason"] != string(tracker.ErrDenied) {
			t.Errorf("hears %v", got)
		}
		if n := w.swarms.Totals().Peers; n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

func TestCloseSaysGoodbyeAndWaitsForNobodyForLong(t *testing.T) {
	w := serve(t, false, nil)
	polite, rude := w.connect(peerID(1)), w.connect(peerID(2))
	for _, b := range []*browser{polite, rude} {
		b.says(hash, "event", "started")
		b.hears()
	}
	closed := make(chan error, 1)
	go func() { closed <- w.Close() }()
	if code := polite.isClosed(); code != ws.StatusGoingAway {
		t.Errorf("closed with %d", code)
	}
	_ = polite.Close()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(within):
		t.Fatal("it waits for ever")
	}
	if w.Figures().Open != 0 || w.swarms.Totals().Peers != 0 {
		t.Error("something is left")
	}
	if b, response := w.try(peerID(3), "/"); b != nil || !strings.HasPrefix(response, "503 ") {
		t.Errorf("afterwards: %s", response)
	}
}

func TestFaultOfWagglesIsToldAndLogged(t *testing.T) {
	var log bytes.Buffer
	w := serve(t, false, func(o *setting) {
		o.options.Log = slog.New(slog.NewTextHandler(&log, nil))
		o.tracker.Doors = []tracker.Door{doorFunc(func(*swarm.Announce) error { panic("at the disco") })}
	})
	b := w.connect(peerID(1))
	b.says(hash)
	if got := b.hears(); got["failure reason"] != string(errPanic) {
		t.Errorf("hears %v", got)
	}
	b.sends(text(map[string]any{"action": "scrape", "info_hash": latin1(hash[:])}))
	b.hears()
	if w.Figures().Panics != 1 || !strings.Contains(log.String(), "at the disco") {
		t.Errorf("logged is %s", log.String())
	}
}

// remote is a store that counts as one on a network.
type remote struct{ swarm.Store }

func (remote) Healthy() error { return nil }

func TestStoreOnANetworkHoldsUpNoOtherConnection(t *testing.T) {
	held := make(chan struct{})
	store := slowScrapes{remote{memory.New(memory.Options{})}, held}
	swarms := NewSwarms(0, [2]uint64{}, time.Now())
	tr := tracker.New(store, tracker.Settings{Interval: time.Minute, NumWant: 1, MaxNumWant: 1}, tracker.Options{Browsers: swarms})
	s, err := New(Options{Tracker: tr, Swarms: swarms})
	if err != nil {
		t.Fatal(err)
	}
	h, err := frontend.Listen(t.Context(), []string{"127.0.0.1:0"}, nil, frontend.Options{Tracker: tr, WebSocket: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = h.Close(), s.Close() })
	w := &world{Server: s, t: t, dial: func() (net.Conn, error) { return net.Dial("tcp", h.Addrs()[0].String()) }}
	for i := range 2 * runtime.GOMAXPROCS(0) {
		w.connect(peerID(i)).says(infoHash(1))
	}
	quick := w.connect(peerID(99))
	quick.sends("{}")
	quick.hears()
	close(held)
}

// slowScrapes holds scrapes up.
type slowScrapes struct {
	remote
	held chan struct{}
}

func (s slowScrapes) Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	<-s.held
	return s.remote.Scrape(ctx, hashes, counts)
}
