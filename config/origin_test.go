package config

import "testing"

func TestOriginIsASchemeAHostAndAPort(t *testing.T) {
	for text, want := range map[string]Origin{
		"https://example.org":       "https://example.org",
		"HTTPS://Example.ORG/":      "https://example.org",
		"http://127.0.0.1:8080":     "http://127.0.0.1:8080",
		"http://[2001:db8::1]:8080": "http://[2001:db8::1]:8080",
	} {
		if got, err := parseOrigin(text); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "example.org", "*", "null", "ws://example.org", "https://", "https://a@example.org", "https://example.org/page",
		"https://example.org?", "https://example.org#a", "https://example.org:443", "http://example.org:80",
	} {
		if got, err := parseOrigin(text); err == nil {
			t.Errorf("%s: read as %q", text, got)
		}
	}
}
