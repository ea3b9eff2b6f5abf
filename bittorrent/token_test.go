package bittorrent

import (
	"strings"
	"testing"
)

func TestTokenIsTheParameterOfItsName(t *testing.T) {
	for query, want := range map[string]string{
		"":                                "",
		"jwt=a.b.c":                       "a.b.c",
		"info_hash=x&jwt=a.b.c&port=1":    "a.b.c",
		"jwt=&jwt=a":                      "",
		"njwt=a":                          "",
		"njwt=a&jwt=b":                    "b",
		"peer_id=jwt=a&port=1":            "",
		"jwt":                             "",
		"peer_id=jwt=a&port=1&jwt=b":      "b",
		"jwt=a=b&x":                       "a=b",
		strings.Repeat("x=jwt=&", 100):    "",
		strings.Repeat("y&", 9) + "jwt=z": "z",
	} {
		if got := Token(query); got != want {
			t.Errorf("%q has the token %q, want %q", query, got, want)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add("info_hash=x&jwt=a.b.c&port=1")
	f.Add("jwt=jwt=&jwt=")
	f.Fuzz(func(t *testing.T, query string) {
		want := ""
		for rest := query; rest != ""; {
			var name, value string
			whole := rest
			name, value, rest = nextParameter(rest)
			if name == "jwt" && strings.HasPrefix(whole, "jwt=") {
				want = value
				break
			}
		}
		if got := Token(query); got != want {
			t.Errorf("%q has the token %q, want %q", query, got, want)
		}
	})
}
