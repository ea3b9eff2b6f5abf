package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"waggle/bench"
	"waggle/bench/population"
)

// meeting is a tracker that is only for browsers: it replies to announces, and relays.
type meeting struct {
	url   string
	reply func(hash string) string // to an announce; nil: a good one
	offer func(o *relayed)         // may change what is relayed; nil: nothing is

	lock     sync.Mutex
	browsers map[string]*member // by info hash and peer id
	counted  map[string]int     // messages that came, by what they are
}

// member is a browser that has announced. One message at a time is written to it.
type member struct {
	lock sync.Mutex
	conn net.Conn
	hash string
}

// message is what browsers send.
type message struct {
	Action   string          `json:"action"`
	InfoHash json.RawMessage `json:"info_hash"`
	PeerID   string          `json:"peer_id"`
	ToPeerID string          `json:"to_peer_id"`
	Event    string          `json:"event"`
	Left     *int64          `json:"left"`
	Offers   []struct {
		Offer   json.RawMessage `json:"offer"`
		OfferID string          `json:"offer_id"`
	} `json:"offers"`
	Answer  json.RawMessage `json:"answer"`
	OfferID string          `json:"offer_id"`
}

// relayed is what a tracker passes on.
type relayed struct {
	Action   string          `json:"action"`
	InfoHash string          `json:"info_hash"`
	PeerID   string          `json:"peer_id"`
	OfferID  string          `json:"offer_id"`
	Offer    json.RawMessage `json:"offer,omitempty"`
	Answer   json.RawMessage `json:"answer,omitempty"`
}

// meet starts a meeting, until the test ends.
func meet(t *testing.T, m *meeting) *meeting {
	t.Helper()
	m.browsers, m.counted = map[string]*member{}, map[string]int{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	var open sync.Map
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(conn, nil)
			serving.Go(func() {
				defer open.Delete(conn)
				defer func() { _ = conn.Close() }()
				if _, err := ws.Upgrade(conn); err != nil {
					return // looked whether anyone is here
				}
				m.serve(t, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		open.Range(func(conn, _ any) bool {
			_ = conn.(net.Conn).Close()
			return true
		})
		serving.Wait()
	})
	m.url = "ws://" + l.Addr().String() + "/some/path?with=query"
	return m
}

// serve reads what a browser says, until it goes.
func (m *meeting) serve(t *testing.T, conn net.Conn) {
	b := &member{conn: conn}
	for {
		data, _, err := wsutil.ReadClientData(conn)
		if err != nil {
			return
		}
		var in message
		if err := json.Unmarshal(data, &in); err != nil {
			t.Errorf("%v in %s", err, data)
			return
		}
		m.count(&in)
		switch {
		case in.Action == "scrape":
			err = b.write(`{"action":"scrape","files":{}}`)
		case in.Answer != nil:
			err = m.answer(&in)
		default:
			err = m.announce(b, &in)
		}
		if err != nil {
			t.Errorf("%v to %s", err, data)
			return
		}
	}
}

func (m *meeting) count(in *message) {
	m.lock.Lock()
	defer m.lock.Unlock()
	kind := in.Action
	if in.Answer != nil {
		kind = "answer"
	}
	m.counted[kind]++
	if in.Event != "" {
		m.counted[in.Event]++
	}
	if in.Left != nil && *in.Left == 0 {
		m.counted["seeder"]++
	}
}

func (m *meeting) announce(b *member, in *message) error {
	var hash string
	if err := json.Unmarshal(in.InfoHash, &hash); err != nil {
		return err
	}
	if n := len([]rune(hash)); n != 20 || len([]rune(in.PeerID)) != 20 {
		return fmt.Errorf("info hash and peer id of %d and %d characters", n, len([]rune(in.PeerID)))
	}
	m.lock.Lock()
	b.hash = hash
	m.browsers[hash+in.PeerID] = b
	var others []*member
	for _, other := range m.browsers {
		if other.hash == hash && other != b {
			others = append(others, other)
		}
	}
	m.lock.Unlock()
	reply := goodReply
	if m.reply != nil {
		reply = m.reply
	}
	if err := b.write(reply(string(in.InfoHash))); err != nil {
		return nil //nolint:nilerr // it has gone
	}
	for i := range min(len(others), len(in.Offers)) {
		o := &relayed{"announce", hash, in.PeerID, in.Offers[i].OfferID, in.Offers[i].Offer, nil}
		if m.offer != nil {
			m.offer(o)
		}
		others[i].relay(o)
	}
	return nil
}

// goodReply is the reply to an announce.
func goodReply(hash string) string {
	return `{"action":"announce","info_hash":` + hash + `,"complete":1,"incomplete":2,"interval":120}`
}

func (m *meeting) answer(in *message) error {
	var hash string
	if err := json.Unmarshal(in.InfoHash, &hash); err != nil {
		return err
	}
	m.lock.Lock()
	to := m.browsers[hash+in.ToPeerID]
	m.lock.Unlock()
	if to == nil {
		return errors.New("no such peer")
	}
	to.relay(&relayed{"announce", hash, in.PeerID, in.OfferID, nil, in.Answer})
	return nil
}

func (b *member) relay(r *relayed) {
	data, _ := json.Marshal(r) // which it was read from
	_ = b.write(string(data))  // it may have gone
}

func (b *member) write(text string) error {
	b.lock.Lock()
	defer b.lock.Unlock()
	return wsutil.WriteServerText(b.conn, []byte(text))
}

// got returns how many messages of a kind came.
func (m *meeting) got(kind string) int64 {
	m.lock.Lock()
	defer m.lock.Unlock()
	return int64(m.counted[kind])
}

// fewBrowsers returns a load that is soon over, and that no slow machine loses anything of.
func fewBrowsers() bench.Options {
	d := population.Even()
	d.Torrents, d.Peers = 5, 40
	return bench.Options{Distribution: d, Seed: 1, Fill: true, Announces: 100, Timeout: time.Minute}
}

func TestBrowsersAnnounceAndAnswerOffers(t *testing.T) {
	for name, change := range map[string]func(*bench.Options){
		"closed loop":     func(*bench.Options) {},
		"open loop":       func(o *bench.Options) { o.Rate = 5_000 },
		"several workers": func(o *bench.Options) { o.Workers, o.Sockets = 3, 2 },
		"one at a time":   func(o *bench.Options) { o.Window = 1 },
		"with scrapes":    func(o *bench.Options) { o.Distribution.ScrapeEach = 10 },
		"many offers":     func(o *bench.Options) { o.Offers = 64 }, // some 80 KB
	} {
		t.Run(name, func(t *testing.T) {
			m := meet(t, &meeting{})
			o := fewBrowsers()
			change(&o)
			r := mustRun(t, o, m.url)
			result := r.Results[0]
			if f := result.Fill; f == nil || f.Announces != 40 || f.Errors != 0 || f.Timeouts != 0 {
				t.Errorf("filled: %+v", f)
			}
			round := &result.Rounds[0]
			wantAnswered(t, round, 100)
			if got := m.got("announce"); got != 140 || m.got("started") != 40 || m.got("scrape") != round.Scrapes || (round.Scrapes > 0) != (o.Distribution.ScrapeEach > 0) {
				t.Errorf("the tracker had %v, and %d scrapes were answered", m.counted, round.Scrapes)
			}
			if seeders := m.got("seeder"); seeders == 0 || seeders == 140 {
				t.Errorf("%d of 140 announces were of seeders, want a quarter", seeders)
			}
			s := round.Signals
			if s == nil || s.Offers <= 0 || s.Answers <= 0 || s.MessagesIn <= 0 || s.Messages != s.MessagesIn+s.MessagesOut ||
				s.MessagesOut < s.Offers+s.Answers || s.Latency.P50 <= 0 || s.Latency.P50 > s.Latency.Max {
				t.Errorf("figures that cannot be: %+v", s)
			}
			if round.PeersPerAnswer < 1 || r.Protocol != "ws" {
				t.Errorf("%.1f offers relayed an announce, over %s", round.PeersPerAnswer, r.Protocol)
			}
		})
	}
}

// All offers of an announce are relayed where there are enough others, and each is
// answered: three messages an offer, and two an announce.
func TestEachOfferIsAnswered(t *testing.T) {
	m := meet(t, &meeting{})
	o := fewBrowsers()
	o.Distribution.Torrents, o.Offers = 1, 3
	r := mustRun(t, o, m.url)
	round := r.Results[0].Rounds[0]
	if round.PeersPerAnswer != 3 {
		t.Errorf("%.2f offers relayed an announce, want 3", round.PeersPerAnswer)
	}
	total := func(rate float64) int64 { return int64(rate*round.Seconds + 0.5) }
	if s := round.Signals; total(s.Offers) != 300 || total(s.Answers) != 300 || total(s.MessagesIn) != 400 || total(s.MessagesOut) != 700 {
		t.Errorf("%+v in %v s", s, round.Seconds)
	}
}

func TestIdleConnectionsAnnounceOnce(t *testing.T) {
	m := meet(t, &meeting{})
	o := fewBrowsers()
	o.Idle, o.IdleFor = 40, time.Millisecond
	r := mustRun(t, o, m.url)
	if i := r.Results[0].Idle; i == nil || i.Connections != 40 || len(r.Results[0].Rounds) != 0 {
		t.Errorf("%+v, and %d rounds", i, len(r.Results[0].Rounds))
	}
	o.Idle, m = 35, meet(t, &meeting{})
	if r := mustRun(t, o, m.url); r.Results[0].Idle.Connections != 40 || r.Results[0].Rounds[0].Announces != 100 {
		t.Errorf("%+v", r.Results[0])
	}
	for kind, want := range map[string]int64{"started": 40, "announce": 140} {
		if got := m.got(kind); got != want {
			t.Errorf("%d times %q, want %d", got, kind, want)
		}
	}
}

func TestWhatATrackerOfBrowsersDoesWrongIsSaid(t *testing.T) {
	for want, m := range map[string]*meeting{
		"no object of JSON": {reply: func(string) string { return `["announce"]` }},
		"without counts":    {reply: func(hash string) string { return `{"action":"announce","info_hash":` + hash + `,"interval":1}` }},
		"the info hash":     {reply: func(string) string { return goodReply(`"another torrent....."`) }},
		"refused: ": {reply: func(hash string) string {
			return `{"action":"announce","failure reason":"not so","info_hash":` + hash + `}`
		}},
		"more than 1 MiB": {reply: func(string) string { return `{"action":"` + strings.Repeat("a", 1<<20) + `"}` }},
		"that this peer has not made": {offer: func(o *relayed) {
			if o.Offer != nil {
				o.OfferID = strings.Repeat("!", 20)
			}
		}},
		"of another torrent": {offer: func(o *relayed) { o.InfoHash = "another torrent....." }},
		"without its peer_id": {offer: func(o *relayed) {
			o.PeerID = "short"
		}},
	} {
		t.Run(want, func(t *testing.T) {
			meet(t, m)
			o := fewBrowsers()
			o.Fill, o.Announces, o.Window, o.Timeout = false, 50, 1, time.Second
			r, err := bench.Run(t.Context(), []bench.Target{{URL: m.url}}, o)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := r.WriteTable(&b); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(b.String(), want) {
				t.Errorf("no %q in\n%s", want, b.String())
			}
		})
	}
}

func TestOfferThatComesBackToItsMakerIsAnError(t *testing.T) {
	url := answerHTTP(t, func(conn net.Conn) {
		if _, err := ws.Upgrade(conn); err != nil {
			return
		}
		for {
			data, _, err := wsutil.ReadClientData(conn)
			var in message
			if err != nil || json.Unmarshal(data, &in) != nil {
				return
			}
			var hash string
			_ = json.Unmarshal(in.InfoHash, &hash)
			back, _ := json.Marshal(relayed{"announce", hash, in.PeerID, in.Offers[0].OfferID, in.Offers[0].Offer, nil})
			if wsutil.WriteServerText(conn, []byte(goodReply(string(in.InfoHash)))) != nil || wsutil.WriteServerText(conn, back) != nil {
				return
			}
		}
	})
	o := fewBrowsers()
	o.Distribution.Peers, o.Fill, o.Announces = 1, false, 3
	r := mustRun(t, o, "ws"+strings.TrimPrefix(url, "http"))
	if n := r.Results[0].Rounds[0].Failures["an offer that came back to who made it"]; n == 0 {
		t.Errorf("%+v", r.Results[0].Rounds[0])
	}
}

func TestBrowserConnectsAgainWhenItIsShutOut(t *testing.T) {
	url := answerHTTP(t, func(conn net.Conn) {
		if _, err := ws.Upgrade(conn); err != nil {
			return
		}
		data, _, err := wsutil.ReadClientData(conn)
		var in message
		if err != nil || json.Unmarshal(data, &in) != nil {
			return
		}
		_ = wsutil.WriteServerText(conn, []byte(goodReply(string(in.InfoHash))))
		_ = ws.WriteFrame(conn, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusGoingAway, "")))
		_, _ = io.Copy(io.Discard, conn)
	})
	o := fewBrowsers()
	o.Distribution.Peers, o.Fill, o.Announces, o.Window = 3, false, 20, 1
	r := mustRun(t, o, "ws"+strings.TrimPrefix(url, "http"))
	round := r.Results[0].Rounds[0]
	if round.Announces != 20 || round.Failures["a connection that the tracker closed"] == 0 || round.Timeouts != 0 {
		t.Errorf("%+v", round)
	}
}

func TestPingsAreAnsweredAndPartsPutTogether(t *testing.T) {
	var ponged sync.WaitGroup
	ponged.Add(1)
	once := sync.OnceFunc(ponged.Done)
	url := answerHTTP(t, func(conn net.Conn) {
		if _, err := ws.Upgrade(conn); err != nil {
			return
		}
		for {
			data, _, err := wsutil.ReadData(conn, ws.StateServerSide)
			var in message
			if err != nil || json.Unmarshal(data, &in) != nil {
				return
			}
			_ = ws.WriteFrame(conn, ws.NewPingFrame([]byte("still there?")))
			if text, err := readPong(conn); err == nil && text == "still there?" {
				once()
			}
			reply := []byte(goodReply(string(in.InfoHash)))
			_ = ws.WriteFrame(conn, ws.NewFrame(ws.OpText, false, reply[:10]))
			_ = ws.WriteFrame(conn, ws.NewPingFrame(nil))
			_ = ws.WriteFrame(conn, ws.NewFrame(ws.OpContinuation, false, reply[10:20]))
			_ = ws.WriteFrame(conn, ws.NewFrame(ws.OpContinuation, true, reply[20:]))
			if _, err := readPong(conn); err != nil {
				return
			}
		}
	})
	o := fewBrowsers()
	o.Distribution.Peers, o.Fill, o.Announces, o.Window = 1, false, 5, 1
	r := mustRun(t, o, "ws"+strings.TrimPrefix(url, "http"))
	if round := r.Results[0].Rounds[0]; round.Announces != 5 || round.Errors != 0 || len(round.Failures) != 0 {
		t.Errorf("%+v", round)
	}
	ponged.Wait()
}

// readPong reads a frame, which has to be a masked pong, and returns its text.
func readPong(conn net.Conn) (string, error) {
	h, err := ws.ReadHeader(conn)
	if err != nil {
		return "", err
	}
	if h.OpCode != ws.OpPong || !h.Masked {
		return "", fmt.Errorf("%+v is no pong", h)
	}
	text := make([]byte, h.Length)
	_, err = io.ReadFull(conn, text)
	ws.Cipher(text, h.Mask, 0)
	return string(text), err
}

func TestRepliesThatComeTooLateAreNotTakenForOthers(t *testing.T) {
	url := answerHTTP(t, func(conn net.Conn) {
		if _, err := ws.Upgrade(conn); err != nil {
			return
		}
		var replies []byte
		for n := 1; ; n++ {
			data, _, err := wsutil.ReadClientData(conn)
			var in message
			if err != nil || json.Unmarshal(data, &in) != nil {
				return
			}
			reply := []byte(goodReply(string(in.InfoHash)))
			if replies = append(replies, ws.MustCompileFrame(ws.NewTextFrame(reply))...); n == 1 {
				continue // this one comes with the next, when it has been given up
			}
			if _, err := conn.Write(replies); err != nil {
				return
			}
			replies = replies[:0]
		}
	})
	o := fewBrowsers()
	o.Distribution.Peers, o.Fill, o.Announces, o.Timeout = 1, false, 5, 200*time.Millisecond
	round := mustRun(t, o, "ws"+strings.TrimPrefix(url, "http")).Results[0].Rounds[0]
	if round.Timeouts < 1 || round.Announces+round.Timeouts != 5 || round.Errors != 0 || len(round.Failures) != 0 {
		t.Errorf("%+v", round)
	}
	if round.Timeouts == 1 && round.Late != 1 { // else the machine is too slow for all of them
		t.Errorf("%d late replies, want 1", round.Late)
	}
}

func TestRefusedHandshakesAreErrorsThatSayWhy(t *testing.T) {
	for want, answer := range map[string]string{
		"connecting: status 404":       "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
		"wrong Sec-WebSocket-Accept":   "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: no\r\n\r\n",
		"an answer that is not HTTP":   "SSH-2.0-OpenSSH\r\n\r\n",
		"more than 16 KiB of headers":  "HTTP/1.1 101 Switching Protocols\r\nX: " + strings.Repeat("x", 20<<10),
		"connection that the tracker ": "",
	} {
		t.Run(want, func(t *testing.T) {
			url := answerHTTP(t, func(conn net.Conn) {
				if n, err := conn.Read(make([]byte, 4096)); n > 0 && err == nil {
					_, _ = io.WriteString(conn, answer)
				}
			})
			o := fewBrowsers()
			o.Distribution.Peers, o.Fill, o.Announces = 3, false, 5
			r, err := bench.Run(t.Context(), []bench.Target{{URL: "ws" + strings.TrimPrefix(url, "http")}}, o)
			if err != nil {
				t.Fatal(err)
			}
			said := fmt.Sprint(r.Results[0].Rounds[0].Failures)
			if !strings.Contains(said, want) {
				t.Errorf("%s, want %q", said, want)
			}
		})
	}
}

func TestWebSocketLoadsThatCannotBeAreRefused(t *testing.T) {
	for want, change := range map[string]func(*bench.Options){
		"no churn over WebSocket": func(o *bench.Options) { o.Churn = 0.1 },
		"65 offers":               func(o *bench.Options) { o.Offers = 65 },
		"41 idle peers":           func(o *bench.Options) { o.Idle = 41 },
	} {
		o := fewBrowsers()
		change(&o)
		if _, err := bench.Run(t.Context(), []bench.Target{{URL: "ws://127.0.0.1:1"}}, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	_, err := bench.Run(context.Background(), []bench.Target{{URL: "ws://127.0.0.1:1"}}, fewBrowsers())
	if !errors.As(err, new(bench.NoTrackerError)) {
		t.Errorf("%v, want that nobody is there", err)
	}
}
