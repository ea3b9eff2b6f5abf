package events

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/events/signature"
	"waggle/swarm"
)

func TestBatchGoesWhenItIsFullOrOldEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := someSettings(), &receiver{}
		s.Batch, s.Every = 3, 10*time.Second
		st := stream(t, t.TempDir(), s, r)
		defer closed(t, st)
		began := time.Now()
		for n := range 7 {
			st.Announce(anAnnounce(n + 1))
		}
		time.Sleep(s.Every / 2)
		if got := r.left(); len(got) != 6 {
			t.Errorf("half a time later it has %v", got)
		}
		time.Sleep(s.Every)
		all, tries := r.got()
		if len(all) != 3 || !slices.Equal(r.left(), []int{1, 2, 3, 4, 5, 6, 7}) {
			t.Fatalf("it has %+v", all)
		}
		for i, p := range all {
			if p.Tracker != "ams1" || p.Sequence != uint64(i+1) || p.Lost != 0 || !strings.HasSuffix(p.Batch, "-"+string(rune('1'+i))) {
				t.Errorf("batch %d is %+v", i, p)
			}
		}
		if late := tries[2].Sub(began); late > s.Every+s.Every/ticks {
			t.Errorf("the last came after %v", late)
		}
		f := st.Figures()
		if e := f.Ends[0]; f.Taken != 7 || e.Sent != 7 || e.Batches != 3 || e.Failed+e.Lost+e.Waiting != 0 || e.Oldest != 0 || e.Problem != "" || e.Target != "a test" || e.Last.IsZero() {
			t.Errorf("%+v", f)
		}
	})
}

func TestBatchIsAtMostAsLongAsANATSTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := someSettings(), &receiver{}
		s.Batch, s.Compress = 10000, true
		st := stream(t, "", s, r)
		defer closed(t, st)
		for range 2 {
			for n := range 200 {
				a := anAnnounce(n)
				a.Credentials.Agent = strings.Repeat("\x01", agentRoom)
				for range 5 {
					st.Announce(a)
				}
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			time.Sleep(s.Every / ticks)
		}
		time.Sleep(2 * s.Every)
		all, _ := r.got()
		events := 0
		for _, p := range all {
			events += len(p.Events)
		}
		if len(all) < 2 || events != 2000 {
			t.Errorf("%d batches of %d events", len(all), events)
		}
	})
}

func TestEndThatFailsIsTriedEverMoreSeldomAndGetsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := &receiver{fail: func(try int) error {
			if try <= 10 {
				return errors.New("not now")
			}
			return nil
		}}
		st, err := tryStream(t.TempDir(), someSettings(), slog.New(slog.NewTextHandler(&log, nil)), r)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 5 {
			st.Announce(anAnnounce(n + 1))
			time.Sleep(2 * time.Second)
		}
		if e := st.Figures().Ends[0]; e.Problem != "not now" || e.Since.IsZero() || e.Waiting < 4 || e.Oldest < time.Second || e.Failed == 0 {
			t.Errorf("while it fails: %+v", e)
		}
		time.Sleep(15 * longWait)
		all, tries := r.got()
		if !slices.Equal(r.left(), []int{1, 2, 3, 4, 5}) || all[0].Lost != 0 {
			t.Errorf("it has %+v", all)
		}
		if len(tries) != 15 {
			t.Fatalf("%d attempts", len(tries))
		}
		for i := range 10 {
			wait, most := tries[i+1].Sub(tries[i]), min(firstWait<<i, longWait)
			if wait < most/2 || wait > most {
				t.Errorf("attempt %d comes after %v, want %v to %v", i+2, wait, most/2, most)
			}
		}
		closed(t, st)
		if text := log.String(); strings.Count(text, "cannot be delivered") != 1 || strings.Count(text, "delivered again") != 1 {
			t.Errorf("the log says\n%s", text)
		}
	})
}

func TestEndMaySayWhenToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := []time.Duration{0, 5 * time.Minute, 10 * mostWait}
		r := &receiver{fail: func(try int) error {
			if try < len(waits) {
				return &later{errors.New("later"), waits[try]}
			}
			return nil
		}}
		st := stream(t, t.TempDir(), someSettings(), r)
		defer closed(t, st)
		st.Announce(anAnnounce(1))
		time.Sleep(time.Hour)
		_, tries := r.got()
		if len(tries) != 3 || tries[1].Sub(tries[0]) != waits[1] || tries[2].Sub(tries[1]) != mostWait {
			t.Errorf("attempts at %v", tries)
		}
	})
}

func TestReloadHasEndsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{fail: func(int) error { return &later{errors.New("later"), mostWait} }}
		st := stream(t, t.TempDir(), someSettings(), r)
		defer closed(t, st)
		st.Announce(anAnnounce(1))
		time.Sleep(mostWait / 2)
		r.set(nil, false)
		st.Apply(someSettings())
		synctest.Wait()
		if !slices.Equal(r.left(), []int{1}) {
			t.Errorf("it has %v", r.left())
		}
	})
}

func TestOneEndDoesNotWaitForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, bad := &receiver{}, &receiver{hang: true}
		directory := t.TempDir()
		st := stream(t, directory, someSettings(), good, bad)
		for n := range 5 {
			st.Announce(anAnnounce(n + 1))
			time.Sleep(2 * time.Second)
		}
		want := []int{1, 2, 3, 4, 5}
		if !slices.Equal(good.left(), want) || len(bad.left()) != 0 {
			t.Errorf("the good one has %v, the other %v", good.left(), bad.left())
		}
		time.Sleep(10 * time.Second)
		if f := st.Figures(); f.Ends[0].Waiting != 0 || f.Ends[1].Waiting != 5 || f.Ends[1].Problem != "it did not answer within 10s" || f.OnDisk == 0 {
			t.Errorf("%+v", f)
		}
		bad.set(nil, false)
		time.Sleep(longWait)
		if !slices.Equal(bad.left(), want) || !slices.Equal(good.left(), want) {
			t.Errorf("the good one has %v, the other %v", good.left(), bad.left())
		}
		closed(t, st)
	})
}

func TestSettingsChangeWhileEventsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		s := someSettings()
		s.Secrets = [][]byte{[]byte("not that of the receiver")}
		st := stream(t, t.TempDir(), s, r)
		defer closed(t, st)
		st.Announce(anAnnounce(1))
		time.Sleep(time.Minute)
		if e := st.Figures().Ends[0]; e.Problem != signature.ErrSignature.Error() {
			t.Errorf("%+v", e)
		}
		s = someSettings()
		s.Secrets, s.Addresses, s.Every = [][]byte{[]byte("that comes soon, all over"), secret}, false, 10*time.Second
		st.Apply(s)
		st.Announce(anAnnounce(2))
		time.Sleep(time.Minute)
		all, _ := r.got()
		if len(all) != 2 || all[0].Events[0].Address == "" || all[1].Events[0].Address != "" {
			t.Errorf("it has %+v", all)
		}
	})
}

func TestEndDeliversWhatIsLeft(t *testing.T) {
	for _, directory := range []string{"", t.TempDir()} {
		synctest.Test(t, func(t *testing.T) {
			r := &receiver{}
			st := stream(t, directory, someSettings(), r)
			st.Announce(anAnnounce(1))
			closed(t, st)
			if !slices.Equal(r.left(), []int{1}) {
				t.Errorf("it has %v", r.left())
			}
		})
	}
}

func TestRestartGoesOnWhereItEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		directory := t.TempDir()
		a, b := &receiver{}, &receiver{fail: func(int) error { return errors.New("not now") }}
		st := stream(t, directory, someSettings(), a, b)
		for n := range 3 {
			st.Announce(anAnnounce(n + 1))
			time.Sleep(2 * time.Second)
		}
		st.Announce(anAnnounce(4))
		closed(t, st)
		b.set(nil, false)
		st = stream(t, directory, someSettings(), a, b)
		st.Announce(anAnnounce(5))
		time.Sleep(5 * time.Second)
		closed(t, st)
		for name, r := range map[string]*receiver{"a": a, "b": b} {
			all, _ := r.got()
			if !slices.Equal(r.left(), []int{1, 2, 3, 4, 5}) {
				t.Errorf("%s has %v", name, r.left())
			}
			for i, p := range all {
				if p.Lost != 0 || p.Sequence != uint64(i+1) {
					t.Errorf("%s has %+v", name, p)
				}
			}
			if ids := slices.CompactFunc(all, func(x, y parcel) bool { return x.Batch == y.Batch }); len(ids) != 5 {
				t.Errorf("batches of %s have one id: %+v", name, all)
			}
		}
		if left, _ := segmentsIn(directory); len(left) > 1 {
			t.Errorf("%v are left", left)
		}
		// What all have is not told again, and what was not there before is told all that waits.
		c := &receiver{}
		st = stream(t, directory, someSettings(), a, b, c)
		time.Sleep(time.Minute)
		closed(t, st)
		if len(a.left()) != 5 || len(b.left()) != 5 || len(c.left()) > 1 {
			t.Errorf("a has %v, b has %v, c has %v", a.left(), b.left(), c.left())
		}
	})
}

func TestEndWithoutAFolderSaysWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := stream(t, "", someSettings(), &receiver{fail: func(int) error { return errors.New("never") }})
		st.Announce(anAnnounce(1))
		st.Announce(anAnnounce(2))
		began := time.Now()
		if err := st.Close(); err == nil || !strings.Contains(err.Error(), "2 events were not delivered and are lost: events.directory is empty") {
			t.Error(err)
		}
		if took := time.Since(began); took > closeTime {
			t.Errorf("it took %v", took)
		}
	})
}

func TestReceiverIsToldHowManyItHasLost(t *testing.T) {
	for name, directory := range map[string]string{"memory": "", "disk": t.TempDir()} {
		synctest.Test(t, func(t *testing.T) {
			s, r := someSettings(), &receiver{fail: func(int) error { return errors.New("not now") }}
			s.Disk, s.Memory = 1<<20, 1<<20
			st := stream(t, directory, s, r)
			sent := 0
			for range 12 {
				for n := range 250 {
					a := anAnnounce(n)
					a.Uploaded, a.Credentials.Agent = int64(sent), strings.Repeat("\x01", agentRoom)
					st.Announce(a)
					sent++
				}
				time.Sleep(2 * time.Second)
			}
			f := st.Figures()
			e := f.Ends[0]
			if e.Lost == 0 || e.Waiting == 0 || e.Lost+e.Waiting != uint64(sent) || f.OnDisk > s.Disk || f.InMemory > s.Memory || f.Problem != "" {
				t.Errorf("%s: %+v", name, f)
			}
			for range laneRoom + 5 { // and some more in the queue
				st.Announce(anAnnounce(1))
			}
			time.Sleep(2 * time.Second)
			r.set(nil, false)
			st.Announce(anAnnounce(2))
			time.Sleep(5 * longWait)
			all, _ := r.got()
			lost, got := uint64(0), 0
			for _, p := range all {
				lost += p.Lost
				got += p.Count
			}
			if all[0].Lost == 0 || lost+uint64(got) != uint64(sent+laneRoom+6) {
				t.Errorf("%s: told of %d lost and of %d, want %d together; the first batch says %d", name, lost, got, sent+laneRoom+6, all[0].Lost)
			}
			if e := st.Figures().Ends[0]; e.Lost != lost {
				t.Errorf("%s: %d are counted as lost, and %d were told", name, e.Lost, lost)
			}
			closed(t, st)
		})
	}
}

func TestEventsAreKeptInMemoryWhileTheDiskFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := &receiver{fail: func(int) error { return errors.New("not now") }}
		directory := filepath.Join(t.TempDir(), "events")
		s := someSettings()
		s.Disk = 1 << 20
		st, err := tryStream(directory, s, slog.New(slog.NewTextHandler(&log, nil)), r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(directory, directory+".away"); err != nil {
			t.Fatal(err)
		}
		st.Announce(anAnnounce(1))
		time.Sleep(2 * time.Second)
		st.Announce(anAnnounce(2))
		time.Sleep(2 * time.Second)
		if f := st.Figures(); f.InMemory == 0 || f.Ends[0].Waiting != 2 || !strings.Contains(f.Problem, "no such file") {
			t.Errorf("%+v", f)
		}
		if err := os.Rename(directory+".away", directory); err != nil {
			t.Fatal(err)
		}
		st.Announce(anAnnounce(3))
		time.Sleep(2 * time.Second)
		if f := st.Figures(); f.Problem != "" || f.Ends[0].Waiting != 3 {
			t.Errorf("%+v", f)
		}
		closed(t, st) // which writes the others behind
		if text := log.String(); strings.Count(text, "cannot be written to disk") != 1 {
			t.Errorf("the log says\n%s", text)
		}
		r.set(nil, false)
		st = stream(t, directory, s, r)
		time.Sleep(2 * time.Second)
		closed(t, st)
		if !slices.Equal(r.left(), []int{1, 2, 3}) {
			t.Errorf("it has %v", r.left())
		}
	})
}

func TestFolderOfEventsIsOfOneTrackerAlone(t *testing.T) {
	directory := t.TempDir()
	st := stream(t, directory, someSettings(), &receiver{})
	defer closed(t, st)
	if _, err := tryStream(directory, someSettings(), nil, &receiver{}); err == nil || !strings.Contains(err.Error(), "another tracker uses it") {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tryStream(file, someSettings(), nil, &receiver{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "state.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tryStream(filepath.Dir(file), someSettings(), nil, &receiver{}); err == nil || !strings.Contains(err.Error(), "state.json: ") {
		t.Error(err)
	}
}

func TestPeersThatAreGoneAreToldUnlessTheySaidSoThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		st := stream(t, "", someSettings(), r)
		a := anAnnounce(1)
		for _, c := range []swarm.Change{
			{Kind: swarm.PeerGone, Stopped: true},
			{Kind: swarm.PeerGone, Relayed: true},
			{Kind: swarm.PeerPut},
			{Kind: swarm.PeerRefreshed},
			{Kind: swarm.TorrentGone},
			{Kind: swarm.DownloadCount},
			{Kind: swarm.PeerGone},
			{Kind: swarm.PeerGone, GivenUp: true},
		} {
			c.InfoHash, c.Peer = a.InfoHash, swarm.Peer{ID: a.PeerID, Addr: a.Addr(), Last: a.Now}
			st.Gone(&c)
		}
		closed(t, st)
		all, _ := r.got()
		if len(all) != 1 || len(all[0].Events) != 2 || all[0].Events[0].Event != "expired" || all[0].Events[1].Event != "forgotten" {
			t.Errorf("it has %+v", all)
		}
	})
}

func TestCloseDoesNotWaitForAnEndThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := stream(t, t.TempDir(), someSettings(), &receiver{hang: true})
		st.Announce(anAnnounce(1))
		time.Sleep(2 * time.Second)
		began := time.Now()
		closed(t, st)
		if took := time.Since(began); took > closeTime {
			t.Errorf("it took %v", took)
		}
	})
}
