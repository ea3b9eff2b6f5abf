package config

import (
	"strings"
	"testing"
)

func TestRulesOfWhoMayAnnounce(t *testing.T) {
	const tokens = "  tokens_issuer: a\n  tokens_audience: b\n"
	for name, c := range map[string]struct{ file, want string }{
		"keys over TLS":             {"access:\n  tokens_jwks: https://login.example/jwks.json\n" + tokens, ""},
		"keys on this machine":      {"access:\n  tokens_jwks: http://127.0.0.1:8080/jwks.json\n" + tokens, ""},
		"keys in the clear":         {"access:\n  tokens_jwks: http://login.example/jwks.json\n" + tokens, "f.yaml:2: access.tokens_jwks wants the URL of a JSON Web Key Set such as https://login.example/.well-known/jwks.json, not \"http://login.example/jwks.json\": whoever is between here and there could give keys of his own: write https"},
		"a password":                {"access:\n  tokens_jwks: https://me:secret@login.example/\n" + tokens, "a password does not belong here"},
		"no URL":                    {"access:\n  tokens_jwks: /etc/jwks.json\n" + tokens, "wants the URL of a JSON Web Key Set"},
		"nobody issues":             {"access:\n  tokens_jwks: https://login.example/\n  tokens_audience: b\n", "f.yaml:2: access.tokens_jwks needs access.tokens_issuer: who issues the tokens; without it any token of those keys would do"},
		"for nobody":                {"access:\n  tokens_jwks: https://login.example/\n  tokens_issuer: b\n", "needs access.tokens_audience"},
		"early in order":            {"announce:\n  early_warned: 2\n  early_shortened: 2\n  early_refused: 3\n", ""},
		"early without a step":      {"announce:\n  early_warned: 9\n  early_shortened: 0\n", ""},
		"warned after shortened":    {"announce:\n  early_warned: 9\n", "f.yaml:2: announce.early_warned must be at most announce.early_shortened; they are 9 (f.yaml:2) and 8 (default)"},
		"refused before shortened":  {"announce:\n  early_refused: 5\n", "announce.early_shortened must be at most announce.early_refused"},
		"warned after refused":      {"announce:\n  early_shortened: 0\n  early_warned: 17\n", "announce.early_warned must be at most announce.early_refused"},
		"a file that is a list too": {"access:\n  networks_deny: [a, b]\n", "f.yaml:2: access.networks_deny"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check("f.yaml", []byte(c.file))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
