package passkey

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/document/documenttest"
	"waggle/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// stores opens an empty store of each kind.
var stores = map[string]func(t *testing.T) Store{
	"memory": func(*testing.T) Store { return NewMemory() },
	"sqlite": func(t *testing.T) Store {
		s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "passkeys.db"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	},
	"documents": func(t *testing.T) Store {
		s, err := OpenDocuments(t.Context(), documenttest.NewMemory())
		if err != nil {
			t.Fatal(err)
		}
		return s
	},
}

func inEachStore(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	for name, open := range stores {
		t.Run(name, func(t *testing.T) { test(t, newWorld(t, open(t), nil)) })
	}
}

// world is a book with a clock, which writes when it is told to.
type world struct {
	*Book
	clock *clock
}

func newWorld(t *testing.T, store Store, change func(*Options)) *world {
	t.Helper()
	w := &world{clock: newClock()}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Book = open(t, store, w.clock, change)
	return w
}

func open(t *testing.T, store Store, c *clock, change func(*Options)) *Book {
	t.Helper()
	o := Options{Store: store, Now: c.Now, Refresh: -1, WriteEvery: -1}
	if change != nil {
		change(&o)
	}
	b, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (w *world) make(t *testing.T, name string) Passkey {
	t.Helper()
	made, err := w.Create(t.Context(), []New{{Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	return made[0]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// announce is one of peer n of torrent n.
func (w *world) announce(key string, n byte, event bittorrent.Event, up, down int64) *swarm.Announce {
	a := &swarm.Announce{From: netip.AddrFrom4([4]byte{10, 0, 0, n}), Now: w.clock.Now()}
	a.InfoHash, a.PeerID, a.Port = bittorrent.InfoHash{n}, bittorrent.PeerID{n}, 6881
	a.Event, a.Uploaded, a.Downloaded = event, up, down
	a.Credentials.Passkey = key
	return a
}

// tell announces, and has it written.
func (w *world) tell(t *testing.T, key string, n byte, event bittorrent.Event, up, down int64) {
	t.Helper()
	w.Announce(w.announce(key, n, event, up, down))
	must(t, w.Flush(t.Context()))
}

func (w *world) wantCounted(t *testing.T, id string, up, down int64) {
	t.Helper()
	if p, err := w.Get(id); err != nil || p.Uploaded != up || p.Downloaded != down {
		t.Errorf("uploaded %d, downloaded %d, %v; want %d and %d", p.Uploaded, p.Downloaded, err, up, down)
	}
}

func TestPasskeyIsMadeChangedRevokedAndForgotten(t *testing.T) {
	inEachStore(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		p := w.make(t, "anna")
		if !IsKey(p.Key) || len(p.Key) != 32 || !isID(p.ID) || !p.Created.Equal(w.clock.Now()) || p.State(w.Now()) != Active {
			t.Errorf("made %+v", p)
		}
		if id, name, known := w.Owner(p.Key); id != p.ID || name != "anna" || !known {
			t.Errorf("its owner is %s %s, %v", id, name, known)
		}
		p, err := w.Change(ctx, p.ID, Edit{Name: new("bert"), Note: new("a note"), Expires: new(w.clock.Now().Add(time.Hour))})
		if err != nil || p.Name != "bert" || p.Note != "a note" || p.Expires.IsZero() {
			t.Errorf("changed %+v, %v", p, err)
		}
		if p, err = w.Change(ctx, p.ID, Edit{Expires: new(time.Time{})}); err != nil || !p.Expires.IsZero() || p.Name != "bert" {
			t.Errorf("for ever %+v, %v", p, err)
		}
		if p, err = w.Revoke(ctx, p.ID); err != nil || p.State(w.Now()) != Revoked {
			t.Errorf("revoked %+v, %v", p, err)
		}
		revoked := p.Revoked
		w.clock.pass(time.Minute)
		if p, err = w.Revoke(ctx, p.ID); err != nil || !p.Revoked.Equal(revoked) {
			t.Errorf("revoked again %+v, %v", p, err)
		}
		if p, err = w.Restore(ctx, p.ID); err != nil || p.State(w.Now()) != Active {
			t.Errorf("restored %+v, %v", p, err)
		}
		old := p.Key
		if p, err = w.Renew(ctx, p.ID); err != nil || p.Key == old || !IsKey(p.Key) {
			t.Errorf("renewed %+v, %v", p, err)
		}
		if _, err := w.ByKey(old); !errors.Is(err, ErrNone) || strings.Contains(err.Error(), old) {
			t.Errorf("the old one: %v", err)
		}
		if found, err := w.ByKey(p.Key); err != nil || found != p {
			t.Errorf("the new one is %+v, %v", found, err)
		}
		again := open(t, w.o.Store, w.clock, nil)
		if found, err := again.ByKey(p.Key); err != nil || found != p {
			t.Errorf("read back %+v, %v; want %+v", found, err, p)
		}
		must(t, w.Delete(ctx, p.ID))
		for _, err := range []error{w.Delete(ctx, p.ID), second(w.Revoke(ctx, p.ID)), second(w.Get(p.ID)), second(w.ByKey(p.Key)), second(w.Reset(ctx, p.ID))} {
			if !errors.Is(err, ErrNone) {
				t.Errorf("%v, want that there is none", err)
			}
		}
		if w.Len() != 0 {
			t.Errorf("%d are left", w.Len())
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestPasskeyThatMayNotBeIsRefused(t *testing.T) {
	w := newWorld(t, NewMemory(), func(o *Options) { o.Max = 3 })
	known := w.make(t, "anna")
	for name, test := range map[string]struct {
		wanted []New
		is     error
	}{
		"too short":         {[]New{{Key: strings.Repeat("a", 31)}}, ErrInvalid},
		"upper case":        {[]New{{Key: strings.Repeat("A", 32)}}, ErrInvalid},
		"a slash":           {[]New{{Key: strings.Repeat("/", 40)}}, ErrInvalid},
		"a long name":       {[]New{{Name: strings.Repeat("ü", 101)}}, ErrInvalid},
		"a line break":      {[]New{{Name: "a\nb"}}, ErrInvalid},
		"a long note":       {[]New{{Note: strings.Repeat("x", 301)}}, ErrInvalid},
		"no UTF-8":          {[]New{{Note: "\xff"}}, ErrInvalid},
		"spaces":            {[]New{{Name: " a"}}, ErrInvalid},
		"expired":           {[]New{{Expires: w.clock.Now()}}, ErrInvalid},
		"too far":           {[]New{{Expires: time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)}}, ErrInvalid},
		"known":             {[]New{{Key: known.Key}}, ErrExists},
		"twice":             {[]New{{Key: strings.Repeat("b", 32)}, {Key: strings.Repeat("b", 32)}}, ErrExists},
		"more than fit":     {make([]New, 3), ErrFull},
		"more than at once": {make([]New, MaxMany+1), ErrMany},
		"one of many":       {[]New{{Name: "good"}, {Name: "\t"}}, ErrInvalid},
	} {
		if _, err := w.Create(t.Context(), test.wanted); !errors.Is(err, test.is) || strings.Contains(err.Error(), known.Key) {
			t.Errorf("%s: %v, want %v", name, err, test.is)
		}
	}
	if _, err := w.Change(t.Context(), known.ID, Edit{Expires: new(w.clock.Now().Add(-time.Hour))}); !errors.Is(err, ErrInvalid) {
		t.Errorf("to have expired: %v", err)
	}
	if w.Len() != 1 {
		t.Errorf("there are %d", w.Len())
	}
	for _, key := range []string{strings.Repeat("0", 32), strings.Repeat("z9", 20)} {
		made, err := w.Create(t.Context(), []New{{Key: key}})
		if err != nil || made[0].Key != key {
			t.Errorf("%s: %+v, %v", key, made, err)
		}
	}
}

func TestDoorLetsInWhoShowsAGoodPasskey(t *testing.T) {
	w := newWorld(t, NewMemory(), nil)
	ctx := t.Context()
	member, former, late, renewed := w.make(t, "good"), w.make(t, "revoked"), w.make(t, "expired"), w.make(t, "renewed")
	must(t, second(w.Revoke(ctx, former.ID)))
	must(t, second(w.Change(ctx, late.ID, Edit{Expires: new(w.clock.Now().Add(time.Minute))})))
	must(t, second(w.Renew(ctx, renewed.ID)))
	w.clock.pass(time.Minute)
	for _, required := range []bool{true, false} {
		w.Require(required)
		none, noneScrape := words[missing], errScrape
		if !required {
			none, noneScrape = nil, nil
		}
		for key, want := range map[string][3]error{ // of an announce, one that stops, a scrape
			"":                          {none, none, noneScrape},
			member.Key:                  {},
			former.Key:                  {words[revoked], nil, words[revoked]},
			late.Key:                    {words[expired], nil, words[expired]},
			renewed.Key:                 {words[unknown], words[unknown], words[unknown]},
			member.Key + "x":            {words[unknown], words[unknown], words[unknown]},
			strings.ToUpper(member.Key): {words[unknown], words[unknown], words[unknown]},
			strings.Repeat("x", 1<<10):  {words[unknown], words[unknown], words[unknown]},
		} {
			got := [3]error{
				w.Enter(w.announce(key, 1, bittorrent.EventNone, 0, 0)), w.Enter(w.announce(key, 1, bittorrent.EventStopped, 0, 0)),
				w.EnterScrape(&swarm.Credentials{Passkey: key}, w.clock.Now()),
			}
			if got != want {
				t.Errorf("required %v, %.40q: %v, want %v", required, key, got, want)
			}
		}
	}
	f := w.Figures()
	if f.Active != 2 || f.Revoked != 1 || f.Expired != 1 || f.MissingRefused != 3 || f.UnknownRefused != 24 || f.RevokedRefused != 4 || f.ExpiredRefused != 4 {
		t.Errorf("%+v", f)
	}
}

func TestRefusalsFitIntoWhatTheyAnswer(t *testing.T) {
	for _, err := range words[missing:] {
		if answer := bittorrent.AppendUDPError(nil, 1, err.Error()); len(answer) > bittorrent.UDPAnnounceLen {
			t.Errorf("%d bytes: %v", len(answer), err)
		}
	}
	request := bittorrent.AppendUDPScrape(nil, 1, 1, make([]bittorrent.InfoHash, 1))
	if answer := bittorrent.AppendUDPError(nil, 1, errScrape.Error()); len(answer) > len(request) {
		t.Errorf("%d bytes to %d: %v", len(answer), len(request), errScrape)
	}
}

func TestWhatAClientTransfersIsCounted(t *testing.T) {
	inEachStore(t, func(t *testing.T, w *world) {
		p := w.make(t, "anna")
		w.tell(t, p.Key, 1, bittorrent.EventStarted, 0, 0)
		w.clock.pass(30 * time.Minute)
		w.tell(t, p.Key, 1, bittorrent.EventNone, 100, 1000)
		w.tell(t, p.Key, 2, bittorrent.EventStarted, 0, 0)
		w.wantCounted(t, p.ID, 100, 1000)
		w.clock.pass(30 * time.Minute)
		w.tell(t, p.Key, 1, bittorrent.EventCompleted, 150, 2000)
		w.tell(t, p.Key, 2, bittorrent.EventNone, 7, 0)
		w.wantCounted(t, p.ID, 157, 2000)
		if got, err := w.Get(p.ID); err != nil || got.Torrents != 2 || !got.Seen.Equal(w.clock.Now()) {
			t.Errorf("%+v, %v", got, err)
		}
		w.tell(t, p.Key, 1, bittorrent.EventStopped, 151, 2000)
		w.wantCounted(t, p.ID, 158, 2000)
		if got, err := w.Get(p.ID); err != nil || got.Torrents != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		again := &world{open(t, w.o.Store, w.clock, nil), w.clock}
		again.wantCounted(t, p.ID, 158, 2000)
		again.tell(t, p.Key, 2, bittorrent.EventNone, 10, 5) // it has gone on meanwhile
		again.wantCounted(t, p.ID, 161, 2005)
		w.clock.pass(w.o.Lifetime + time.Second)
		if got, err := again.Get(p.ID); err != nil || got.Torrents != 0 {
			t.Errorf("silent for a lifetime: %+v, %v", got, err)
		}
	})
}

// step is one announce of a session.
type step struct {
	after     time.Duration // since the one before
	event     bittorrent.Event
	up        int64
	counted   int64 // then, in all
	implaus   int64
	unwritten bool // it is not written before the next
}

func TestFiguresThatCannotBeTrustedDoNotCorruptTheTotal(t *testing.T) {
	const (
		none    = bittorrent.EventNone
		started = bittorrent.EventStarted
		stopped = bittorrent.EventStopped
	)
	for name, steps := range map[string][]step{
		"the start is told twice":         {{0, started, 0, 0, 0, false}, {15 * time.Second, started, 0, 0, 0, false}, {time.Hour, none, 10, 10, 0, false}},
		"the start was not seen":          {{0, none, 500, 0, 0, false}, {time.Hour, none, 600, 100, 0, false}},
		"an announce is lost":             {{0, started, 0, 0, 0, false}, {3 * time.Hour, none, 300, 300, 0, false}},
		"an announce comes twice":         {{0, started, 0, 0, 0, false}, {time.Hour, none, 100, 100, 0, false}, {time.Second, none, 100, 100, 0, false}},
		"an announce comes late":          {{0, started, 0, 0, 0, false}, {time.Hour, none, 200, 200, 0, false}, {time.Second, none, 100, 200, 0, false}, {time.Hour, none, 300, 300, 0, false}},
		"the client starts again":         {{0, started, 0, 0, 0, false}, {time.Hour, none, 100, 100, 0, false}, {time.Hour, started, 0, 100, 0, false}, {time.Hour, none, 50, 150, 0, false}},
		"it starts again before a write":  {{0, started, 0, 0, 0, true}, {time.Hour, none, 100, 0, 0, true}, {time.Hour, started, 0, 0, 0, true}, {time.Hour, none, 50, 150, 0, false}},
		"it stops and starts":             {{0, started, 0, 0, 0, false}, {time.Hour, stopped, 100, 100, 0, false}, {time.Hour, started, 0, 100, 0, false}, {time.Hour, stopped, 10, 110, 0, false}},
		"a start tells of something":      {{0, started, 1 << 40, 0, 0, false}, {time.Hour, none, 1<<40 + 5, 5, 0, false}},
		"a counter goes back for a while": {{0, started, 0, 0, 0, false}, {time.Hour, none, 100, 100, 0, false}, {time.Hour, none, 0, 100, 0, false}, {time.Hour, none, 120, 120, 0, false}},
		"a forged number":                 {{0, started, 0, 0, 0, false}, {time.Hour, none, 1 << 62, 0, 1, false}, {time.Hour, none, 100, 100, 1, false}},
		"forged numbers up and down":      {{0, started, 0, 0, 0, false}, {time.Hour, none, 1 << 62, 0, 1, false}, {time.Hour, none, 0, 0, 1, false}, {time.Hour, none, 1 << 62, 0, 2, false}},
		"a forged number with the start":  {{0, started, 1 << 62, 0, 0, false}, {time.Hour, none, 1<<62 + 1, 1, 0, false}},
		"a forged number before a write":  {{0, started, 0, 0, 0, true}, {time.Second, none, 1 << 62, 0, 1, false}, {time.Hour, none, 100, 100, 1, false}},
		"as fast as can be":               {{0, started, 0, 0, 0, false}, {time.Hour, none, 3600 * 1000, 3600 * 1000, 0, false}},
		"somewhat faster than that":       {{0, started, 0, 0, 0, false}, {time.Hour, none, 3700 * 1000, 0, 1, false}},
		"it was away for days":            {{0, started, 0, 0, 0, false}, {time.Hour, none, 100, 100, 0, false}, {15 * time.Hour, none, 200, 200, 0, false}},
		"it was away for too long":        {{0, started, 0, 0, 0, false}, {time.Hour, none, 100, 100, 0, false}, {30 * 24 * time.Hour, none, 200, 100, 0, false}},
	} {
		for kind, openStore := range stores {
			t.Run(name+", "+kind, func(t *testing.T) {
				w := newWorld(t, openStore(t), func(o *Options) { o.Rate = 1000 })
				p := w.make(t, "anna")
				for i, s := range steps {
					w.clock.pass(s.after)
					w.Announce(w.announce(p.Key, 1, s.event, s.up, 0))
					if s.unwritten {
						continue
					}
					must(t, w.Flush(t.Context()))
					if got, err := w.Get(p.ID); err != nil || got.Uploaded != s.counted || got.Implausible != s.implaus {
						t.Fatalf("after step %d: %d, %d implausible, %v; want %d, %d", i, got.Uploaded, got.Implausible, err, s.counted, s.implaus)
					}
				}
				if got := w.Figures().Implausible; got != uint64(steps[len(steps)-1].implaus) {
					t.Errorf("figures have %d implausible", got)
				}
			})
		}
	}
}

func TestTotalStaysAtTheHighestNumber(t *testing.T) {
	w := newWorld(t, NewMemory(), nil) // without a rate
	p := w.make(t, "anna")
	for n := range byte(3) {
		w.tell(t, p.Key, n, bittorrent.EventStarted, 0, 0)
		w.tell(t, p.Key, n, bittorrent.EventNone, 1<<63-1, 1<<63-1)
	}
	w.wantCounted(t, p.ID, 1<<63-1, 1<<63-1)
}

func TestWhoAnnouncesOverBothFamiliesCountsOnce(t *testing.T) {
	w := newWorld(t, NewMemory(), nil)
	p := w.make(t, "anna")
	for _, up := range []int64{0, 100, 300} {
		for _, from := range []string{"192.0.2.1", "2001:db8::1"} {
			a := w.announce(p.Key, 1, bittorrent.EventNone, up, 0)
			if a.From = netip.MustParseAddr(from); up == 0 {
				a.Event = bittorrent.EventStarted
			}
			w.Announce(a)
		}
		must(t, w.Flush(t.Context()))
		w.clock.pass(time.Hour)
	}
	w.wantCounted(t, p.ID, 300, 0)
}

func TestRevokedPasskeyCountsNoMore(t *testing.T) {
	w := newWorld(t, NewMemory(), nil)
	p := w.make(t, "anna")
	w.tell(t, p.Key, 1, bittorrent.EventStarted, 0, 0)
	w.tell(t, p.Key, 1, bittorrent.EventNone, 5, 0)
	must(t, second(w.Revoke(t.Context(), p.ID)))
	w.tell(t, p.Key, 1, bittorrent.EventStopped, 1000, 0)
	w.wantCounted(t, p.ID, 5, 0)
	w.Announce(w.announce("", 1, bittorrent.EventNone, 1, 1))
	w.Announce(w.announce("nobody's", 1, bittorrent.EventNone, 1, 1))
	if f := w.Figures(); f.Waiting != 0 {
		t.Errorf("%+v", f)
	}
}

func TestCountersAreResetAndRenewingKeepsThem(t *testing.T) {
	inEachStore(t, func(t *testing.T, w *world) {
		p := w.make(t, "anna")
		w.tell(t, p.Key, 1, bittorrent.EventStarted, 0, 0)
		w.tell(t, p.Key, 1, bittorrent.EventNone, 100, 50)
		p, err := w.Renew(t.Context(), p.ID)
		must(t, err)
		w.tell(t, p.Key, 1, bittorrent.EventNone, 110, 55)
		w.wantCounted(t, p.ID, 110, 55)
		w.Announce(w.announce(p.Key, 1, bittorrent.EventNone, 120, 60)) // before, and not written
		if got, err := w.Reset(t.Context(), p.ID); err != nil || got.Uploaded != 0 || got.Downloaded != 0 || got.Key != p.Key {
			t.Errorf("reset %+v, %v", got, err)
		}
		w.tell(t, p.Key, 1, bittorrent.EventNone, 121, 61)
		w.wantCounted(t, p.ID, 1, 1)
	})
}

// broken is a store that does not count, for a while.
type broken struct {
	Store
	fault error
}

func (s *broken) Count(ctx context.Context, told []Counted, rules Rules) ([]*Totals, error) {
	if s.fault != nil {
		return nil, s.fault
	}
	return s.Store.Count(ctx, told, rules)
}

func TestNothingIsLostWhileTheStoreFails(t *testing.T) {
	store := &broken{Store: NewMemory(), fault: errors.New("the disk is full")}
	w := newWorld(t, store, func(o *Options) { o.Waiting = 64 * 3 })
	p := w.make(t, "anna")
	for i := range int64(20) {
		event := bittorrent.EventNone
		if i == 0 || i == 10 {
			event = bittorrent.EventStarted // anew
		}
		w.Announce(w.announce(p.Key, 1, event, i%10*10, 0))
		if err := w.Flush(t.Context()); !errors.Is(err, store.fault) {
			t.Fatal(err)
		}
		w.clock.pass(time.Hour)
	}
	for n := range 1000 {
		a := w.announce(p.Key, 1, bittorrent.EventNone, 0, 0)
		a.PeerID = bittorrent.PeerID([]byte(fmt.Sprintf("%020d", n)))
		w.Announce(a)
	}
	if f := w.Figures(); f.Waiting > 64*3 || f.LeftOut == 0 {
		t.Errorf("%d wait, %d were left out", f.Waiting, f.LeftOut)
	}
	store.fault = nil
	must(t, w.Flush(t.Context()))
	w.wantCounted(t, p.ID, 180, 0)
	if f := w.Figures(); f.Waiting != 0 {
		t.Errorf("%d wait", f.Waiting)
	}
}

func TestCloseWritesWhatWaits(t *testing.T) {
	store := NewMemory()
	w := newWorld(t, store, func(o *Options) { o.WriteEvery = time.Hour })
	p := w.make(t, "anna")
	w.Announce(w.announce(p.Key, 1, bittorrent.EventStarted, 0, 0))
	w.Announce(w.announce(p.Key, 1, bittorrent.EventNone, 9, 8))
	must(t, w.Close())
	again := &world{open(t, store, w.clock, nil), w.clock}
	again.wantCounted(t, p.ID, 9, 8)
}

func TestWhatWaitsIsWrittenByAndBy(t *testing.T) {
	w := newWorld(t, NewMemory(), func(o *Options) { o.WriteEvery = time.Millisecond })
	p := w.make(t, "anna")
	w.Announce(w.announce(p.Key, 1, bittorrent.EventStarted, 0, 0))
	w.Announce(w.announce(p.Key, 1, bittorrent.EventNone, 9, 8))
	waitUntil(t, func() bool {
		got, err := w.Get(p.ID)
		return err == nil && got.Uploaded == 9
	})
}

// waitUntil waits until something is so, for two minutes at most.
func waitUntil(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came to that")
		}
	}
}

func TestAnnouncesAllocateNothing(t *testing.T) {
	w := newWorld(t, NewMemory(), nil)
	p := w.make(t, "anna")
	a := w.announce(p.Key, 1, bittorrent.EventNone, 1, 1)
	bad := w.announce(p.Key+"x", 1, bittorrent.EventNone, 1, 1)
	if n := testing.AllocsPerRun(1000, func() {
		if w.Enter(a) != nil || w.Enter(bad) == nil || w.EnterScrape(&a.Credentials, a.Now) != nil {
			t.Fatal("the door is wrong")
		}
		a.Uploaded++
		w.Announce(a)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
