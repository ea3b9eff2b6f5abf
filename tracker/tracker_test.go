package tracker_test

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var settings = tracker.Settings{
	Interval: 30 * time.Minute, MinInterval: 15 * time.Minute, PeerLifetime: 45 * time.Minute,
	NumWant: 50, MaxNumWant: 200,
}

func announce(n int, at time.Time) *swarm.Announce {
	return &swarm.Announce{
		AnnounceRequest: bittorrent.AnnounceRequest{
			InfoHash: bittorrent.InfoHash{1}, PeerID: bittorrent.PeerID{byte(n >> 8), byte(n)},
			Port: 6881, Left: 1, NumWant: -1,
		},
		From: netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), Now: at, Families: swarm.IPv4,
	}
}

func TestIntervalHasJitterOfATenthAndIsNeverBelowTheMinimum(t *testing.T) {
	var random float64
	options := tracker.Options{Random: func() float64 { return random }}
	tr := tracker.New(memory.New(memory.Options{}), settings, options)
	for value, want := range map[float64]time.Duration{0: 27 * time.Minute, 0.5: 30 * time.Minute, 0.75: 31*time.Minute + 30*time.Second} {
		random = value
		var r swarm.Reply
		if err := tr.Announce(t.Context(), announce(1, time.Unix(1, 0)), &r); err != nil {
			t.Fatal(err)
		}
		if (r.Interval-want).Abs() > time.Millisecond || r.MinInterval != 15*time.Minute {
			t.Errorf("random %v: interval %v, min interval %v; want %v and 15m", value, r.Interval, r.MinInterval, want)
		}
	}
	close := settings
	close.MinInterval = 29 * time.Minute
	tr.Apply(close)
	random = 0
	var r swarm.Reply
	if err := tr.Announce(t.Context(), announce(1, time.Unix(1, 0)), &r); err != nil || r.Interval != close.MinInterval {
		t.Errorf("interval %v, %v, want the minimum of %v", r.Interval, err, close.MinInterval)
	}
}

func TestNumWantIsReplacedByWhatTheTrackerAllows(t *testing.T) {
	tr := tracker.New(memory.New(memory.Options{}), settings, tracker.Options{})
	for n := range 300 {
		if err := tr.Announce(t.Context(), announce(n, time.Unix(1, 0)), new(swarm.Reply)); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ numwant, room, want int32 }{
		{-1, 0, 50}, {-9, 0, 50}, {0, 0, 0}, {7, 0, 7}, {200, 0, 200}, {1 << 30, 0, 200}, {-1, 20, 20}, {100, 67, 67}, {3, 67, 3},
	} {
		a := announce(1, time.Unix(1, 0))
		a.NumWant, a.Room = test.numwant, test.room
		var r swarm.Reply
		if err := tr.Announce(t.Context(), a, &r); err != nil || r.Peers.Len() != int(test.want) {
			t.Errorf("numwant %d, room %d: %d peers, %v, want %d", test.numwant, test.room, r.Peers.Len(), err, test.want)
		}
	}
}

func TestPeersThatNobodyCouldReachAreRefused(t *testing.T) {
	tr := tracker.New(memory.New(memory.Options{}), settings, tracker.Options{})
	for name, spoil := range map[string]func(*swarm.Announce){
		"port 0":      func(a *swarm.Announce) { a.Port = 0 },
		"no address":  func(a *swarm.Announce) { a.From = netip.Addr{} },
		"unspecified": func(a *swarm.Announce) { a.From = netip.IPv4Unspecified() },
		"multicast":   func(a *swarm.Announce) { a.From = netip.MustParseAddr("ff02::1") },
	} {
		a := announce(1, time.Unix(1, 0))
		spoil(a)
		var refusal bittorrent.Error
		if err := tr.Announce(t.Context(), a, new(swarm.Reply)); !errors.As(err, &refusal) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	if f := tr.Figures(); f.Refused != 4 || f.Announces != 4 {
		t.Errorf("figures %+v, want 4 announces refused", f)
	}
}

func TestCompletedDownloadsAndPeersToldAreCounted(t *testing.T) {
	tr := tracker.New(memory.New(memory.Options{}), settings, tracker.Options{})
	var r swarm.Reply
	for n, event := range []bittorrent.Event{bittorrent.EventStarted, bittorrent.EventCompleted, bittorrent.EventNone} {
		a := announce(n+1, time.Unix(1, 0))
		a.Event = event
		r.Reset()
		if err := tr.Announce(t.Context(), a, &r); err != nil {
			t.Fatal(err)
		}
	}
	if f := tr.Figures(); f.Completed != 1 || f.Told != 3 || f.Announces != 3 {
		t.Errorf("figures %+v, want one completed of three, and 0, 1 and 2 peers told", f)
	}
}

// brokenStore fails at everything, with details that strangers must not read.
type brokenStore struct{}

var errSecret = errors.New("dial tcp 10.0.0.5:6379: password wrong")

func (brokenStore) Announce(context.Context, *swarm.Announce, *swarm.Reply) error { return errSecret }

func (brokenStore) Scrape(context.Context, []bittorrent.InfoHash, []bittorrent.ScrapeCounts) error {
	return errSecret
}
func (brokenStore) Expire(context.Context, time.Time) (int, error)          { return 0, errSecret }
func (brokenStore) Swarms(context.Context) iter.Seq2[swarm.Snapshot, error] { return nil }
func (brokenStore) Totals(context.Context) (swarm.Totals, error)            { return swarm.Totals{}, errSecret }
func (brokenStore) Close() error                                            { return nil }

func TestStoreThatFailsIsCountedAndKeptFromStrangers(t *testing.T) {
	tr := tracker.New(brokenStore{}, settings, tracker.Options{})
	if err := tr.Announce(t.Context(), announce(1, time.Unix(1, 0)), new(swarm.Reply)); !errors.Is(err, tracker.ErrStore) {
		t.Errorf("announce: %v, want ErrStore", err)
	}
	if err := tr.Scrape(t.Context(), make([]bittorrent.InfoHash, 1), make([]bittorrent.ScrapeCounts, 1)); !errors.Is(err, tracker.ErrStore) {
		t.Errorf("scrape: %v, want ErrStore", err)
	}
	if err := tr.CleanOnce(t.Context()); !errors.Is(err, errSecret) {
		t.Errorf("cleaning: %v, want the store's error", err)
	}
	if f := tr.Figures(); f.Failed != 3 || !errors.Is(tr.LastFailure(), errSecret) {
		t.Errorf("figures %+v, last failure %v; want 3 failures", f, tr.LastFailure())
	}
}

func TestSilentPeersAreForgottenAndThoseOnTimeAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New(memory.Options{})
		tr := tracker.New(store, settings, tracker.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		go tr.Clean(ctx)
		var stop atomic.Bool
		go func() { // a peer that keeps to the longest interval that it may be told
			for !stop.Load() {
				_ = tr.Announce(ctx, announce(1, tr.Now()), new(swarm.Reply))
				time.Sleep(33 * time.Minute)
			}
		}()
		_ = tr.Announce(ctx, announce(2, tr.Now()), new(swarm.Reply))

		for range 44 {
			time.Sleep(time.Minute)
			if n, _ := store.Totals(ctx); n.Peers != 2 {
				t.Fatalf("%d peers within the lifetime, want 2", n.Peers)
			}
		}
		time.Sleep(3 * time.Minute)
		for range 600 {
			time.Sleep(time.Minute)
			if n, _ := store.Totals(ctx); n.Peers != 1 {
				t.Fatalf("%d peers, want the one that is on time", n.Peers)
			}
		}
		if f := tr.Figures(); f.Expired != 1 {
			t.Errorf("%d expired, want 1", f.Expired)
		}
		stop.Store(true)
		cancel()
		time.Sleep(time.Hour)
	})
}

// found is what is known of whether peers can be connected to.
type found map[netip.AddrPort]swarm.Reach

func (f found) Of(addr netip.AddrPort) swarm.Reach { return f[addr] }

func TestClientThatCannotBeConnectedToIsWarnedWhereThatIsWanted(t *testing.T) {
	at := time.Unix(1, 0)
	reach := found{announce(1, at).Addr(): swarm.Unreachable, announce(2, at).Addr(): swarm.Reachable}
	var recorded []swarm.Reach
	tr := tracker.New(memory.New(memory.Options{}), settings, tracker.Options{Reach: reach, Recorders: []tracker.Recorder{
		recorderFunc(func(a *swarm.Announce) { recorded = append(recorded, a.Reach) }),
	}})
	for _, warn := range []bool{false, true} {
		s := settings
		s.WarnUnreachable = warn
		tr.Apply(s)
		for n := range 3 {
			var r swarm.Reply
			a := announce(n+1, at)
			if err := tr.Announce(t.Context(), a, &r); err != nil {
				t.Fatal(err)
			}
			if want := warn && n == 0; (r.Warning == tracker.WarnUnreachable) != want {
				t.Errorf("peer %d is told %q", n+1, r.Warning)
			}
		}
	}
	want := []swarm.Reach{swarm.Unreachable, swarm.Reachable, swarm.ReachUnknown}
	if !slices.Equal(recorded, append(want, want...)) {
		t.Errorf("announces have %v", recorded)
	}
}
