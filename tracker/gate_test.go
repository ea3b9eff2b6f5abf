package tracker_test

import (
	"errors"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// list is a gate that remembers what it was told.
type list struct {
	active, inactive          map[bittorrent.InfoHash]bool
	started, completed, asked map[bittorrent.InfoHash]time.Time
}

func newList() *list {
	return &list{
		active: map[bittorrent.InfoHash]bool{}, inactive: map[bittorrent.InfoHash]bool{},
		started: map[bittorrent.InfoHash]time.Time{}, completed: map[bittorrent.InfoHash]time.Time{}, asked: map[bittorrent.InfoHash]time.Time{},
	}
}

func (l *list) Active(h *bittorrent.InfoHash) bool              { return l.active[*h] }
func (l *list) Inactive(h *bittorrent.InfoHash) bool            { return l.inactive[*h] }
func (l *list) Started(h *bittorrent.InfoHash, now time.Time)   { l.started[*h] = now }
func (l *list) Completed(h *bittorrent.InfoHash, now time.Time) { l.completed[*h] = now }
func (l *list) Ask(h *bittorrent.InfoHash, now time.Time)       { l.asked[*h] = now }
func (l *list) heard(h bittorrent.InfoHash) (times [3]time.Time) {
	return [3]time.Time{l.started[h], l.completed[h], l.asked[h]}
}

func hashed(n byte) bittorrent.InfoHash { return bittorrent.InfoHash{n} }

func announceOf(h bittorrent.InfoHash, n int) (a *swarm.Announce) {
	a = announce(n, time.Unix(7, 0))
	a.InfoHash = h
	return a
}

func peers(t *testing.T, s *memory.Store) int {
	t.Helper()
	n, err := s.Totals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n.Peers
}

func ask(t *testing.T, tr *tracker.Tracker, a *swarm.Announce) *swarm.Reply {
	t.Helper()
	var r swarm.Reply
	if err := tr.Announce(t.Context(), a, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

var passiveSettings = func() tracker.Settings {
	s := settings
	s.PassiveInterval = 5 * time.Minute
	return s
}()

func middle() float64 { return 0.5 }

func wantPassive(t *testing.T, r *swarm.Reply) {
	t.Helper()
	if r.Warning != tracker.WarnPassive || r.Peers.Len() != 0 || r.Interval != 5*time.Minute || r.MinInterval > r.Interval {
		t.Errorf("reply %+v, want a warning, no peers and the passive interval", r.AnnounceResponse)
	}
}

func TestListedModeServesActiveTorrentsAloneAndRemembersWhatElseWasAskedFor(t *testing.T) {
	store, l := memory.New(memory.Options{}), newList()
	l.active[hashed(1)], l.inactive[hashed(2)] = true, true
	s := passiveSettings
	s.Listed = true
	tr := tracker.New(store, s, tracker.Options{Gate: l, Random: middle})
	for n := range 3 {
		for h := range byte(3) {
			r := ask(t, tr, announceOf(hashed(1+h), n))
			if h == 0 {
				if r.Warning != "" || r.Interval != 30*time.Minute || r.Peers.Len() != n {
					t.Errorf("a listed torrent is answered %+v to peer %d", r.AnnounceResponse, n)
				}
				continue
			}
			wantPassive(t, r)
			if !l.asked[hashed(1+h)].Equal(time.Unix(7, 0)) {
				t.Errorf("that torrent %d was asked for was not remembered", h)
			}
		}
	}
	if n := peers(t, store); n != 3 {
		t.Errorf("%d peers are stored, want the 3 of the listed torrent", n)
	}
	if f := tr.Figures(); f.Passive != 6 || f.Announces != 9 {
		t.Errorf("figures %+v, want 6 of 9 passive", f)
	}
}

func TestListedModeWithoutAListServesNothing(t *testing.T) {
	s := passiveSettings
	s.Listed = true
	tr := tracker.New(memory.New(memory.Options{}), s, tracker.Options{Random: middle})
	wantPassive(t, ask(t, tr, announceOf(hashed(1), 1)))
}

func TestOpenModeServesAllButWhatWasDeactivated(t *testing.T) {
	store, l := memory.New(memory.Options{}), newList()
	l.inactive[hashed(2)] = true
	tr := tracker.New(store, passiveSettings, tracker.Options{Gate: l, Random: middle})
	if r := ask(t, tr, announceOf(hashed(1), 1)); r.Warning != "" || r.Incomplete != 1 {
		t.Errorf("an unknown torrent is answered %+v", r.AnnounceResponse)
	}
	wantPassive(t, ask(t, tr, announceOf(hashed(2), 1)))
	if n := peers(t, store); n != 1 {
		t.Errorf("%d peers are stored, want 1", n)
	}
}

func TestPeerThatLeavesADeactivatedTorrentIsLetGo(t *testing.T) {
	store, l := memory.New(memory.Options{}), newList()
	tr := tracker.New(store, passiveSettings, tracker.Options{Gate: l, Random: middle})
	ask(t, tr, announceOf(hashed(1), 1))
	l.inactive[hashed(1)] = true
	a := announceOf(hashed(1), 1)
	a.Event = bittorrent.EventStopped
	wantPassive(t, ask(t, tr, a))
	if n := peers(t, store); n != 0 {
		t.Errorf("%d peers are stored, want none", n)
	}
	if len(l.asked) != 0 {
		t.Error("who leaves was taken for one who asks")
	}
}

func TestListIsToldOfStartsAndCompletionsOfActiveTorrentsAlone(t *testing.T) {
	now, never := time.Unix(7, 0), time.Time{}
	for name, test := range map[string]struct {
		event  bittorrent.Event
		left   int64
		active bool
		want   [3]time.Time
	}{
		"start":                      {bittorrent.EventStarted, 1, true, [3]time.Time{now, never, never}},
		"completion":                 {bittorrent.EventCompleted, 0, true, [3]time.Time{never, now, never}},
		"completion with bytes left": {bittorrent.EventCompleted, 1, true, [3]time.Time{}},
		"no event":                   {bittorrent.EventNone, 1, true, [3]time.Time{}},
		"end":                        {bittorrent.EventStopped, 1, true, [3]time.Time{}},
		"start of an unknown one":    {bittorrent.EventStarted, 1, false, [3]time.Time{}},
	} {
		l := newList()
		l.active[hashed(1)] = test.active
		tr := tracker.New(memory.New(memory.Options{}), passiveSettings, tracker.Options{Gate: l})
		a := announceOf(hashed(1), 1)
		a.Event, a.Left = test.event, test.left
		ask(t, tr, a)
		if got := l.heard(hashed(1)); got != test.want {
			t.Errorf("%s: the list heard %v, want %v", name, got, test.want)
		}
	}
}

func TestDeniedTorrentIsRefusedUntilItIsNot(t *testing.T) {
	store, l := memory.New(memory.Options{}), newList()
	l.active[hashed(1)] = true
	s := passiveSettings
	s.Denied = tracker.Denied{hashed(1): {}}
	tr := tracker.New(store, s, tracker.Options{Gate: l})
	if err := tr.Announce(t.Context(), announceOf(hashed(1), 1), new(swarm.Reply)); !errors.Is(err, tracker.ErrDenied) {
		t.Errorf("got %v, want ErrDenied", err)
	}
	if f := tr.Figures(); f.Denied != 1 || peers(t, store) != 0 {
		t.Errorf("figures %+v and %d peers, want one refusal and none stored", f, peers(t, store))
	}
	tr.Apply(passiveSettings)
	if r := ask(t, tr, announceOf(hashed(1), 1)); r.Incomplete != 1 {
		t.Errorf("after the list was emptied: %+v", r.AnnounceResponse)
	}
}

func TestScrapeHasZerosForWhatIsNotServed(t *testing.T) {
	store, l := memory.New(memory.Options{}), newList()
	tr := tracker.New(store, passiveSettings, tracker.Options{Gate: l})
	for h := range byte(4) {
		ask(t, tr, announceOf(hashed(h), 1))
	}
	l.active[hashed(0)], l.inactive[hashed(1)] = true, true
	hashes := []bittorrent.InfoHash{hashed(0), hashed(1), hashed(2), hashed(3)}
	scrape := func(s tracker.Settings) (n [4]uint32) {
		t.Helper()
		tr.Apply(s)
		var counts [4]bittorrent.ScrapeCounts
		if err := tr.Scrape(t.Context(), hashes, counts[:]); err != nil {
			t.Fatal(err)
		}
		for i := range counts {
			n[i] = counts[i].Incomplete
		}
		return n
	}
	s := passiveSettings
	s.Denied = tracker.Denied{hashed(3): {}}
	if got := scrape(s); got != [4]uint32{1, 0, 1, 0} {
		t.Errorf("in open mode %v, want the active and the unknown one", got)
	}
	s.Listed = true
	if got := scrape(s); got != [4]uint32{1, 0, 0, 0} {
		t.Errorf("in listed mode %v, want the active one", got)
	}
}

func TestGateAllocatesNothing(t *testing.T) {
	l := newList()
	l.active[hashed(1)] = true
	s := passiveSettings
	s.Listed, s.Denied = true, tracker.Denied{hashed(9): {}}
	tr := tracker.New(memory.New(memory.Options{}), s, tracker.Options{Gate: l})
	a, r := announceOf(hashed(1), 1), new(swarm.Reply)
	for _, h := range []bittorrent.InfoHash{hashed(1), hashed(2), hashed(9)} {
		a.InfoHash, a.Event = h, bittorrent.EventStarted
		if n := testing.AllocsPerRun(100, func() {
			r.Reset()
			a.NumWant = -1
			_ = tr.Announce(t.Context(), a, r)
		}); n != 0 {
			t.Errorf("%v: %v allocations", h, n)
		}
	}
}

func BenchmarkGate(b *testing.B) {
	l := newList()
	l.active[hashed(1)] = true
	denied := passiveSettings
	denied.Denied = tracker.Denied{hashed(9): {}}
	for _, c := range []struct {
		name     string
		settings tracker.Settings
		gate     tracker.Gate
	}{{"none", passiveSettings, nil}, {"denied", denied, nil}, {"listed", denied, l}} {
		b.Run(c.name, func(b *testing.B) {
			tr := tracker.New(memory.New(memory.Options{}), c.settings, tracker.Options{Gate: c.gate})
			a, r := announceOf(hashed(1), 1), new(swarm.Reply)
			for b.Loop() {
				r.Reset()
				a.NumWant = -1
				_ = tr.Announce(b.Context(), a, r)
			}
		})
	}
}
