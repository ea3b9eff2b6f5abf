package events

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

func TestAnnounceAllocatesNothing(t *testing.T) {
	in := newIntake()
	a := anAnnounce(1)
	a.Credentials.Passkey, a.Credentials.Agent = strings.Repeat("k", 40), "qBittorrent/4.5.2"
	c := &swarm.Change{Kind: swarm.PeerGone, InfoHash: a.InfoHash, Peer: swarm.Peer{Addr: a.Addr(), Last: a.Now}}
	for _, full := range []bool{false, true} {
		if n := testing.AllocsPerRun(laneRoom/4, func() { in.announce(a); in.gone(c, a.Now) }); n != 0 {
			t.Errorf("%v allocations where the queue is full: %t", n, full)
		}
		for !full && in.lanes[1].lost == 0 {
			in.announce(a)
		}
	}
}

func TestEventThatTheQueueHasNoRoomForIsLostAndCounted(t *testing.T) {
	in := newIntake()
	for range laneRoom + 7 {
		in.announce(anAnnounce(1))
	}
	in.announce(anAnnounce(2)) // in another lane
	seen := 0
	if lost := in.take(func(*slot) { seen++ }); lost != 7 || seen != laneRoom+1 || in.taken.Load() != laneRoom+1 {
		t.Errorf("lost %d, seen %d, counted %d", lost, seen, in.taken.Load())
	}
	if lost := in.take(func(*slot) { seen++ }); lost != 0 || seen != laneRoom+1 {
		t.Errorf("lost %d again, or saw %d", lost, seen)
	}
}

// line is what an event looks like.
func line(l *lines, do func(*intake)) string {
	in := newIntake()
	do(in)
	text := ""
	in.take(func(s *slot) { text = string(l.append(nil, s)) })
	return text
}

type book map[string]string

func (b book) Identity(passkey string) string { return b[passkey] }

func TestEventsInWords(t *testing.T) {
	a := anAnnounce(7)
	a.PeerID[19] = '"'
	a.Credentials = swarm.Credentials{Passkey: "0123", Agent: "a\"b\\c\n\xff"}
	l := &lines{addresses: true, key: secret}
	of := func(change func(*swarm.Announce)) func(*intake) {
		b := *a
		change(&b)
		return func(in *intake) { in.announce(&b) }
	}
	gone := func(c swarm.Change) func(*intake) {
		c.InfoHash, c.Peer.Addr = a.InfoHash, netip.MustParseAddrPort("[2001:db8::1]:51413")
		return func(in *intake) { in.gone(&c, time.Unix(1_700_000_100, 0)) }
	}
	const begin = `{"time":"1998-07-09T16:00:07.005Z","event":"started","info_hash":"0701000000000000000000000000000000000000"`
	const id = `,"peer_id":"-qB4520-00000000000%22"`
	hash := HashPasskey(secret, "0123")
	if len(hash) != 32 || hash == HashPasskey([]byte("another"), "0123") || hash == HashPasskey(secret, "0124") {
		t.Errorf("hash %s", hash)
	}
	for _, c := range []struct {
		l    *lines
		do   func(*intake)
		want string
	}{
		{l, of(func(*swarm.Announce) {}), begin + id + `,"address":"192.0.2.7:6881","passkey":"` + hash + `","uploaded":7,"downloaded":14,"left":21,"client":"a\"b\\c\u000a` + "\uFFFD" + `"}`},
		{
			&lines{passkeys: book{"0123": "anna"}},
			of(func(a *swarm.Announce) { a.Left, a.Credentials.Agent = bittorrent.LeftUnknown, "" }),
			begin + id + `,"passkey":"anna","uploaded":7,"downloaded":14}`,
		},
		{
			&lines{passkeys: book{}, key: secret},
			of(func(a *swarm.Announce) { a.Credentials.Agent, a.Left = "", 0 }),
			begin + id + `,"passkey":"` + hash + `","uploaded":7,"downloaded":14,"left":0}`,
		},
		{
			l, of(func(a *swarm.Announce) { a.Credentials, a.Event = swarm.Credentials{}, bittorrent.EventNone }),
			strings.Replace(begin, "started", "announced", 1) + id + `,"address":"192.0.2.7:6881","uploaded":7,"downloaded":14,"left":21}`,
		},
		{
			l, gone(swarm.Change{Peer: swarm.Peer{ID: a.PeerID, Uploaded: 1, Downloaded: 2, Left: 3, Last: time.Unix(1_700_000_000, 0)}}),
			`{"time":"2023-11-14T22:15:00.000Z","event":"expired","info_hash":"0701000000000000000000000000000000000000"` + id +
				`,"address":"[2001:db8::1]:51413","uploaded":1,"downloaded":2,"left":3,"last_seen":"2023-11-14T22:13:20.000Z"}`,
		},
		{
			l, gone(swarm.Change{GivenUp: true}),
			`{"time":"2023-11-14T22:15:00.000Z","event":"forgotten","info_hash":"0701000000000000000000000000000000000000","address":"[2001:db8::1]:51413"}`,
		},
	} {
		if got := line(c.l, c.do); got != c.want || !json.Valid([]byte(got)) {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestEachEventOfTheProtocolHasItsWord(t *testing.T) {
	for event, word := range map[bittorrent.Event]string{
		bittorrent.EventNone: "announced", bittorrent.EventStarted: "started", bittorrent.EventStopped: "stopped",
		bittorrent.EventCompleted: "completed", bittorrent.EventPaused: "paused",
	} {
		if got := kind(event).word(); got != word {
			t.Errorf("%v is %s", event, got)
		}
	}
}

func TestHashesOfPasskeysFollowTheKey(t *testing.T) {
	l := &lines{}
	for range 2 { // the second time from memory
		for _, key := range []string{"one", "two"} {
			l.use([]byte(key))
			for n := range mostKnown + 1 {
				passkey := []byte{byte(n), byte(n >> 8)}
				if got := l.identity(passkey); got != HashPasskey([]byte(key), string(passkey)) {
					t.Fatalf("%x by %s is %s", passkey, key, got)
				}
			}
			if len(l.known) > mostKnown {
				t.Errorf("%d are remembered", len(l.known))
			}
		}
	}
}

// FuzzEvent has whatever a client says be JSON, and say the same.
func FuzzEvent(f *testing.F) {
	f.Add("passkey", "µTorrent/3.5\x00\"", []byte("-UT3500-\xff\x00\"'<>&%12345678"), int64(-1))
	f.Add(strings.Repeat("k", 300), strings.Repeat("\u2028", 90), []byte(nil), int64(0))
	f.Fuzz(func(t *testing.T, passkey, agent string, id []byte, left int64) {
		a := anAnnounce(1)
		a.Credentials = swarm.Credentials{Passkey: passkey, Agent: agent}
		copy(a.PeerID[:], id)
		a.Left = left
		text := line(&lines{addresses: true, passkeys: book{passkey[:min(len(passkey), passkeyRoom)]: passkey}, key: secret}, func(in *intake) { in.announce(a) })
		var e told
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		if want := strings.ToValidUTF8(agent[:min(len(agent), agentRoom)], "\uFFFD"); strings.ReplaceAll(e.Client, "\uFFFD", "") != strings.ReplaceAll(want, "\uFFFD", "") {
			t.Errorf("client %q is told as %q", want, e.Client)
		}
		if e.Address != "192.0.2.1:6881" || *e.Uploaded != 1 || strings.ContainsAny(text, "\n\x00") {
			t.Errorf("%q", text)
		}
	})
}
