package torrent_test

import (
	"strings"
	"testing"

	"waggle/torrent"
)

func TestNamesThatWindowsTakesForSomethingElseAreTold(t *testing.T) {
	for name, test := range map[string]struct {
		of    string
		files []string
		say   string // "": it is fine
	}{
		"plain":                  {"image.iso", []string{"image.iso"}, ""},
		"folder":                 {"m", []string{"a/b.txt", "a/c.txt", "console/com10"}, ""},
		"folder of its own name": {"M", []string{"m", "n"}, ""},
		"device":                 {"aux", []string{"aux"}, "device"},
		"device with an end":     {"m", []string{"a/nul.tar.gz"}, "device"},
		"device with a space":    {"m", []string{"com1 .txt"}, "device"},
		"device in superscript":  {"m", []string{"lpt¹"}, "device"},
		"folder of a device":     {"m", []string{"con/a"}, "device"},
		"hidden part":            {"m", []string{"a:b"}, "one of"},
		"drive":                  {"c:", []string{"a"}, "one of"},
		"question":               {"m", []string{"why?"}, "one of"},
		"backslash":              {"m", []string{`a\b`}, "one of"},
		"line":                   {"m", []string{"a\nb"}, "control"},
		"dot":                    {"m", []string{"a."}, "dot"},
		"folder with a dot":      {"m", []string{"a./b"}, "dot"},
		"three dots":             {"m", []string{".../b"}, "dot"},
		"space":                  {"m ", []string{"a"}, "space"},
		"cases":                  {"m", []string{"a/B", "A/b"}, "the same"},
		"folder and file":        {"m", []string{"a/b", "A"}, "the same"},
	} {
		m := torrent.Metainfo{Name: test.of}
		for _, path := range test.files {
			m.Files = append(m.Files, torrent.File{Path: path})
		}
		err := m.ForWindows()
		if (err == nil) != (test.say == "") || err != nil && !strings.Contains(err.Error(), test.say) {
			t.Errorf("%s: %v; want %q", name, err, test.say)
		}
	}
}
