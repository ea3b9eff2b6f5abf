package tracker_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// atlas is a locator that has racks by the third byte of an address. It must be
// asked slowly for those of rack 9, which it then learns.
type atlas struct {
	tree  *locality.Tree
	slow  map[netip.Addr]bool
	delay time.Duration
}

func newAtlas(t *testing.T) *atlas {
	t.Helper()
	tree, err := locality.NewTree(100, "rack")
	if err != nil {
		t.Fatal(err)
	}
	return &atlas{tree: tree, slow: map[netip.Addr]bool{}}
}

func (l *atlas) find(ip netip.Addr) *locality.Group {
	rack := ip.As4()[2]
	if rack == 0 {
		return nil
	}
	g, err := l.tree.Group([...]string{1: "r1", 9: "r9"}[rack])
	if err != nil {
		panic(err)
	}
	return g
}

func (l *atlas) Cached(ip netip.Addr, _ time.Time) (*locality.Group, bool) {
	if ip.As4()[2] == 9 && !l.slow[ip] {
		return nil, false
	}
	return l.find(ip), true
}

func (l *atlas) Locate(_ context.Context, ip netip.Addr) *locality.Group {
	time.Sleep(l.delay)
	l.slow[ip] = true
	return l.find(ip)
}

// located returns the settings of a tracker with a locator.
func located(t *testing.T) tracker.Settings {
	t.Helper()
	s := settings
	s.Policies.ByName = map[string]*swarm.Policy{}
	for _, profile := range swarm.Profiles {
		p, err := swarm.NewPolicy(profile, 15*time.Second, 5*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		s.Policies.ByName[profile] = &p
	}
	s.Policies.Default = s.Policies.ByName["strict"]
	s.ProbeInterval = 5 * time.Second
	return s
}

// inRack is an announce of peer n of a rack.
func inRack(rack, n byte, at time.Time) *swarm.Announce {
	a := announce(int(rack)<<8|int(n), at)
	a.From = netip.AddrFrom4([4]byte{10, 0, rack, n})
	return a
}

// say lets a peer announce as a frontend does.
func say(t *testing.T, tr *tracker.Tracker, a *swarm.Announce) *swarm.Reply {
	t.Helper()
	if !tr.Locate(a) {
		tr.AwaitLocation(t.Context(), a)
	}
	return ask(t, tr, a)
}

func TestWhoImportsIsToldToAnnounceOftenAndOthersSeldom(t *testing.T) {
	tr := tracker.New(memory.New(memory.Options{}), located(t), tracker.Options{Locator: newAtlas(t), Random: func() float64 { return 0.5 }})
	now := time.Unix(1000, 0)
	for n, want := range []time.Duration{15 * time.Second, 15 * time.Second, 5 * time.Minute, 5 * time.Minute} {
		r := say(t, tr, inRack(1, byte(n+1), now))
		if r.Interval.Round(time.Millisecond) != want || r.MinInterval > r.Interval {
			t.Errorf("host %d: interval %v, min interval %v; want %v", n, r.Interval, r.MinInterval, want)
		}
	}
	if r := say(t, tr, inRack(0, 1, now)); r.Interval.Round(time.Millisecond) != settings.Interval {
		t.Errorf("an unlocated peer is told %v", r.Interval)
	}
	if f := tr.Figures(); f.Located != 4 || f.Unlocated != 1 {
		t.Errorf("located %d, unlocated %d", f.Located, f.Unlocated)
	}
}

// profiled is a gate whose torrent 1 has a policy of its own.
type profiled struct{ *list }

func (profiled) Profile(h *bittorrent.InfoHash) string {
	if h[0] == 1 {
		return "balanced"
	}
	return ""
}

func TestTorrentHasThePolicyOfItsProfile(t *testing.T) {
	gate := profiled{newList()}
	gate.active[hashed(1)], gate.active[hashed(2)] = true, true
	store := memory.New(memory.Options{})
	tr := tracker.New(store, located(t), tracker.Options{Locator: newAtlas(t), Gate: gate})
	for h, want := range map[byte]int{1: 2, 2: 1} {
		for n := range 4 {
			a := inRack(1, byte(n+1), time.Unix(1000, 0))
			a.InfoHash = hashed(h)
			say(t, tr, a)
		}
		places, err := store.Places(t.Context(), hashed(h))
		if err != nil || len(places) != 1 || len(places[0].Importers) != want {
			t.Errorf("torrent %d: %+v, %v; want %d importers", h, places, err, want)
		}
	}
}

func TestAddressThatIsNotKnownIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAtlas(t)
		l.delay = time.Second
		tr := tracker.New(memory.New(memory.Options{}), located(t), tracker.Options{Locator: l})
		a := inRack(9, 1, time.Now())
		if tr.Locate(a) {
			t.Fatal("it is known at once")
		}
		before := time.Now()
		say(t, tr, a)
		if waited := time.Since(before); waited != time.Second || a.Location == nil || a.Location.Path() != "r9" {
			t.Errorf("after %v it is at %v", waited, a.Location)
		}
		if !tr.Locate(a) {
			t.Error("it is not known afterwards")
		}
	})
}

func TestImporterThatCannotBeConnectedToAnyMoreIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // of both
		var tried []netip.AddrPort
		var dead netip.Addr
		options := tracker.Options{Locator: newAtlas(t), Dial: func(_ context.Context, addr netip.AddrPort) error {
			mu.Lock()
			defer mu.Unlock()
			tried = append(tried, addr)
			if addr.Addr() == dead {
				return errors.New("refused")
			}
			return nil
		}}
		store := memory.New(memory.Options{})
		tr := tracker.New(store, located(t), options)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { tr.Tend(ctx); close(ended) }()
		importer, standby, other := inRack(1, 1, time.Now()), inRack(1, 2, time.Now()), inRack(1, 3, time.Now())
		for _, a := range []*swarm.Announce{importer, standby, other} {
			say(t, tr, a)
		}
		time.Sleep(8 * time.Second)
		mu.Lock()
		dead = importer.From
		mu.Unlock()
		time.Sleep(12 * time.Second)
		places, err := store.Places(t.Context(), importer.InfoHash)
		if err != nil || len(places) != 1 || !slices.Equal(places[0].Importers, []netip.AddrPort{standby.Addr()}) {
			t.Errorf("%+v, %v", places, err)
		}
		cancel()
		<-ended
		if slices.Contains(tried, other.Addr()) {
			t.Error("somebody was tried whom nobody depends on")
		}
		if f := tr.Figures(); f.Dead != 1 || f.Probes == 0 {
			t.Errorf("%+v", f)
		}
	})
}

func TestLocatedPeerThatFallsSilentIsForgottenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := located(t)
		s.ProbeInterval = 0
		store := memory.New(memory.Options{})
		tr := tracker.New(store, s, tracker.Options{Locator: newAtlas(t)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { tr.Tend(ctx); close(ended) }()
		for range 4 {
			say(t, tr, inRack(1, 1, time.Now()))
			time.Sleep(15 * time.Second)
		}
		if n := peers(t, store); n != 1 {
			t.Errorf("%d peers after 15 seconds", n)
		}
		time.Sleep(25 * time.Second)
		if n := peers(t, store); n != 0 {
			t.Errorf("%d peers after 40 seconds of silence, with an interval of 15", n)
		}
		cancel()
		<-ended
	})
}

func TestLocatedAnnounceAllocatesNothing(t *testing.T) {
	tr := tracker.New(memory.New(memory.Options{}), located(t), tracker.Options{Locator: newAtlas(t)})
	a := inRack(1, 1, time.Unix(1000, 0))
	var r swarm.Reply
	for n := range 40 {
		say(t, tr, inRack(1, byte(n+1), a.Now))
	}
	if n := testing.AllocsPerRun(100, func() {
		r.Reset()
		tr.Locate(a)
		if err := tr.Announce(t.Context(), a, &r); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
