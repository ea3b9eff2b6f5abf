package http

import (
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

const errLocked bittorrent.Error = "this door is locked"

// lock lets those in who show this passkey, and those who show none where that is allowed.
type lock struct {
	passkey  string
	required bool
}

func (l lock) Enter(a *swarm.Announce) error { return l.EnterScrape(&a.Credentials, a.Now) }

func (l lock) EnterScrape(c *swarm.Credentials, _ time.Time) error {
	if c.Passkey == l.passkey || c.Passkey == "" && !l.required {
		return nil
	}
	return errLocked
}

// locked returns options of servers whose clients show passkeys.
func locked(required bool) Options {
	o := fixed()
	o.Tracker = tracker.New(memory.New(memory.Options{}), tracker.Settings{Interval: time.Minute, MinInterval: 30 * time.Second, NumWant: 50, MaxNumWant: 200}, tracker.Options{
		Now:    func() time.Time { return time.Unix(1_700_000_000, 0) },
		Random: func() float64 { return 0.5 },
		Doors:  []tracker.Door{lock{"good", required}},
	})
	o.Passkeys = true
	return o
}

// with returns a request with a passkey in its path.
func with(passkey, request string) string {
	return strings.Replace(request, "GET /", "GET /"+passkey+"/", 1)
}

// behind returns a request with a passkey at the end of its path.
func behind(passkey, request string) string { return strings.Replace(request, "?", "/"+passkey+"?", 1) }

func TestPasskeyIsReadInPlace(t *testing.T) {
	for in, want := range map[string]request{
		with("a-B_9", get(1)):       {action: announce, passkey: "a-B_9"},
		behind("a-B_9", get(1)):     {action: announce, passkey: "a-B_9"},
		with("abc", getScrape()):    {action: scrape, passkey: "abc"},
		behind("abc", getScrape()):  {action: scrape, passkey: "abc"},
		with("announce", get(1)):    {action: announce, passkey: "announce"},
		with("scrape", getScrape()): {action: scrape, passkey: "scrape"},
		get(1):                      {action: announce},
	} {
		r := request{passkeys: true, passkey: "of the one before"}
		length, is := r.parse(in)
		if is != whole || length != len(in) || r.action != want.action || r.passkey != want.passkey || r.query == "" {
			t.Errorf("%q: %d, %+v", in, is, r)
		}
		if off := (request{}); want.passkey != "" {
			if _, is := off.parse(in); is != foreign {
				t.Errorf("%q: %d without passkeys, want foreign", in, is)
			}
		}
	}
	for _, in := range []string{with("a.b", get(1)), with("a%62", get(1)), with("a/b", get(1)), with("", get(1)), with(strings.Repeat("k", 129), get(1)), plainRequest("/abc")} {
		r := request{passkeys: true}
		if _, is := r.parse(in); is != foreign {
			t.Errorf("%q: %d, want foreign", in, is)
		}
	}
}

func TestDoorIsShownThePasskeyOfThePath(t *testing.T) {
	s := newServer(nil, locked(true))
	for in, refused := range map[string]bool{
		with("good", get(1)): false, behind("good", get(1)): false, with("good", getScrape()): false,
		with("bad", get(1)): true, get(1): true, getScrape(): true, with("bad", getScrape()): true,
	} {
		b := newBuffers(s)
		b.feed(with("good", get(7)) + in) // whose passkey the second must not have
		s.answer(b, local)
		answers := strings.Split(string(b.out), "HTTP/1.1 200 OK\r\n")
		if len(answers) != 3 || strings.Contains(answers[1], string(errLocked)) || strings.Contains(answers[2], string(errLocked)) != refused {
			t.Errorf("%.40q is answered %q", in, answers)
		}
	}
}

func TestAnsweringWithPasskeysAllocatesNothing(t *testing.T) {
	for name, in := range map[string]string{
		"announce": with("good", get(1)), "another form": behind("good", get(1)), "scrape": with("good", getScrape()), "refused": with("bad", get(1)),
	} {
		s := newServer(nil, locked(true))
		b := newBuffers(s)
		answer := func() {
			b.start, b.end, b.out = 0, 0, b.out[:0]
			b.feed(in)
			s.answer(b, local)
			s.count(b)
		}
		answer()
		if n := testing.AllocsPerRun(1000, answer); n != 0 || len(b.out) == 0 {
			t.Errorf("%s: %v allocations, %d bytes answered", name, n, len(b.out))
		}
	}
}
