package tracker_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// meeting is a tracker and what happens to one torrent there.
type meeting struct {
	*tracker.Tracker
	t testing.TB
}

func newMeeting(t testing.TB, details bool) meeting {
	return meeting{tracker.New(memory.New(memory.Options{Details: details}), settings, tracker.Options{
		Now: func() time.Time { return began }, Random: func() float64 { return 0.5 },
	}), t}
}

// client is a leecher at an address, with a key of its own.
func client(n int, addr string, key uint32, event bittorrent.Event, after time.Duration) *swarm.Announce {
	a := announce(n, began.Add(after))
	at := netip.MustParseAddrPort(addr)
	a.From, a.Port, a.Key, a.Event, a.Families = at.Addr(), at.Port(), key, event, swarm.IPv4|swarm.IPv6
	return a
}

func (m meeting) do(a *swarm.Announce) *swarm.Reply {
	m.t.Helper()
	r := new(swarm.Reply)
	if err := m.Announce(m.t.Context(), a, r); err != nil {
		m.t.Fatal(err)
	}
	return r
}

// told returns who a stranger is told of, who leaves again.
func (m meeting) told(after time.Duration) (addrs []string) {
	m.t.Helper()
	r := m.do(client(999, "192.0.2.99:9", 0, bittorrent.EventStarted, after))
	for addr := range r.Peers.All() {
		addrs = append(addrs, addr.String())
	}
	m.do(client(999, "192.0.2.99:9", 0, bittorrent.EventStopped, after))
	slices.Sort(addrs)
	return addrs
}

func (m meeting) want(after time.Duration, addrs ...string) {
	m.t.Helper()
	if got := m.told(after); !slices.Equal(got, addrs) {
		m.t.Errorf("after %v others are told of %v, want %v", after, got, addrs)
	}
}

const (
	started = bittorrent.EventStarted
	stopped = bittorrent.EventStopped
	again   = bittorrent.EventNone
)

func TestStopOfAnotherClientAtTheAddressDoesNotRemoveAPeer(t *testing.T) {
	for _, details := range []bool{true, false} {
		m := newMeeting(t, details)
		m.do(client(1, "10.0.0.1:6881", 7, started, 0))
		m.do(client(2, "10.0.0.1:6881", 8, stopped, time.Minute))
		m.want(time.Minute, "10.0.0.1:6881")
		if f := m.Figures(); f.Kept != 1 {
			t.Errorf("figures %+v, want one peer kept", f)
		}
		m.do(client(1, "10.0.0.1:6881", 7, stopped, 2*time.Minute))
		m.want(2 * time.Minute)
	}
}

func TestStopRemovesAPeerWhereEitherHasNoKeyOrItIsNotKnown(t *testing.T) {
	for name, keys := range map[string][2]uint32{"peer without": {0, 8}, "stop without": {7, 0}, "neither": {0, 0}, "the same": {7, 7}} {
		t.Run(name, func(t *testing.T) {
			m := newMeeting(t, true)
			m.do(client(1, "10.0.0.1:6881", keys[0], started, 0))
			m.do(client(1, "10.0.0.1:6881", keys[1], stopped, time.Minute))
			m.want(time.Minute)
		})
	}
	store := memory.New(memory.Options{})
	before := meeting{tracker.New(store, settings, tracker.Options{}), t}
	before.do(client(1, "10.0.0.1:6881", 7, started, 0))
	after := meeting{tracker.New(store, settings, tracker.Options{}), t} // a restart, or another tracker of the store
	after.do(client(1, "10.0.0.1:6881", 8, stopped, time.Minute))
	after.want(time.Minute)
}

// TestClientWhoseKeyIsAnotherEachTimeIsTheSameByItsID is about aria2 over UDP.
func TestClientWhoseKeyIsAnotherEachTimeIsTheSameByItsID(t *testing.T) {
	m := newMeeting(t, true)
	m.do(client(1, "10.0.0.1:6881", 7, started, 0))
	m.do(client(1, "10.0.0.1:6881", 8, bittorrent.EventCompleted, time.Minute))
	m.do(client(2, "10.0.0.1:6881", 9, stopped, 2*time.Minute))
	m.want(2*time.Minute, "10.0.0.1:6881")
	m.do(client(1, "10.0.0.1:6881", 10, stopped, 3*time.Minute))
	m.want(3 * time.Minute)
}

func TestClientThatBeginsAnewWithAnotherKeyTakesThePeerOver(t *testing.T) {
	m := newMeeting(t, true)
	m.do(client(1, "10.0.0.1:6881", 7, started, 0))
	m.do(client(2, "10.0.0.1:6881", 8, started, time.Minute))
	m.do(client(1, "10.0.0.1:6881", 7, stopped, 2*time.Minute)) // it comes late
	m.want(2*time.Minute, "10.0.0.1:6881")
	m.do(client(2, "10.0.0.1:6881", 8, stopped, 3*time.Minute))
	m.want(3 * time.Minute)
}

func TestPeerThatChangesItsAddressIsToldAtTheNewOneAlone(t *testing.T) {
	for _, details := range []bool{true, false} {
		m := newMeeting(t, details)
		m.do(client(1, "10.0.0.1:6881", 7, started, 0))
		r := m.do(client(1, "10.0.0.2:6999", 7, again, time.Hour))
		if r.Incomplete != 1 || r.Peers.Len() != 0 {
			t.Errorf("the peer is told of %d leechers and %d peers, want itself alone counted", r.Incomplete, r.Peers.Len())
		}
		m.want(time.Hour, "10.0.0.2:6999")
		m.do(client(1, "10.0.0.1:6881", 7, again, 2*time.Hour)) // and back
		m.want(2*time.Hour, "10.0.0.1:6881")
		if f := m.Figures(); f.Moved != 2 {
			t.Errorf("figures %+v, want two moves", f)
		}
	}
}

func TestPeerIsTheSameByTorrentIDKeyAndFamilyTogether(t *testing.T) {
	first := func() *swarm.Announce { return client(1, "10.0.0.1:6881", 7, started, 0) }
	for name, change := range map[string]func(*swarm.Announce){
		"another key":    func(a *swarm.Announce) { a.Key = 8 },
		"no key":         func(a *swarm.Announce) { a.Key = 0 },
		"another id":     func(a *swarm.Announce) { a.PeerID[0]++ },
		"another family": func(a *swarm.Announce) { a.From = netip.MustParseAddr("2001:db8::1") },
		"at once, as a client with two addresses": func(a *swarm.Announce) {
			a.From, a.Now = netip.MustParseAddr("10.0.0.2"), began.Add(time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMeeting(t, true)
			m.do(first())
			b := client(1, "10.0.0.2:6881", 7, started, time.Hour)
			change(b)
			m.do(b)
			if got := m.told(time.Hour); len(got) != 2 {
				t.Errorf("others are told of %v, want both", got)
			}
		})
	}
	m := newMeeting(t, true)
	other := client(1, "10.0.0.2:6881", 7, started, time.Hour)
	other.InfoHash[0]++
	m.do(first())
	m.do(other)
	m.want(time.Hour, "10.0.0.1:6881")
}

func TestClientWithTwoAddressesKeepsBoth(t *testing.T) {
	m := newMeeting(t, true)
	for round := range 5 {
		after := time.Duration(round) * 30 * time.Minute
		m.do(client(1, "10.0.0.1:6881", 7, again, after))
		m.do(client(1, "10.0.0.2:6881", 7, again, after+100*time.Millisecond))
		m.want(after+time.Second, "10.0.0.1:6881", "10.0.0.2:6881")
	}
}

func TestAddressThatAnotherClientHasByNowIsLeftToIt(t *testing.T) {
	m := newMeeting(t, true)
	m.do(client(1, "10.0.0.1:6881", 7, started, 0))
	m.do(client(2, "10.0.0.1:6881", 8, started, time.Hour)) // a lease of addresses ran out
	m.do(client(1, "10.0.0.2:6881", 7, again, 2*time.Hour))
	m.want(2*time.Hour, "10.0.0.1:6881", "10.0.0.2:6881")
}

func TestRecognisedPeersAreBoundedAndTheQuietestGoFirst(t *testing.T) {
	tr := tracker.New(memory.New(memory.Options{}), settings, tracker.Options{Peers: 4})
	m := meeting{tr, t}
	for n := range 100 {
		m.do(client(n, fmt.Sprintf("10.1.0.%d:6881", n), uint32(n)+1, started, time.Duration(n)*time.Second))
	}
	m.do(client(1, "10.1.0.0:6881", 1000, stopped, time.Hour)) // its key is forgotten
	m.do(client(1, "10.1.0.99:6881", 1000, stopped, time.Hour))
	if f := m.Figures(); f.Kept != 1 {
		t.Errorf("figures %+v: want the latest alone remembered", f)
	}
}

func TestTrackerThatRecognisesNobodyTakesAllAsTheyCome(t *testing.T) {
	s := settings
	s.Early = tracker.Early{Warned: 1, Shortened: 1, Refused: 1}
	m := meeting{tracker.New(memory.New(memory.Options{}), s, tracker.Options{Peers: tracker.Nobody}), t}
	m.Warm(make([]bittorrent.InfoHash, 3), make([]netip.AddrPort, 3))
	for range 10 {
		if r := m.do(client(1, "10.0.0.1:6881", 7, again, 0)); r.Warning != "" {
			t.Fatal(r.Warning)
		}
	}
	m.do(client(1, "10.0.0.2:6881", 7, again, time.Hour))
	m.want(time.Hour, "10.0.0.1:6881", "10.0.0.2:6881")
	m.do(client(1, "10.0.0.1:6881", 8, stopped, time.Hour))
	m.want(time.Hour, "10.0.0.2:6881")
}

// steps are what follows when a peer announces so often, each time after a while.
func steps(m meeting, n int, every time.Duration) (out []string) {
	for i := range n {
		a := client(1, "10.0.0.1:6881", 7, again, time.Duration(i)*every)
		var r swarm.Reply
		err := m.Announce(m.t.Context(), a, &r)
		switch refusal, is := errors.AsType[*bittorrent.Refusal](err); {
		case is:
			out = append(out, fmt.Sprint("refused for ", refusal.RetryIn))
		case err != nil:
			m.t.Fatal(err)
		case r.Warning == tracker.WarnEarly:
			out = append(out, fmt.Sprint("warned, ", r.Peers.Len(), " peers"))
		default:
			out = append(out, fmt.Sprint(r.Peers.Len(), " peers"))
		}
	}
	return out
}

func earlyMeeting(t testing.TB, e tracker.Early) meeting {
	s := settings
	s.Early = e
	m := meeting{tracker.New(memory.New(memory.Options{}), s, tracker.Options{
		Now: func() time.Time { return began }, Random: func() float64 { return 0.5 },
	}), t}
	for n := range 20 {
		m.do(announce(100+n, began))
	}
	return m
}

func TestPeerThatAnnouncesTooEarlyIsWarnedThenToldOfFewThenRefused(t *testing.T) {
	m := earlyMeeting(t, tracker.Early{Warned: 2, Shortened: 3, Refused: 4})
	want := []string{
		"20 peers", "20 peers", "warned, 20 peers", "warned, 5 peers", "refused for 11m0s", "refused for 10m0s", "refused for 9m0s",
	}
	if got := steps(m, len(want), time.Minute); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if f := m.Figures(); f.Warned != 2 || f.Shortened != 1 || f.Early != 3 {
		t.Errorf("figures %+v", f)
	}
}

func TestPeerIsAnsweredAgainOnceItIsTimeAndForgivenByAndBy(t *testing.T) {
	m := earlyMeeting(t, tracker.Early{Warned: 2, Shortened: 3, Refused: 4})
	steps(m, 10, time.Second) // nine times too early
	at := func(after time.Duration) (warning string) {
		var r swarm.Reply
		if err := m.Announce(t.Context(), client(1, "10.0.0.1:6881", 7, again, after), &r); err != nil {
			return "refused"
		}
		return r.Warning
	}
	for _, step := range []struct {
		after time.Duration
		want  string
	}{
		{10 * time.Minute, "refused"},
		{15 * time.Minute, ""},
		{16 * time.Minute, "refused"}, // half of what it did is not forgiven
		{30 * time.Minute, ""},
		{45 * time.Minute, ""},
		{46 * time.Minute, tracker.WarnEarly},
		{60 * time.Minute, ""},
		{61 * time.Minute, tracker.WarnEarly},
		{75 * time.Minute, ""},
		{90 * time.Minute, ""},
		{91 * time.Minute, ""},
	} {
		if got := at(step.after); got != step.want {
			t.Errorf("after %v: %q, want %q", step.after, got, step.want)
		}
	}
}

func TestHonestClientsAreNeverTooEarly(t *testing.T) {
	strict := tracker.Early{Warned: 1, Shortened: 1, Refused: 1}
	for name, announces := range map[string][]*swarm.Announce{
		"in time, less a quarter": {client(1, "10.0.0.1:1", 7, started, 0), client(1, "10.0.0.1:1", 7, again, 12*time.Minute), client(1, "10.0.0.1:1", 7, again, 24*time.Minute)},
		"events": {
			client(1, "10.0.0.1:1", 7, started, 0), client(1, "10.0.0.1:1", 7, bittorrent.EventCompleted, time.Second),
			client(1, "10.0.0.1:1", 7, stopped, 2*time.Second), client(1, "10.0.0.1:1", 7, started, 3*time.Second), client(1, "10.0.0.1:1", 7, stopped, 4*time.Second),
		},
		"a client that begins anew without a stop": {client(1, "10.0.0.1:1", 7, started, 0), client(2, "10.0.0.1:1", 8, started, time.Second)},
		"others behind a NAT":                      {client(1, "10.0.0.1:1", 7, started, 0), client(2, "10.0.0.1:2", 8, started, time.Second), client(1, "10.0.0.1:1", 7, again, 15*time.Minute)},
		"loopback":                                 {client(1, "127.0.0.1:1", 7, again, 0), client(1, "127.0.0.1:1", 7, again, 1)},
		"an unlimited network":                     {client(1, "10.9.0.1:1", 7, again, 0), client(1, "10.9.0.1:1", 7, again, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			m := earlyMeeting(t, strict)
			s := settings
			s.Early, s.Unlimited = strict, []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
			m.Apply(s)
			for i, a := range announces {
				if r := m.do(a); r.Warning != "" {
					t.Errorf("announce %d: %s", i, r.Warning)
				}
			}
		})
	}
}

func TestNobodyIsTooEarlyWithoutALeastIntervalOrAfterAFaultOfTheStore(t *testing.T) {
	s := settings
	s.MinInterval, s.Early = 0, tracker.Early{Refused: 1}
	m := meeting{tracker.New(memory.New(memory.Options{}), s, tracker.Options{}), t}
	for range 3 {
		m.do(client(1, "10.0.0.1:1", 7, again, 0))
	}
	s.MinInterval = settings.MinInterval
	faulty := &failingOnce{Store: memory.New(memory.Options{})}
	m = meeting{tracker.New(faulty, s, tracker.Options{}), t}
	if err := m.Announce(t.Context(), client(1, "10.0.0.1:1", 7, again, 0), new(swarm.Reply)); !errors.Is(err, tracker.ErrStore) {
		t.Fatal(err)
	}
	m.do(client(1, "10.0.0.1:1", 7, again, time.Second))
}

func TestRepeatedEventIsTooEarlyAsAnyOther(t *testing.T) {
	m := earlyMeeting(t, tracker.Early{Refused: 2})
	m.do(client(1, "10.0.0.1:1", 7, started, 0))
	m.do(client(1, "10.0.0.1:1", 7, started, time.Second)) // the answer may have been lost
	if err := m.Announce(t.Context(), client(1, "10.0.0.1:1", 7, started, 2*time.Second), new(swarm.Reply)); err == nil {
		t.Error("a peer that starts all the time is answered")
	}
}

func TestWhatAPeerWasToldCountsAndNotTheLeastInterval(t *testing.T) {
	s := settings
	s.Early, s.Rate = tracker.Early{Refused: 1}, 1 // intervals are lengthened
	m := meeting{tracker.New(memory.New(memory.Options{}), s, tracker.Options{Now: func() time.Time { return began }, Random: func() float64 { return 0.5 }}), t}
	told := m.do(client(1, "10.0.0.1:1", 7, again, 0)).MinInterval
	for n := range 1500 { // appointments until 25 minutes later
		_ = m.Announce(t.Context(), client(2+n, fmt.Sprintf("10.2.%d.%d:1", n>>8, n&255), 7, again, time.Duration(n)*time.Second/2), new(swarm.Reply))
	}
	r := m.do(client(1, "10.0.0.1:1", 7, again, 15*time.Minute))
	if r.MinInterval <= told {
		t.Fatalf("told %v and then %v: the load lengthens nothing", told, r.MinInterval)
	}
	if err := m.Announce(t.Context(), client(1, "10.0.0.1:1", 7, again, 15*time.Minute+settings.MinInterval), new(swarm.Reply)); err == nil {
		t.Errorf("told %v, a peer is answered after %v", r.MinInterval, settings.MinInterval)
	}
}

// failingOnce is a store whose first announce fails.
type failingOnce struct {
	swarm.Store
	once sync.Once
}

func TestAddressIsSilencedAfterManyRefusalsAndNotForEver(t *testing.T) {
	m := earlyMeeting(t, tracker.Early{Refused: 1, PerAddress: 10})
	ip, neighbour := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	offend := func(n int, after time.Duration) {
		for i := range n {
			_ = m.Announce(t.Context(), client(1, fmt.Sprintf("10.0.0.1:%d", 1+i), 7, again, after), new(swarm.Reply))
		}
	}
	offend(11, 0)
	offend(10, time.Second)
	if err := m.Admit(ip, began.Add(time.Second)); err != nil {
		t.Fatalf("after 10 refusals: %v", err)
	}
	offend(1, 2*time.Second)
	refusal, is := errors.AsType[*bittorrent.Refusal](m.Admit(ip, began.Add(3*time.Second)))
	if !is || refusal.RetryIn != 10*time.Minute {
		t.Errorf("after 11 refusals: %+v", refusal)
	}
	if err := m.Admit(neighbour, began.Add(3*time.Second)); err != nil {
		t.Errorf("the neighbour: %v", err)
	}
	if err := m.Admit(ip, began.Add(9*time.Minute)); err == nil {
		t.Error("after nine minutes the address is looked at")
	}
	if err := m.Admit(ip, began.Add(13*time.Minute)); err != nil {
		t.Errorf("after 13 minutes: %v", err)
	}
	if f := m.Figures(); f.Silenced != 2 {
		t.Errorf("figures %+v, want two requests silenced", f)
	}
}

func TestRecognisingPeersAllocatesNothing(t *testing.T) {
	m := earlyMeeting(t, tracker.Early{Warned: 1, Shortened: 2, Refused: 3})
	a, r := client(1, "10.0.0.1:6881", 7, again, 0), new(swarm.Reply)
	n := 0
	if allocs := testing.AllocsPerRun(100, func() {
		r.Reset()
		a.NumWant = 50
		_ = m.Announce(t.Context(), a, r)
		n++
	}); allocs != 0 || m.Figures().Early == 0 {
		t.Errorf("%v allocations for an announce, of %d, figures %+v", allocs, n, m.Figures())
	}
}

func TestPeersMeetConcurrently(t *testing.T) {
	m := newMeeting(t, true)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 300 {
				n := (g + i) % 20
				a := client(n, fmt.Sprintf("10.0.%d.%d:6881", i%3, n), uint32(n)+1, bittorrent.Event(i%4), time.Duration(i)*time.Minute)
				_ = m.Announce(t.Context(), a, new(swarm.Reply))
				m.Warm([]bittorrent.InfoHash{a.InfoHash}, []netip.AddrPort{a.Addr()})
			}
		})
	}
	group.Wait()
}

func (f *failingOnce) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) (err error) {
	err = f.Store.Announce(ctx, a, r)
	f.once.Do(func() { err = errors.New("the disk is full") })
	return err
}
