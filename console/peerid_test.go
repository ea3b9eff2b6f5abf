package console

import (
	"strings"
	"testing"

	"waggle/bittorrent"
)

func idOf(text string) (id bittorrent.PeerID) {
	copy(id[:], text)
	return id
}

func TestClientIsNamedByItsID(t *testing.T) {
	for id, want := range map[string]string{
		"-qB4520-abcdefghijkl": "qBittorrent 4.5.2",
		"-DE13F0-abcdefghijkl": "Deluge 1.3.15",
		"-TR3000-abcdefghijkl": "Transmission 3.0.0",
		"-LT2080-abcdefghijkl": "libtorrent 2.0.8",
		"-lt0D80-abcdefghijkl": "rTorrent 0.13.8",
		"-UT355W-abcdefghijkl": "µTorrent 3.5.5.32",
		"-TR30xy-abcdefghijkl": "Transmission",
		"-WW0202-abcdefghijkl": "WebTorrent 2.2",
		"-WW12x4-abcdefghijkl": "WebTorrent",
		"A2-1-36-0-abcdefghij": "aria2 1.36.0",
		"A2-abcdefghijklmnopq": "aria2",
		"-??1234-abcdefghijkl": "",
		"-qB4520_abcdefghijkl": "",
		"abcdefghijklmnopqrst": "",
		"":                     "",
	} {
		if got := clientName(idOf(id)); got != want {
			t.Errorf("%q is called %q, want %q", id, got, want)
		}
	}
}

func FuzzClientName(f *testing.F) {
	for _, id := range []string{"-qB4520-abcdefghijkl", "A2-1-36-0-abcdefghij", "-TR\xff\x000-"} {
		f.Add([]byte(id))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		name := clientName(idOf(string(b)))
		if len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '\uFFFD' }) {
			t.Errorf("%q is called %q", b, name)
		}
	})
}
