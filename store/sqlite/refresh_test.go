package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waggle/bittorrent"
	"waggle/store/sqlite"
	"waggle/swarm"
)

// begin is the first second of a period of ten minutes of the peer that
// announce(1, 1) is.
var begin = func() time.Time {
	a := announce(1, 1)
	const near = 1_700_000_400
	return time.Unix(near-(near+int64(sqlite.ShiftOf(&a.InfoHash, a.Addr())))%600, 0)
}()

// coarse are options of a store that writes mere refreshes every ten minutes, and
// of a clock at start.
func coarse(now time.Time) sqlite.Options {
	o := detailed
	o.RefreshEvery = 10 * time.Minute
	o.Now = func() time.Time { return now }
	return o
}

// onlyPeer returns the one peer of a store.
func onlyPeer(t *testing.T, s swarm.Store) swarm.Peer {
	t.Helper()
	for snapshot, err := range s.Swarms(context.Background()) {
		if err != nil || len(snapshot.Peers) != 1 {
			t.Fatalf("%+v, %v: want one peer", snapshot, err)
		}
		return snapshot.Peers[0]
	}
	t.Fatal("the store is empty")
	return swarm.Peer{}
}

func TestPeerThatOnlyAnnouncesAgainIsWrittenOncePerPeriod(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	s := open(t, path, coarse(begin))
	for _, step := range []struct {
		after    time.Duration
		uploaded int64
		want     int64 // after a restart
	}{
		{0, 1, 1},
		{time.Second, 2, 1},
		{10*time.Minute - time.Second, 3, 1},
		{10 * time.Minute, 4, 4},
		{19 * time.Minute, 5, 4},
		{40 * time.Minute, 6, 6},
		{30*time.Minute - time.Second, 7, 7}, // the clock went back, to another period
	} {
		a := announce(1, 1)
		a.Uploaded, a.Now = step.uploaded, begin.Add(step.after)
		do(t, s, a)
		closeStore(t, s)
		s = open(t, path, coarse(a.Now))
		if got := onlyPeer(t, s).Uploaded; got != step.want {
			t.Errorf("after %v %d is in the file, want %d", step.after, got, step.want)
		}
	}
	closeStore(t, s)
}

func TestOtherKindOrClientIsWrittenAtOnce(t *testing.T) {
	for name, change := range map[string]func(*swarm.Announce){
		"completed":      func(a *swarm.Announce) { a.Left = 0 },
		"partial seed":   func(a *swarm.Announce) { a.Event = bittorrent.EventPaused },
		"other peer id":  func(a *swarm.Announce) { a.PeerID[19]++ },
		"other key":      func(a *swarm.Announce) { a.Key-- },
		"stopped, begun": func(a *swarm.Announce) { a.Event = bittorrent.EventStarted },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "waggle.db")
			s := open(t, path, coarse(begin))
			a := announce(1, 1)
			a.Now = begin
			do(t, s, a)
			if name == "stopped, begun" {
				a.Event = bittorrent.EventStopped
				do(t, s, a)
			}
			change(a)
			a.Uploaded = 77
			do(t, s, a)
			want := contents(t, s)
			closeStore(t, s)
			again := open(t, path, coarse(begin))
			defer closeStore(t, again)
			wantSame(t, contents(t, again), want)
		})
	}
}

func TestRestartTakesPeersAsSeenAtTheLatestTimeTheyCanHaveBeen(t *testing.T) {
	seen := begin.Add(time.Minute)
	for name, test := range map[string]struct{ restart, want time.Time }{
		"within the period":      {begin.Add(7 * time.Minute), begin.Add(7 * time.Minute)},
		"a day later":            {begin.Add(24 * time.Hour), begin.Add(10*time.Minute - time.Second)},
		"by a clock of a decade": {begin.AddDate(10, 0, 0), begin.Add(10*time.Minute - time.Second)},
		"by a clock behind":      {begin, seen},
		"by a clock of 1970":     {time.Unix(0, 0), seen},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "waggle.db")
			s := open(t, path, coarse(seen))
			a := announce(1, 1)
			a.Now = seen
			do(t, s, a)
			closeStore(t, s)
			again := open(t, path, coarse(test.restart))
			defer closeStore(t, again)
			if got := onlyPeer(t, again); !got.Last.Equal(test.want) || !got.First.Equal(seen) {
				t.Errorf("seen from %v to %v, want %v to %v", got.First, got.Last, seen, test.want)
			}
		})
	}
}

func TestStoreWhoseTimesOthersCompareTakesThemAsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	s := open(t, path, coarse(begin))
	a := announce(1, 1)
	a.Now = begin
	do(t, s, a)
	closeStore(t, s)
	exact := coarse(begin.Add(7 * time.Minute))
	exact.AsWritten = true
	again := open(t, path, exact)
	defer closeStore(t, again)
	if got := onlyPeer(t, again).Last; !got.Equal(begin) {
		t.Errorf("seen last at %v, want %v", got, begin)
	}
}

func TestPeerOfAFileWithShorterPeriodsDoesNotExpireEarly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	fine := detailed
	s := open(t, path, fine)
	a := announce(1, 1)
	a.Now = begin
	do(t, s, a)
	closeStore(t, s)

	s = open(t, path, coarse(begin.Add(time.Minute)))
	a.Now = begin.Add(9 * time.Minute) // not written: this period has been
	do(t, s, a)
	closeStore(t, s)

	s = open(t, path, coarse(begin.Add(time.Hour)))
	defer closeStore(t, s)
	if got := onlyPeer(t, s).Last; got.Before(a.Now) {
		t.Errorf("seen last at %v, but it announced at %v", got, a.Now)
	}
}

// TestCoarseHistoriesSurviveRestarts draws announces, stops and restarts, and
// compares what is restored with what was there: the same peers of the same kinds
// and the same counts, none seen earlier than it was, nor a period later.
func TestCoarseHistoriesSurviveRestarts(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprintf("%d.db", n))
		now := begin
		s := open(t, path, coarse(now))
		defer func() { closeStore(t, s) }()
		for range rapid.IntRange(1, 2).Draw(rt, "restarts") {
			for range rapid.IntRange(1, 12).Draw(rt, "announces") {
				now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(rt, "seconds")) * time.Second)
				a := announce(byte(rapid.IntRange(0, 1).Draw(rt, "torrent")), rapid.IntRange(1, 3).Draw(rt, "peer"))
				a.InfoHash[1], a.Now = 0, now
				a.Left = int64(rapid.IntRange(0, 1).Draw(rt, "left"))
				a.Event = bittorrent.Event(rapid.IntRange(0, 4).Draw(rt, "event"))
				do(t, s, a)
			}
			want := contents(t, s)
			closeStore(t, s)
			now = now.Add(time.Duration(rapid.IntRange(0, 1200).Draw(rt, "down")) * time.Second)
			s = open(t, path, coarse(now))
			got := contents(t, s)
			for key, g := range got {
				w, ok := want[key]
				switch {
				case !ok || g.Kind != w.Kind || g.ID != w.ID:
					rt.Fatalf("%s: restored as %+v, was %+v (%v)", key, g, w, ok)
				case g.Last.Before(w.Last) || g.Last.After(w.Last.Add(10*time.Minute)):
					rt.Fatalf("%s: restored as seen at %v, was %v", key, g.Last, w.Last)
				}
			}
			if len(got) != len(want) {
				rt.Fatalf("%d entries, want %d", len(got), len(want))
			}
		}
	})
}
