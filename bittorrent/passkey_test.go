package bittorrent

import (
	"strings"
	"testing"
)

func TestPasskeyIsFoundInThePath(t *testing.T) {
	long := strings.Repeat("k", maxPasskey)
	for path, want := range map[string][2]string{
		"/abc/announce":          {"abc", "announce"},
		"/abc/scrape":            {"abc", "scrape"},
		"/announce/abc":          {"abc", "announce"},
		"/scrape/a-B_9":          {"a-B_9", "scrape"},
		"/announce/announce":     {"announce", "announce"},
		"/scrape/announce":       {"scrape", "announce"},
		"/" + long + "/announce": {long, "announce"},
	} {
		if passkey, resource, ok := PasskeyPath(path); !ok || passkey != want[0] || resource != want[1] {
			t.Errorf("%s: %q of %q, %v", path, passkey, resource, ok)
		}
	}
	for _, path := range []string{
		"", "/", "announce", "/announce", "/announce/", "//announce", "/abc/announce/", "/a/b/announce", "/abc", "/abc/def", "abc/announce",
		"/a.b/announce", "/a%62/announce", "/ü/announce", "/a b/announce", "/abc/Announce", "/" + long + "k/announce",
	} {
		if passkey, resource, ok := PasskeyPath(path); ok || passkey != "" || resource != "" {
			t.Errorf("%q: %q of %q", path, passkey, resource)
		}
	}
}

func TestPasskeyGoesBeforeTheLastPartOfAURL(t *testing.T) {
	for url, want := range map[string]string{
		"udp://t.example:6969/announce":    "udp://t.example:6969/KEY/announce",
		"https://t.example/a/announce?x=/": "https://t.example/a/KEY/announce?x=/",
	} {
		if got := PasskeyURL(url, "KEY"); got != want {
			t.Errorf("%s becomes %s, want %s", url, got, want)
		}
	}
}

// FuzzPasskeyPath takes any path: what has a passkey is made of it and the resource.
func FuzzPasskeyPath(f *testing.F) {
	f.Add("/abc/announce")
	f.Add("/scrape/abc")
	f.Fuzz(func(t *testing.T, path string) {
		passkey, resource, ok := PasskeyPath(path)
		if ok && path != "/"+passkey+"/"+resource && path != "/"+resource+"/"+passkey {
			t.Errorf("%q: %q of %q", path, passkey, resource)
		}
	})
}
