package events

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzSegment reads what anything has left in a file, and what it shows it shows again.
func FuzzSegment(f *testing.F) {
	good := append([]byte(segmentMagic), 1, 2, 3, 4, 5, 6, 7, 8)
	good = appendRecord(good, &record{sequence: 1, first: 1, at: 5, count: 2, body: []byte(`{"a":1},{"b":2}`)})
	good = appendRecord(good, &record{sequence: 2, first: 9, count: 1, body: []byte(`{}`)})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(slices.Clone(good), 0, 0, 0, 28, 0, 0, 0, 0))
	f.Add([]byte(segmentMagic))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > segmentHead { // as a stranger cannot guess checksums, it is given one
			rest := b[segmentHead:]
			if len(rest) >= recordFrame+recordHead {
				b = appendRecord(slices.Clone(b), &record{sequence: uint64(rest[0]), first: uint64(rest[1]), count: uint32(rest[2]), body: rest[recordHead:]})
			}
		}
		var again []byte
		run, size, err := parseSegment(b, func(r *record, at int64, size int) {
			if int(at) != segmentHead+len(again) || r.count == 0 {
				t.Fatalf("a record at %d after %d bytes: %+v", at, len(again), r)
			}
			if again = appendRecord(again, r); len(again) != int(at)-segmentHead+size {
				t.Fatalf("%d bytes are written as %d", size, len(again))
			}
		})
		if run == "" {
			if size != 0 || err == nil {
				t.Fatalf("%d bytes are good, %v", size, err)
			}
			return
		}
		if !slices.Equal(again, b[segmentHead:size]) || (err == nil) != (size == len(b)) {
			t.Fatalf("%d of %d bytes are good, %v", size, len(b), err)
		}
	})
}

// TestKillLosesNothingThatWasWritten cuts the files of a running stream short at every length, as a kill may.
func TestKillLosesNothingThatWasWritten(t *testing.T) {
	directory := t.TempDir()
	var ends []int64 // of the batches, in the file
	synctest.Test(t, func(t *testing.T) {
		st := stream(t, directory, someSettings(), &receiver{hang: true})
		for n := range 3 {
			st.Announce(anAnnounce(n + 1))
			time.Sleep(2 * time.Second)
			ends = append(ends, st.Figures().OnDisk)
		}
		closed(t, st)
	})
	paths, err := segmentsIn(directory)
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	whole, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{ends[2], ends[2] - 1, ends[1] + 9, ends[1] + 1, ends[1], ends[0] - 1, int64(segmentHead), int64(segmentHead) - 1, 3, 0} {
		var want []int
		for n, end := range ends {
			if end <= size {
				want = append(want, n+1)
			}
		}
		cut := t.TempDir()
		if err := os.WriteFile(filepath.Join(cut, filepath.Base(paths[0])), whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			r := &receiver{}
			var log strings.Builder
			st, err := tryStream(cut, someSettings(), slog.New(slog.NewTextHandler(&log, nil)), r)
			if err != nil {
				t.Fatal(err)
			}
			st.Announce(anAnnounce(4))
			closed(t, st)
			within := size > int64(segmentHead) && !slices.Contains(ends, size)
			if told := strings.Contains(log.String(), "cannot be read: what was in it is lost"); told != within {
				t.Errorf("of %d bytes the log says %q", size, log.String())
			}
			if got := r.left(); !slices.Equal(got, append(want, 4)) {
				t.Errorf("of %d bytes it has %v, want %v and 4", size, got, want)
			}
		})
	}
}

func TestDamageOnDiskIsLostAndTold(t *testing.T) {
	directory := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{hang: true}
		st := stream(t, directory, someSettings(), r)
		for n := range 3 {
			st.Announce(anAnnounce(n + 1))
			time.Sleep(2 * time.Second)
		}
		synctest.Wait()
		second := st.spool.batches[1]
		f, err := os.OpenFile(second.segment.path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("!"), second.place+50); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		r.set(nil, false)
		time.Sleep(2 * longWait)
		all, _ := r.got()
		if !slices.Equal(r.left(), []int{1, 3}) || all[1].Lost != 1 {
			t.Errorf("it has %+v", all)
		}
		closed(t, st)
	})
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "a", "b")
	synctest.Test(t, func(t *testing.T) {
		st := stream(t, directory, someSettings(), &receiver{hang: true})
		st.Announce(anAnnounce(1))
		closed(t, st)
	})
	entries, err := os.ReadDir(directory)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%v, %v; want a lock, a state and a segment", entries, err)
	}
	for _, e := range entries {
		if stat, err := e.Info(); err != nil || stat.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), stat.Mode(), err)
		}
	}
	if stat, err := os.Stat(directory); err != nil || stat.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", stat.Mode(), err)
	}
}
