package events

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// refusing has a receiver refuse what is longer than some bytes as too large.
func refusing(most int) *receiver {
	r := &receiver{}
	r.see = func(e *envelope) error {
		if len(e.body) > most {
			return &tooLarge{&unfit{fmt.Errorf("%d bytes are too many", len(e.body))}}
		}
		return nil
	}
	return r
}

func TestBatchThatIsTooLargeForAReceiverComesInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		directory := t.TempDir()
		less, all := refusing(1800), &receiver{}
		st := stream(t, directory, someSettings(), less, all)
		var want []int
		for n := range 23 {
			st.Announce(anAnnounce(n + 1))
			want = append(want, n+1)
		}
		time.Sleep(5 * time.Second)
		got, tries := less.got()
		if !sameNumbers(less.left(), want) || !sameNumbers(all.left(), want) {
			t.Errorf("they have %v and %v", less.left(), all.left())
		}
		if whole, _ := all.got(); len(whole) != 1 || strings.Contains(whole[0].Batch, ".") {
			t.Errorf("the other has %+v", whole)
		}
		next := 1
		for _, p := range got {
			var from, to int
			if _, err := fmt.Sscanf(p.Batch[strings.LastIndexByte(p.Batch, '.'):], ".%d-%d", &from, &to); err != nil || from != next || to-from+1 != p.Count || p.Lost != 0 || p.Sequence != 1 {
				t.Errorf("after %d: %+v, %v", next-1, p, err)
			}
			next = to + 1
		}
		if f := st.Figures().Ends[0]; f.Sent != 23 || f.Waiting != 0 || f.Lost != 0 || f.Problem != "" {
			t.Errorf("%+v", f)
		}
		// It has learnt what is too large.
		before := len(tries)
		for n := range 23 {
			st.Announce(anAnnounce(n + 1))
		}
		time.Sleep(5 * time.Second)
		if _, tries := less.got(); len(tries)-before > len(got)+1 || len(less.left()) != 46 {
			t.Errorf("%d attempts at %d pieces, and it has %v", len(tries)-before, len(got), less.left())
		}
		// It may be otherwise later.
		time.Sleep(tryLarger)
		less.mu.Lock()
		less.see = nil
		less.mu.Unlock()
		_, tries = less.got()
		for n := range 23 {
			st.Announce(anAnnounce(n + 1))
		}
		time.Sleep(5 * time.Second)
		if _, again := less.got(); len(again)-len(tries) != 1 || len(less.left()) != 69 {
			t.Errorf("%d attempts at what it takes whole, and it has %v", len(again)-len(tries), less.left())
		}
		closed(t, st)
	})
}

// TestPiecesAreTheSameAfterAKill has a receiver take each piece, and all that is known of it forgotten.
func TestPiecesAreTheSameAfterAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		directory := t.TempDir()
		first := refusing(1800)
		st := stream(t, directory, someSettings(), first, &receiver{hang: true}) // for which all is kept
		for n := range 23 {
			st.Announce(anAnnounce(n + 1))
		}
		time.Sleep(5 * time.Second)
		closed(t, st)
		want, _ := first.got()
		var state state
		text, err := os.ReadFile(filepath.Join(directory, "state.json"))
		if err == nil {
			err = json.Unmarshal(text, &state)
		}
		if err != nil || len(want) < 4 {
			t.Fatal(err, want)
		}
		begun := state.Expected["b"]
		for skipped := range want { // so many are known to be there
			known := begun
			for _, p := range want[:skipped] {
				known += uint64(p.Count)
			}
			state.Expected["a"] = known
			if text, err = json.Marshal(state); err == nil {
				err = os.WriteFile(filepath.Join(directory, "state.json"), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			again := refusing(1800)
			st := stream(t, directory, someSettings(), again, &receiver{hang: true})
			time.Sleep(5 * time.Second)
			closed(t, st)
			got, _ := again.got()
			if !slices.EqualFunc(got, want[skipped:], func(a, b parcel) bool { return a.Batch == b.Batch && a.Count == b.Count && a.Lost == b.Lost }) {
				t.Errorf("after %d pieces: %+v, want %+v", skipped, got, want[skipped:])
			}
		}
	})
}

func TestWhatIsRefusedForGoodIsPutAsideAndTold(t *testing.T) {
	for name, directory := range map[string]string{"disk": t.TempDir(), "memory": ""} {
		synctest.Test(t, func(t *testing.T) {
			var log strings.Builder
			r := &receiver{}
			r.see = func(e *envelope) error {
				if strings.Contains(string(e.body), "qB4520-000000000002") {
					return &unfit{errors.New("no such thing")}
				}
				return nil
			}
			s := someSettings()
			s.PutAside = 10 * time.Minute
			st, err := tryStream(directory, s, slog.New(slog.NewTextHandler(&log, nil)), r)
			if err != nil {
				t.Fatal(err)
			}
			for n := range 4 {
				st.Announce(anAnnounce(n + 1))
				time.Sleep(2 * time.Second)
			}
			time.Sleep(s.PutAside / 2)
			if f := st.Figures().Ends[0]; !slices.Equal(r.left(), []int{1}) || f.Waiting != 3 || f.Lost != 0 {
				t.Errorf("%s: early, it has %v: %+v", name, r.left(), f)
			}
			time.Sleep(s.PutAside)
			all, _ := r.got()
			if f := st.Figures().Ends[0]; !slices.Equal(r.left(), []int{1, 3, 4}) || all[1].Lost != 1 || all[2].Lost != 0 || f.Waiting != 0 || f.Lost != 1 || f.Problem != "" {
				t.Errorf("%s: it has %+v: %+v", name, all, f)
			}
			closed(t, st)
			if text := log.String(); strings.Count(text, "refused for good") != 1 {
				t.Errorf("%s: the log says\n%s", name, text)
			}
			if directory == "" {
				return
			}
			files, err := filepath.Glob(filepath.Join(directory, asideFolder, "*"))
			if err != nil || len(files) != 1 {
				t.Fatal(files, err)
			}
			var p parcel
			text, err := os.ReadFile(files[0])
			if err == nil {
				err = json.Unmarshal(text, &p)
			}
			if err != nil || len(p.Events) != 1 || *p.Events[0].Uploaded != 2 || !strings.HasSuffix(files[0], "a-"+p.Batch+".json") {
				t.Errorf("%s has %+v, %v", files[0], p, err)
			}
		})
	}
}

func TestWhatIsRefusedForAnotherReasonOrWithoutATimeWaits(t *testing.T) {
	for name, c := range map[string]struct {
		patience time.Duration
		err      error
	}{
		"another reason": {time.Minute, errors.New("the secret is wrong")},
		"no time":        {0, &unfit{errors.New("no such thing")}},
		"now and then":   {time.Minute, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, r := someSettings(), &receiver{fail: func(try int) error {
				if c.err == nil && try%2 == 0 {
					return &unfit{errors.New("no such thing")}
				}
				return cmp.Or(c.err, errors.New("not now"))
			}}
			s.PutAside, s.Every = c.patience, time.Minute // or it would look at its queue all the time
			st := stream(t, t.TempDir(), s, r)
			st.Announce(anAnnounce(1))
			time.Sleep(2 * time.Hour)
			if f := st.Figures().Ends[0]; f.Waiting != 1 || f.Lost != 0 || f.Problem == "" {
				t.Errorf("%s: %+v", name, f)
			}
			r.set(nil, false)
			time.Sleep(longWait)
			if !slices.Equal(r.left(), []int{1}) {
				t.Errorf("%s: it has %v", name, r.left())
			}
			closed(t, st)
		})
	}
}

// TestWhatWasPutAsideLastIsTriedAgainAfterARestart: the receiver may have been mended.
func TestWhatWasPutAsideLastIsTriedAgainAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := someSettings(), &receiver{fail: func(int) error { return &unfit{errors.New("no such thing")} }}
		s.PutAside = time.Minute
		directory := t.TempDir()
		st := stream(t, directory, s, r)
		st.Announce(anAnnounce(1))
		time.Sleep(5 * time.Minute)
		if f := st.Figures().Ends[0]; f.Waiting != 0 || f.Lost != 1 {
			t.Errorf("%+v", f)
		}
		closed(t, st)
		r.set(nil, false)
		st = stream(t, directory, s, r)
		time.Sleep(time.Minute)
		closed(t, st)
		if all, _ := r.got(); !slices.Equal(r.left(), []int{1}) || all[0].Lost != 0 {
			t.Errorf("it has %+v", all)
		}
	})
}

func TestOfWhatIsPutAsideTheOldestMakesRoom(t *testing.T) {
	s := &spool{directory: t.TempDir()}
	for n := range mostAside + 5 {
		path, err := s.putAside("webhook", &piece{&batch{sequence: uint64(n), run: "0", count: 1}, 0, 1, nil}, []byte("{}"))
		if err == nil {
			at := time.Unix(int64(1_700_000_000+n), 0)
			err = os.Chtimes(path, at, at)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(s.directory, asideFolder, "*"))
	if err != nil || len(files) != mostAside || slices.Contains(files, filepath.Join(s.directory, asideFolder, "webhook-0-4.json")) {
		t.Errorf("%d files, %v", len(files), err)
	}
}

// TestBatchThatCannotBeReadAtTheMomentIsNotLost has the folder away for a while, as where there are no more
// files to be opened.
func TestBatchThatCannotBeReadAtTheMomentIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		directory := filepath.Join(t.TempDir(), "events")
		r := &receiver{fail: func(int) error { return errors.New("not now") }}
		st := stream(t, directory, someSettings(), r)
		for n := range 2 {
			st.Announce(anAnnounce(n + 1))
			time.Sleep(2 * time.Second)
		}
		if err := os.Rename(directory, directory+".away"); err != nil {
			t.Fatal(err)
		}
		r.set(nil, false)
		time.Sleep(10 * longWait)
		if f := st.Figures().Ends[0]; f.Waiting != 2 || f.Lost != 0 || !strings.Contains(f.Problem, "cannot be read from disk") {
			t.Errorf("%+v", f)
		}
		if err := os.Rename(directory+".away", directory); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * longWait)
		if !slices.Equal(r.left(), []int{1, 2}) {
			t.Errorf("it has %v", r.left())
		}
		closed(t, st)
	})
}

// TestBatchThatIsDroppedWhileItIsDeliveredIsNotLost has no room for what is under way.
func TestBatchThatIsDroppedWhileItIsDeliveredIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		r := &receiver{see: func(*envelope) error { <-let; return nil }}
		s := someSettings()
		s.Memory, s.Timeout = 1<<16, time.Hour
		st := stream(t, "", s, r)
		const rounds, each = 12, 100
		for range rounds {
			for n := range each {
				st.Announce(anAnnounce(n))
			}
			time.Sleep(2 * time.Second)
		}
		close(let)
		time.Sleep(time.Minute)
		all, _ := r.got()
		lost, got := uint64(0), uint64(0)
		for _, p := range all {
			lost += p.Lost
			got += uint64(p.Count)
		}
		if f := st.Figures().Ends[0]; all[0].Sequence != 1 || lost == 0 || lost+got != rounds*each || f.Lost != lost || f.Sent != got {
			t.Errorf("it was told of %d, and that %d are lost: %+v", got, lost, f)
		}
		closed(t, st)
	})
}

// sameNumbers compares without order: batches have theirs by torrent.
func sameNumbers(a, b []int) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
