package catalog

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNamesForUploads(t *testing.T) {
	for _, name := range []string{
		"a.torrent", "A.TORRENT", "debian 12 (amd64).iso.torrent", "übung.torrent", "console.torrent", "com.torrent", "com10.torrent",
		"a..torrent", strings.Repeat("x", 247) + ".torrent",
	} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{
		"", ".", "..", ".torrent", "torrent", "a.txt", "a.torrent ", "a.torrent/", "../a.torrent", "/a.torrent", `..\a.torrent`, `c:\a.torrent`,
		"a/b.torrent", ".a.torrent", " a.torrent", "a\x00.torrent", "a\n.torrent", "a\x7f.torrent", "a\xff.torrent", "a\u202etxt.torrent",
		"a\u2028.torrent", "a:b.torrent", "a?.torrent", "nul.torrent", "NUL .x.torrent", "com1.torrent", "LPT¹.torrent", "aux.torrent",
		strings.Repeat("x", 248) + ".torrent", strings.Repeat("x", 1<<20),
	} {
		err := CheckName(name)
		wantError(t, err, ErrName)
		if err != nil && len(err.Error()) > 1500 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
}

func FuzzName(f *testing.F) {
	for _, name := range []string{"a.torrent", "../a.torrent", "nul.torrent", ".torrent", "a\xff.torrent", "COM¹.x.torrent", "a\\b.TORRENT"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if err := CheckName(name); err != nil {
			wantError(t, err, ErrName)
			return
		}
		if filepath.Base(name) != name || filepath.Clean(name) != name || !filepath.IsLocal(name) {
			t.Errorf("%q leads elsewhere", name)
		}
		if !utf8.ValidString(name) || len(name) > maxNameLength || !isTorrentFile(name) || strings.ContainsAny(name, "\r\n\x00\"/\\") {
			t.Errorf("%q was accepted", name)
		}
	})
}
