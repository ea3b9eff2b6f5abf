package document_test

import (
	"errors"
	"strings"
	"testing"

	"waggle/document"
)

func TestNameOfADocumentIsOneOfAFileAnywhere(t *testing.T) {
	for _, name := range []string{"a", "a/b", "A-_.0/z..", strings.Repeat("p", document.MaxPart), strings.Repeat("p/", 255) + "pp"} {
		if err := document.Check(name, make([]byte, document.MaxValue)); err != nil {
			t.Errorf("%.40q: %v", name, err)
		}
	}
	for _, name := range []string{"", "/", "a/", "a//b", ".a", "a/..", "é", "a b", "a\x00", strings.Repeat("p/", 256) + "p", strings.Repeat("p", document.MaxPart+1)} {
		if err := document.Check(name, nil); !errors.Is(err, document.ErrInvalid) {
			t.Errorf("%.40q: %v", name, err)
		}
	}
	if err := document.Check("a", make([]byte, document.MaxValue+1)); !errors.Is(err, document.ErrInvalid) {
		t.Errorf("a value that is too long: %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	for _, name := range []string{"a/b", "", "/", "a//b", "a/../b", "\xff", "a b"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if document.Check(name, nil) != nil {
			return
		}
		if len(name) == 0 || len(name) > document.MaxName || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") ||
			strings.Contains("/"+name, "/.") || strings.Contains(name, "//") || strings.ContainsAny(name, " \\\x00\x7f%") {
			t.Errorf("%q is a name", name)
		}
	})
}
