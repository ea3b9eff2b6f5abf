package main

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waggle/bittorrent"
	"waggle/console/client"
)

// setting returns a setting of the configuration that the console shows.
func (s *serving) setting(t *testing.T, key string) client.Setting {
	t.Helper()
	all, err := s.client(t, "").Configuration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all.Settings {
		if one.Key == key {
			return one
		}
	}
	t.Fatalf("%s is not among %+v", key, all)
	return client.Setting{}
}

func TestConsoleShowsTheConfigurationInForce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("announce:\n  interval: 20m\n")
	s := startServe(t, "--store", "memory:", "--config", path, "--log-level", "debug")
	if got := s.setting(t, "announce.interval"); got.Value != "20m" || got.Default != "30m" || got.Source != path+":2" || got.Doc == "" {
		t.Errorf("%+v", got)
	}
	if got := s.setting(t, "log.level"); got.Value != "debug" || got.Source != "--log-level" {
		t.Errorf("%+v", got)
	}
	write("# longer\nannounce:\n  interval: 25m\n")
	s.hangup(t, "configuration reloaded")
	if got := s.setting(t, "announce.interval"); got.Value != "25m" || got.Source != path+":3" {
		t.Errorf("after the reload %+v", got)
	}
	write("limits:\n  peers: 7k\n  announces_per_second: 9\n  early_per_address: 9\nconsole:\n  public: true\nannounce:\n  interval: 25m\n  nat_check: true\nevents:\n  batch: 9\n  directory: elsewhere\n")
	s.hangup(t, "configuration reloaded")
	if got := s.setting(t, "limits.peers"); got.Value != "20M" || got.Source != "default" {
		t.Errorf("what takes effect at a start only: %+v", got)
	}
	for key, line := range map[string]string{"limits.announces_per_second": ":3", "limits.early_per_address": ":4", "events.batch": ":11"} {
		if got := s.setting(t, key); got.Value != "9" || got.Source != path+line {
			t.Errorf("what takes effect at once: %+v", got)
		}
	}
	for key, want := range map[string]string{"console.public": "false", "announce.nat_check": "false", "events.directory": "waggle-data/events"} {
		if got := s.setting(t, key); got.Value != want {
			t.Errorf("what takes effect at a start only: %+v", got)
		}
	}
	if !changesWhileRunning("events.webhook", "https://a.example/", "https://b.example/") || changesWhileRunning("events.webhook", "", "https://b.example/") {
		t.Error("events are told at another URL once they are told at one")
	}
	write("announce:\n  interval: soon\n")
	s.hangup(t, "was not reloaded")
	if got := s.setting(t, "announce.interval"); got.Value != "25m" {
		t.Errorf("after a reload that failed %+v", got)
	}
}

func TestPublicPageIsOffUnlessItIsSet(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	base := strings.TrimSuffix(s.url(t, "http"), "/announce")
	if body := get(t, base+"/"); !strings.HasPrefix(string(body), "this is a BitTorrent tracker") {
		t.Errorf("%s", body)
	}
}

func TestPublicPageShowsWhatIsTrackedAndNothingElse(t *testing.T) {
	s := startServe(t, "--store", "memory:", "--console-public", "true")
	base := strings.TrimSuffix(s.url(t, "http"), "/announce")
	body, h := metainfo(t, "image.iso")
	if _, err := s.client(t, "").Upload(t.Context(), "image.torrent", body); err != nil {
		t.Fatal(err)
	}
	if _, err := s.tell(t, bittorrent.AnnounceRequest{InfoHash: h, Left: 0}); err != nil {
		t.Fatal(err)
	}
	if page := get(t, base+"/"); !bytes.Contains(page, []byte("image.iso")) || !bytes.Contains(page, []byte("Swarms: 1. Peers: 1, of them seeders: 1.")) {
		t.Errorf("%s", page)
	}
	if got := get(t, base+"/torrents/"+h.String()+".torrent"); !bytes.Equal(got, body) {
		t.Errorf("%q", got)
	}
	var feed struct {
		Entries []struct {
			Link struct {
				Href string `xml:"href,attr"`
			} `xml:"link"`
		} `xml:"entry"`
	}
	if err := xml.Unmarshal(get(t, base+"/feed.atom"), &feed); err != nil || len(feed.Entries) != 1 || !bytes.Equal(get(t, feed.Entries[0].Link.Href), body) {
		t.Errorf("%+v, %v", feed, err)
	}
	for _, path := range []string{"/api/v1/version", "/figures", "/debug/pprof/"} {
		if got := get(t, base+path); strings.TrimSpace(string(got)) != "404 page not found" {
			t.Errorf("%s: %s", path, got)
		}
	}
}
