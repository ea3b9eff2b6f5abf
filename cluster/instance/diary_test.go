package instance_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/bittorrent"
	"waggle/cluster"
	"waggle/cluster/instance"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// logged starts an instance, and returns what it logs.
func logged(t *testing.T) (*port, *lines, *instance.Store) {
	t.Helper()
	l, log, store := &lan{ports: map[netip.AddrPort]*port{}}, new(lines), memory.New(memory.Options{})
	p := l.plug(1)
	in := instance.Start(instance.Options{
		Node: cluster.Options{Times: cluster.Document, Lifetime: lifetime, MaxRows: 2}, Carrier: p,
		Tracker: tracker.New(store, tracker.Settings{Interval: time.Hour}, tracker.Options{}), Counts: store,
		Log: slog.New(slog.NewTextHandler(log, nil)), Answer: func(*cluster.Request) {},
	})
	t.Cleanup(in.Close)
	return p, log, &instance.Store{Store: store, In: in}
}

func wantLines(t *testing.T, log *lines, words string, want int) {
	t.Helper()
	if n := strings.Count(log.text(), words); n != want {
		t.Errorf("%q is said %d times, want %d:\n%s", words, n, want, log.text())
	}
}

func TestNetworkThatFailsIsSaidOnceAndWhenItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, log, _ := logged(t)
		time.Sleep(5 * time.Second)
		p.become(func() { p.figures.Failed++ }) // one packet alone
		time.Sleep(5 * time.Second)
		wantLines(t, log, "cannot be reached", 0)
		for n := range 2 {
			p.become(func() { p.broken, p.figures.Fault = true, "the cable is eaten" })
			time.Sleep(time.Minute)
			wantLines(t, log, `cannot be reached" error="the cable is eaten"`, n+1)
			wantLines(t, log, "sent to again", n)
			p.become(func() { p.broken = false })
			time.Sleep(time.Minute)
			wantLines(t, log, "sent to again", n+1)
		}
		wantLines(t, log, "cannot be reached", 2)
		wantLines(t, log, "invalid", 0) // address
	})
}

func TestAnotherSecretIsSaidWithinSecondsAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, log, _ := logged(t)
		for range 60 {
			p.become(func() {
				p.figures.Forged, p.figures.Stranger = p.figures.Forged+1, netip.MustParseAddrPort("10.0.0.9:1")
			})
			time.Sleep(time.Second)
			if !strings.Contains(log.text(), "has another secret or none") {
				t.Fatal("it is not said")
			}
		}
		wantLines(t, log, "has another secret or none", 1)
		wantLines(t, log, "from=10.0.0.9:1", 1)
		p.become(func() { p.figures.Lost++ })
		time.Sleep(time.Minute)
		wantLines(t, log, "no more packets come that are none of this cluster's", 1)
		wantLines(t, log, "and are lost", 1)
	})
}

func TestClusterThatIsFullTurnsAwayAndSaysSoOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, log, store := logged(t)
		time.Sleep(5 * time.Second)
		for n := range uint16(20) {
			a := swarm.Announce{From: netip.MustParseAddr("10.1.0.1"), Now: time.Now()}
			a.Port, a.Left = 1000+n, 1
			if err := store.Announce(t.Context(), &a, new(swarm.Reply)); n < 2 && err != nil || n >= 2 && !errors.Is(err, swarm.ErrBusy) {
				t.Errorf("peer %d: %v", n, err)
			}
			time.Sleep(time.Second)
		}
		wantLines(t, log, "raise cluster.max_rows", 1)
	})
}

func TestWhoCannotWaitIsTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, store := logged(t) // which listens for others yet
		a := swarm.Announce{From: netip.MustParseAddr("10.1.0.1"), Now: time.Now()}
		a.Port, a.Left = 1000, 1
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := store.Announce(ctx, &a, new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestInstanceWhoseNetworkIsClosedEndsAndKeepsItsCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lan{ports: map[netip.AddrPort]*port{}}
		x := l.start(t, 1)
		time.Sleep(5 * time.Second)
		for _, left := range []int64{1, 0} {
			e := bittorrent.EventStarted
			if left == 0 {
				e = bittorrent.EventCompleted
			}
			if _, err := x.announce(1, left, e); err != nil {
				t.Fatal(err)
			}
		}
		close(x.port.in)
		synctest.Wait()
		if rows, err := x.in.Counts(t.Context()); err != nil || len(rows) != 1 || !x.in.Ended() {
			t.Errorf("it has ended: %v; %+v, %v", x.in.Ended(), rows, err)
		}
	})
}
