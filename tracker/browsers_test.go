package tracker_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// browsers has as many of each torrent as it is told.
type browsers struct {
	seeders, leechers uint32
	expired           []time.Time
}

func (b *browsers) Count(*bittorrent.InfoHash) (seeders, leechers uint32) {
	return b.seeders, b.leechers
}

func (b *browsers) Expire(before time.Time) int {
	b.expired = append(b.expired, before)
	return 3
}

var noonOfBrowsers = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// announceOfBrowser returns an announce that has no port.
func announceOfBrowser(left int64, event bittorrent.Event) *swarm.Announce {
	a := &swarm.Announce{From: netip.MustParseAddr("192.0.2.7"), Now: noonOfBrowsers}
	a.InfoHash, a.PeerID, a.Left, a.Event, a.NumWant = bittorrent.InfoHash{7}, bittorrent.PeerID{8}, left, event, 5
	return a
}

// announceOfPeer returns one of a peer of the same torrent.
func announceOfPeer(left int64) *swarm.Announce {
	a := announceOfBrowser(left, bittorrent.EventStarted)
	a.Port, a.Families = 6881, swarm.IPv4
	return a
}

func newWithBrowsers(b *browsers, s tracker.Settings, o tracker.Options) *tracker.Tracker {
	o.Browsers, o.Now, o.Random = b, func() time.Time { return noonOfBrowsers }, func() float64 { return 0.5 }
	s.Interval, s.MinInterval, s.BrowserInterval, s.PassiveInterval = time.Hour, 20*time.Minute, 2*time.Minute, 5*time.Minute
	s.PeerLifetime, s.NumWant, s.MaxNumWant = 2*time.Hour, 50, 200
	return tracker.New(memory.New(memory.Options{}), s, o)
}

func TestCountsHoldBrowsers(t *testing.T) {
	b := &browsers{seeders: 10, leechers: 100}
	tr := newWithBrowsers(b, tracker.Settings{}, tracker.Options{})
	var r swarm.Reply
	if err := tr.Announce(t.Context(), announceOfPeer(5), &r); err != nil || r.Complete != 10 || r.Incomplete != 101 {
		t.Errorf("%v: an announce says %d and %d", err, r.Complete, r.Incomplete)
	}
	counts := make([]bittorrent.ScrapeCounts, 2)
	if err := tr.Scrape(t.Context(), []bittorrent.InfoHash{{7}, {8}}, counts); err != nil ||
		counts[0] != (bittorrent.ScrapeCounts{Complete: 10, Incomplete: 101, Downloaders: 101}) ||
		counts[1] != (bittorrent.ScrapeCounts{Complete: 10, Incomplete: 100, Downloaders: 100}) {
		t.Errorf("%v: a scrape says %+v", err, counts)
	}
	r.Reset()
	record := func(_ *swarm.Announce, r *swarm.Reply) { r.Complete, r.Incomplete = b.seeders, b.leechers }
	if err := tr.AnnounceBrowser(t.Context(), announceOfBrowser(0, bittorrent.EventStarted), &r, &tracker.Visit{Record: record}); err != nil || r.Complete != 10 || r.Incomplete != 101 {
		t.Errorf("%v: a browser hears of %d and %d", err, r.Complete, r.Incomplete)
	}
	if r.Interval != 2*time.Minute || r.MinInterval != 0 {
		t.Errorf("its interval is %v, at least %v", r.Interval, r.MinInterval)
	}
}

func TestBrowserIsDecidedAsOthersAre(t *testing.T) {
	var told []bittorrent.Event
	o := tracker.Options{
		Doors: []tracker.Door{doorFunc(func(a *swarm.Announce) error {
			if a.Credentials.Passkey != "good" {
				return bittorrent.Error("not you")
			}
			return nil
		})},
		Recorders: []tracker.Recorder{recorderFunc(func(a *swarm.Announce) { told = append(told, a.Event) })},
	}
	s := tracker.Settings{Denied: tracker.Denied{{9}: {}}}
	tr := newWithBrowsers(new(browsers), s, o)
	var recorded []bittorrent.Event
	record := func(a *swarm.Announce, r *swarm.Reply) {
		recorded = append(recorded, a.Event)
		r.Incomplete = 5
	}
	var r swarm.Reply
	a := announceOfBrowser(0, bittorrent.EventCompleted)
	if err := tr.AnnounceBrowser(t.Context(), a, &r, &tracker.Visit{Record: record}); err == nil || err.Error() != "not you" || !slices.Equal(recorded, []bittorrent.Event{bittorrent.EventStopped}) || len(told) != 0 {
		t.Errorf("%v: recorded is %v, want that it has stopped: it may have announced until then", err, recorded)
	}
	a = announceOfBrowser(0, bittorrent.EventCompleted)
	a.Credentials.Passkey = "good"
	if err := tr.AnnounceBrowser(t.Context(), a, &r, &tracker.Visit{Record: record}); err != nil || recorded[1] != bittorrent.EventCompleted || len(told) != 1 {
		t.Errorf("%v: recorded is %v, told %v", err, recorded, told)
	}
	if f := tr.Figures(); f.Announces != 2 || f.Refused != 1 || f.Completed != 1 {
		t.Errorf("figures %+v", f)
	}
	a = announceOfBrowser(0, bittorrent.EventStarted)
	a.Credentials.Passkey, a.InfoHash = "good", bittorrent.InfoHash{9}
	if err := tr.AnnounceBrowser(t.Context(), a, &r, &tracker.Visit{Record: record}); !errors.Is(err, tracker.ErrDenied) || recorded[2] != bittorrent.EventStopped || len(told) != 1 {
		t.Errorf("%v: recorded is %v", err, recorded)
	}
	if f := tr.Figures(); f.Denied != 1 {
		t.Errorf("figures %+v", f)
	}
}

func TestBrowserOfATorrentThatIsNotServedIsLetGo(t *testing.T) {
	tr := newWithBrowsers(new(browsers), tracker.Settings{Listed: true}, tracker.Options{})
	var r swarm.Reply
	var recorded *swarm.Announce
	record := func(a *swarm.Announce, r *swarm.Reply) { recorded, r.Incomplete = a, 5 }
	err := tr.AnnounceBrowser(t.Context(), announceOfBrowser(5, bittorrent.EventNone), &r, &tracker.Visit{Record: record})
	if err != nil || recorded.Event != bittorrent.EventStopped || recorded.NumWant != 0 {
		t.Errorf("%v: recorded is %+v", err, recorded)
	}
	if r.Warning != tracker.WarnPassive || r.Incomplete != 0 || r.Interval != 5*time.Minute {
		t.Errorf("the reply is %+v", r)
	}
	if f := tr.Figures(); f.Passive != 1 {
		t.Errorf("figures %+v", f)
	}
}

func TestSilentBrowsersAreForgottenAfterThreeIntervals(t *testing.T) {
	b := new(browsers)
	tr := newWithBrowsers(b, tracker.Settings{}, tracker.Options{})
	if err := tr.CleanOnce(t.Context()); err != nil || len(b.expired) != 1 || b.expired[0] != noonOfBrowsers.Add(-6*time.Minute) {
		t.Errorf("%v: forgotten are those from before %v", err, b.expired)
	}
	if f := tr.Figures(); f.Expired != 3 {
		t.Errorf("%d are expired", f.Expired)
	}
}

// broken is a store that cannot be reached.
type broken struct{ swarm.Store }

func (broken) Scrape(context.Context, []bittorrent.InfoHash, []bittorrent.ScrapeCounts) error {
	return errors.New("gone")
}

func TestBrowsersFindEachOtherWithoutTheStore(t *testing.T) {
	tr := tracker.New(broken{}, tracker.Settings{NumWant: 1, MaxNumWant: 1}, tracker.Options{})
	var r swarm.Reply
	record := func(_ *swarm.Announce, r *swarm.Reply) { r.Incomplete = 5 }
	if err := tr.AnnounceBrowser(t.Context(), announceOfBrowser(5, bittorrent.EventNone), &r, &tracker.Visit{Record: record}); err != nil || r.Incomplete != 5 || r.Warning == "" {
		t.Errorf("%v: the reply is %+v", err, r)
	}
	if tr.Figures().Failed != 1 {
		t.Error("the failure is not counted")
	}
}

func TestWhoIsHeldToARate(t *testing.T) {
	tr := newWithBrowsers(new(browsers), tracker.Settings{Unlimited: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}, tracker.Options{})
	for ip, want := range map[string]bool{"127.0.0.1": true, "::1": true, "198.51.100.7": true, "192.0.2.1": false, "2001:db8::1": false} {
		if tr.Unlimited(netip.MustParseAddr(ip)) != want {
			t.Errorf("%s: %v, want %v", ip, !want, want)
		}
	}
}

func TestAnnounceBesideBrowsersAllocatesNothing(t *testing.T) {
	tr := newWithBrowsers(&browsers{seeders: 1}, tracker.Settings{}, tracker.Options{})
	a, b := announceOfPeer(5), announceOfBrowser(5, bittorrent.EventNone)
	var r swarm.Reply
	v := tracker.Visit{Record: func(*swarm.Announce, *swarm.Reply) {}}
	both := func() {
		for _, err := range []error{tr.Announce(t.Context(), a, &r), tr.AnnounceBrowser(t.Context(), b, &r, &v)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		r.Reset()
	}
	both()
	if n := testing.AllocsPerRun(100, both); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
