package config

import (
	"strings"
	"testing"
)

func TestURLOfNATSIsRefusedWithTheRemedy(t *testing.T) {
	for _, text := range []string{"", "nats://127.0.0.1:4222", "tls://user:hush@nats.example:4222", "tls://[2001:db8::1]:4222/"} {
		if u, err := parseNATSURL(text); err != nil || string(u) != text || strings.Contains(u.String(), "hush") {
			t.Errorf("%q is %q, %v", text, u, err)
		}
	}
	for text, remedy := range map[string]string{
		"127.0.0.1:4222":               errShape.Error(),
		"http://nats.example:4222":     errShape.Error(),
		"tls://:4222":                  errShape.Error(),
		"tls://nats.example":           "4222",
		"tls://nats.example:4222/x":    "behind the port",
		"tls://u:***@nats.example:422": "is hidden",
	} {
		if _, err := parseNATSURL(text); err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%q: %v, want %q", text, err, remedy)
		}
	}
}

func TestMistakesOfLinksAreReportedWithTheRemedy(t *testing.T) {
	for file, want := range map[string]string{
		"link: {listen: ':6971', nats: 'tls://nats.example:4222'}":          "link.nats and link.listen exclude each other",
		"link: {addresses: [':6971']}":                                      `link.addresses are where others reach this tracker, as tracker.example:6971, not ":6971"`,
		"link: {name: 'ams.example'}":                                       `link.name has 1 to 64 letters of ASCII, digits, - and _, unlike "ams.example"`,
		"link: {name: '" + strings.Repeat("a", 65) + "'}":                   "link.name has 1 to 64 letters",
		"link: {addresses: [" + strings.Repeat("'a.example:1',", 17) + "]}": "link.addresses are 17, and may be 16",
		"link: {addresses: ['tracker.example:0']}":                          "link.addresses are where others reach this tracker",
		"link: {share_torrents: all}":                                       "link.share_torrents is one of off, receive, send, both",
		"link: {nats: 'http://u:hush@nats.example:1'}":                      "link.nats wants the URL of a NATS such as tls://nats.example:4222",
	} {
		_, err := read(file)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v, want %s", file, err, want)
		}
	}
}
