package link

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"waggle/bittorrent"
	"waggle/link/core"
	"waggle/wholefile"
)

func someState() *state {
	return &state{
		Version: stateVersion, Origin: 7, Counter: 8, Base: 9, Former: []core.Origin{1, 2}, Came: []string{"fra"}, Clean: true, Exact: true,
		Agreed: map[string]int64{"fra": 1_800_000_000}, Removed: map[string]int64{bittorrent.InfoHash{1}.String(): 1}, Again: map[string]int64{bittorrent.InfoHash{2}.String(): 2},
		Counters: []core.Counter{{Hash: bittorrent.InfoHash{1}, Origin: 8, Count: 3}, {Hash: bittorrent.InfoHash{2}, Origin: 1 << 63, Count: 1 << 31}},
	}
}

func TestStateIsReadBackAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), stateFile)
	if err := wholefile.Write(path, someState().encode()); err != nil {
		t.Fatal(err)
	}
	got, err := readState(path)
	if err != nil || !reflect.DeepEqual(got, someState()) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOnlyACleanEndKeepsTheCounter(t *testing.T) {
	for _, clean := range []bool{true, false} {
		dir := t.TempDir()
		s := someState()
		s.Clean = clean
		if err := wholefile.Write(filepath.Join(dir, stateFile), s.encode()); err != nil {
			t.Fatal(err)
		}
		f, err := openLife(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if f.origin == s.Origin || (f.counter == s.Counter) != clean || f.exact != clean || f.base != s.Base || f.former[0] != s.Origin || len(f.former) != 3 {
			t.Errorf("after an end that is clean (%t): %+v", clean, f)
		}
	}
}

func TestHalfAStateThatAKillLeftIsRemoved(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, "state.123.new")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openLife(dir, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func TestDamagedStateIsSetAsideAndSaid(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, stateFile)
	b := someState().encode()
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	f, err := openLife(dir, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || f.was != nil || f.exact || !bytes.Contains(log.Bytes(), []byte("begin anew")) {
		t.Errorf("%+v, %v, %s", f, err, log.String())
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
}

func FuzzState(f *testing.F) {
	f.Add(someState().encode())
	f.Add([]byte("{}\n\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeState(b)
		if err != nil {
			return
		}
		if again, err := decodeState(s.encode()); err != nil || len(again.Counters) != len(s.Counters) {
			t.Errorf("%+v, %v", again, err)
		}
	})
}
