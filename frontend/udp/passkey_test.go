package udp

import (
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

const errLocked bittorrent.Error = "this door is locked"

// lock lets those in who show this passkey.
type lock string

func (l lock) Enter(a *swarm.Announce) error { return l.EnterScrape(&a.Credentials, a.Now) }

func (l lock) EnterScrape(c *swarm.Credentials, _ time.Time) error {
	if c.Passkey == string(l) {
		return nil
	}
	return errLocked
}

func newLocked(passkeys bool) *responder {
	t := tracker.New(memory.New(memory.Options{}), tracker.Settings{Interval: time.Minute, PeerLifetime: time.Hour, NumWant: 50, MaxNumWant: 1000},
		tracker.Options{Now: func() time.Time { return now }, Doors: []tracker.Door{lock("good")}})
	return &responder{tracker: t, secret: &Secret{1}, maxScrape: 74, log: slog.New(slog.DiscardHandler), passkeys: passkeys}
}

func TestDoorIsShownThePasskeyOfTheAnnounceURL(t *testing.T) {
	for _, passkeys := range []bool{true, false} {
		p := newLocked(passkeys)
		id := connect(t, p, peer)
		for url, lets := range map[string]bool{
			"/good/announce": true, "/announce/good": true, "/good/announce?x=/bad/announce": true, "/good/scrape": true,
			"/good/announce" + strings.Repeat("?", 300): true,
			"":                  false,
			"/announce":         false,
			"/bad/announce":     false,
			"/good":             false,
			"/x/good/announce":  false,
			"?/good/announce":   false,
			"/go%6fd/announce":  false,
			"/announce?k=/good": false,
		} {
			answer := answerAt(p, bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), url), peer, now)
			r, err := bittorrent.ParseUDPResponse(answer)
			if err != nil || (r.Action == bittorrent.ActionAnnounce) != (lets && passkeys) {
				t.Errorf("passkeys %v, %.40q: %+v, %v", passkeys, url, r, err)
			}
		}
	}
}

func TestPasskeyOfOnePacketIsNotThatOfTheNext(t *testing.T) {
	p := newLocked(true)
	id := connect(t, p, peer)
	for _, packet := range [][]byte{
		bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), ""),
		append(bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), ""), 2, 200, '/'), // beyond its end
		bittorrent.AppendUDPScrape(nil, id, 1, make([]bittorrent.InfoHash, 1)),
	} {
		if answer := answerAt(p, bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "/good/announce"), peer, now); answer[3] != byte(bittorrent.ActionAnnounce) {
			t.Errorf("the good one is answered %q", answer)
		}
		answer := answerAt(p, packet, peer, now)
		if r, err := bittorrent.ParseUDPResponse(answer); err != nil || r.Action != bittorrent.ActionError || string(r.Body) != string(errLocked) {
			t.Errorf("%x is answered %q", packet, answer)
		}
		if len(answer) > len(packet) {
			t.Errorf("%d bytes are answered with %d", len(packet), len(answer))
		}
	}
}

func TestAnsweringWithPasskeysAllocatesNothing(t *testing.T) {
	p := newLocked(true)
	id := connect(t, p, peer)
	var out [maxAnswer]byte
	packets := [][]byte{
		bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "/good/announce"),
		bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "/bad/announce"),
		bittorrent.AppendUDPAnnounce(nil, id, 1, request(1), "/good/announce"+strings.Repeat("?", 1000)),
		bittorrent.AppendUDPScrape(nil, id, 1, make([]bittorrent.InfoHash, 74)),
	}
	if n := testing.AllocsPerRun(200, func() {
		for _, packet := range packets {
			p.answerAnything(packet, netip.AddrPortFrom(peer, 1), now, out[:])
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
