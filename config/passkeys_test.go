package config

import (
	"strings"
	"testing"
)

func TestAnnounceURLIsRefusedWithTheRemedy(t *testing.T) {
	for _, text := range []string{"udp://tracker.example:6969/announce", "https://tracker.example/announce", "http://[::1]:6969/a/announce"} {
		if u, err := parseAnnounceURL(text); err != nil || string(u) != text {
			t.Errorf("%q is %q, %v", text, u, err)
		}
	}
	for text, remedy := range map[string]string{
		"tracker.example":                       errShape.Error(),
		"ws://tracker.example/announce":         errShape.Error(),
		"http://a:b@tracker.example/announce":   "leave out user",
		"http://tracker.example/announce?key=1": "leave out user",
		"http://tracker.example/":               "ends in /announce",
		"udp://tracker.example/announce":        "has a port",
	} {
		if _, err := parseAnnounceURL(text); err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%q: %v, want %q", text, err, remedy)
		}
	}
}

func TestPasskeysAndAClusterExcludeEachOther(t *testing.T) {
	const cluster = "cluster: {group: '239.192.0.69:6968', secret_file: x}\n"
	_, err := read(cluster + "access: {passkeys: optional}")
	if err == nil || !strings.Contains(err.Error(), "2: access.passkeys needs trackers that know the same passkeys") {
		t.Errorf("%v", err)
	}
	if _, err := read(cluster + "access: {passkeys: off}"); err != nil {
		t.Error(err)
	}
}
