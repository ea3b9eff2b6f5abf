package tracker_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"waggle/bittorrent"
	"waggle/tracker"
)

const someHash = "0123456789abcdef0123456789abcdef01234567"

func TestListOfDeniedTorrentsHasCommentsAndEmptyLines(t *testing.T) {
	want, _ := bittorrent.ParseInfoHash(someHash)
	other, _ := bittorrent.ParseInfoHash(strings.Repeat("f", 40))
	text := "\ufeff# denied\r\n\n  " + strings.ToUpper(someHash) + " # since May\r\n" + strings.Repeat("f", 40) + "\n" + someHash
	got, err := tracker.ReadDenied(strings.NewReader(text))
	if err != nil || !maps.Equal(got, tracker.Denied{want: {}, other: {}}) {
		t.Errorf("read as %v, %v", got, err)
	}
	if got, err := tracker.ReadDenied(strings.NewReader("")); err != nil || len(got) != 0 {
		t.Errorf("an empty list is read as %v, %v", got, err)
	}
}

func TestMistakeInTheListOfDeniedTorrentsIsNamedByItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"# x\n" + someHash + "\nubuntu.iso\n": `line 3: info hash: want 40 hexadecimal digits (v1), 64 (v2) or 32 base32 characters; have "ubuntu.iso"`,
		someHash + "a\n":                      "line 1: info hash",
		"\n" + strings.Repeat("a", 5000):      "line 2: longer than 4096 bytes",
	} {
		if got, err := tracker.ReadDenied(strings.NewReader(text)); err == nil || !strings.HasPrefix(err.Error(), want) || got != nil {
			t.Errorf("%.60q: %v, %v, want %s", text, got, err, want)
		}
	}
}

func FuzzReadDenied(f *testing.F) {
	f.Add([]byte("# comment\n" + someHash + "\n"))
	f.Add([]byte("\xff\n\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		denied, err := tracker.ReadDenied(bytes.NewReader(b))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") || len(err.Error()) > 400 {
				t.Errorf("error %q", err)
			}
			return
		}
		var again strings.Builder
		for h := range denied {
			again.WriteString(h.String() + "\n")
		}
		if back, err := tracker.ReadDenied(strings.NewReader(again.String())); err != nil || !maps.Equal(back, denied) {
			t.Errorf("%v is read back as %v, %v", denied, back, err)
		}
	})
}
