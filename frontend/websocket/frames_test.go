package websocket

import (
	"bytes"
	"testing"
	"time"
	"unique"

	"github.com/gobwas/ws"

	"waggle/store/memory"
	"waggle/tracker"
)

// paper is a stream that a test reads afterwards.
type paper struct {
	written bytes.Buffer
	cut     bool
}

func (p *paper) flush(c *conn) {
	p.written.Write(c.out.frames)
	c.wrote(len(c.out.frames))
}

func (p *paper) cutOff() { p.cut = true }

// onPaper returns a server without a network.
func onPaper(tb testing.TB) *Server {
	tb.Helper()
	swarms := NewSwarms(0, [2]uint64{1, 2}, noon)
	tr := tracker.New(memory.New(memory.Options{}), tracker.Settings{Interval: time.Minute, NumWant: 1, MaxNumWant: 50}, tracker.Options{
		Browsers: swarms, Now: func() time.Time { return noon }, Random: func() float64 { return 0.5 },
	})
	s, err := New(Options{Tracker: tr, Swarms: swarms, MaxTorrents: 10, MaxMemory: 1 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// conn returns a connection that writes to a stream.
func (s *Server) conn(tb testing.TB, to stream) *conn {
	tb.Helper()
	c := &conn{server: s, agent: unique.Make("")}
	if why := s.add(c); why != nil || !c.begin(to) {
		tb.Fatal(why)
	}
	return c
}

// hears returns what a new connection is answered that gets bytes, some at a time.
func (s *Server) hears(tb testing.TB, in []byte, atATime int) (answer []byte) {
	tb.Helper()
	p := new(paper)
	c := s.conn(tb, p)
	w := s.newWork()
	w.begin()
	for more := true; more && len(in) > 0; {
		n := min(atATime, len(in))
		if have := len(c.unread()); have > 0 {
			n = copy(c.unread()[have:cap(c.unread())], in[:n])
			more = c.receive(w, c.unread()[:have+n])
		} else {
			more = c.receive(w, bytes.Clone(in[:n]))
		}
		in = in[n:]
		w.end()
	}
	c.ended()
	if s.memory.used.Load() != 0 || s.options.Swarms.Totals().Peers != 0 {
		tb.Fatalf("%d bytes and %d peers are left", s.memory.used.Load(), s.options.Swarms.Totals().Peers)
	}
	return p.written.Bytes()
}

// FuzzFrames has what a client sends answered whole, and in parts, which must make no
// difference.
func FuzzFrames(f *testing.F) {
	message := []byte(text(with(plainAnnounce, "left", 5)))
	announce := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewTextFrame(message), [4]byte{1, 2, 3, 4}))
	ping := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewPingFrame([]byte("x")), [4]byte{5, 6, 7, 8}))
	first := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(ws.OpText, false, message[:9]), [4]byte{}))
	last := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(ws.OpContinuation, true, message[9:]), [4]byte{}))
	f.Add(bytes.Join([][]byte{announce, ping, first, ping, last}, nil), 3)
	f.Add(ws.MustCompileFrame(ws.MaskFrameWith(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye")), [4]byte{})), 1)
	f.Add([]byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, 13)
	f.Add([]byte{0x81, 0xfe, 0xff, 0xff, 1, 2, 3, 4}, 2)
	s := onPaper(f)
	f.Fuzz(func(t *testing.T, in []byte, atATime int) {
		if len(in) > 4*maxMessage {
			return // the buffers of real connections are smaller
		}
		whole := s.hears(t, in, max(1, len(in)))
		parts := s.hears(t, in, 1+min(max(atATime, 0), 100))
		if !bytes.Equal(whole, parts) {
			t.Fatalf("answered are %q, and in parts %q", whole, parts)
		}
	})
}

func TestWhoSendsOneMessageAfterTheOtherIsNotLate(t *testing.T) {
	s := onPaper(t)
	c := s.conn(t, new(paper))
	defer c.ended()
	w := s.newWork()
	w.begin()
	frame := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewTextFrame([]byte(text(plainAnnounce))), [4]byte{}))
	c.receive(w, frame[:9])
	const before = 12345
	c.late.Store(before)
	c.receive(w, append(bytes.Clone(frame), frame[:5]...))
	if late := c.late.Load(); late == before || late == 0 {
		t.Errorf("the next is owed since %d", late)
	}
	first := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(ws.OpText, false, nil), [4]byte{}))
	empty := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(ws.OpContinuation, false, nil), [4]byte{}))
	c.receive(w, append(append(bytes.Clone(frame), first...), empty...))
	c.late.Store(before)
	c.receive(w, bytes.Clone(empty))
	if c.late.Load() != before {
		t.Error("frames with nothing in them buy time")
	}
	w.end()
}

func TestAnsweringAllocatesNothing(t *testing.T) {
	s := onPaper(t)
	p, heard := new(paper), new(paper)
	c, other := s.conn(t, p), s.conn(t, heard)
	defer c.ended()
	defer other.ended()
	w := s.newWork()
	frame := func(message string) []byte {
		return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewTextFrame([]byte(message)), [4]byte{}))
	}
	in := frame(text(with(plainAnnounce, "left", 5, "offers", []any{offerOf("a"), offerOf("b")})))
	in = append(in, frame(text(with(plainAnnounce, "to_peer_id", latin1(infoPeer[:]), "answer", map[string]any{"sdp": "x"}, "offer_id", "y")))...)
	in = append(in, frame(text(map[string]any{"action": "scrape", "info_hash": latin1(hash[:])}))...)
	other.receive(w, frame(text(with(plainAnnounce, "peer_id", latin1(infoPeer[:])))))
	answer := func() {
		w.begin()
		if !c.receive(w, in) {
			t.Fatal("hung up")
		}
		w.end()
		if p.written.Len() == 0 || heard.written.Len() == 0 {
			t.Fatal("nothing is answered, or passed on")
		}
		p.written.Reset()
		heard.written.Reset()
	}
	answer()
	if n := testing.AllocsPerRun(100, answer); n > dropped {
		t.Errorf("%v allocations", n)
	}
	if f := s.Figures(); f.Offers != f.Answers || f.Undelivered != 0 || f.Failures != 0 {
		t.Errorf("figures %+v", f)
	}
}

var infoPeer = peerID(7)

// BenchmarkMessages has an announce with five offers answered, passed on to five others.
func BenchmarkMessages(b *testing.B) {
	s := onPaper(b)
	var conns []*conn
	for i := range 6 {
		c := s.conn(b, discarded{})
		defer c.ended()
		conns = append(conns, c)
		id := peerID(i)
		w := s.newWork()
		w.begin()
		c.receive(w, ws.MustCompileFrame(ws.MaskFrameWith(ws.NewTextFrame([]byte(text(with(plainAnnounce, "peer_id", latin1(id[:]))))), [4]byte{})))
		w.end()
	}
	var offers []any
	for range 5 {
		offers = append(offers, offerOf(string(bytes.Repeat([]byte("a=candidate:1 1 udp 2113937151 192.0.2.1 54321 typ host\r\n"), 20))))
	}
	id := peerID(0)
	message := []byte(text(with(plainAnnounce, "peer_id", latin1(id[:]), "left", 5, "offers", offers)))
	in := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewTextFrame(message), [4]byte{}))
	w := s.newWork()
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		w.begin()
		conns[0].receive(w, in)
		w.end()
	}
}

// discarded is a stream to nowhere.
type discarded struct{}

func (discarded) flush(c *conn) { c.wrote(len(c.out.frames)) }
func (discarded) cutOff()       {}
