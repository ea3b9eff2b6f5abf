package main

import (
	"math"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/console/client"
	"waggle/metrics"
)

func TestOverviewTellsWhatRuns(t *testing.T) {
	before := time.Now().Add(-time.Second)
	s := startServe(t, "--store", "sqlite:"+filepath.Join(t.TempDir(), "waggle.db"), "--torrents-mode", "listed", "--limits-peers", "1000")
	c := s.client(t, "")
	metainfo, h := metainfo(t, "a")
	if _, err := c.Upload(t.Context(), "a.torrent", metainfo); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Deactivate(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	o, err := c.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if o.Version != version || o.Started.Before(before) || o.Uptime < 0 || o.Uptime > time.Since(before).Seconds() {
		t.Errorf("%s since %v, for %v s", o.Version, o.Started, o.Uptime)
	}
	if want := (client.OverviewStore{Kind: "sqlite", Healthy: true}); o.Store != want {
		t.Errorf("store %+v", o.Store)
	}
	if want := (client.OverviewTorrents{Mode: "listed", Listed: 1}); o.Torrents != want || o.Locality.On {
		t.Errorf("torrents %+v, locality %+v", o.Torrents, o.Locality)
	}
	if len(o.Listen) != 3 || o.Listen[2] != (client.Listener{Protocol: "console", Address: strings.TrimPrefix(s.console(t), "http://")}) || o.Listen[0].Protocol != "udp" || !strings.Contains(s.url(t, "http"), o.Listen[1].Address) {
		t.Errorf("listens on %+v", o.Listen)
	}
	if o.Limits[0] != (client.Limit{Name: "peers", Key: "limits.peers", Max: 1000}) || o.Limits[2].Used != 1 || o.Limits[2].Max != 100_000 || o.Limits[3].Used <= 0 || o.Limits[3].Key != "limits.memory" ||
		o.Limits[4] != (client.Limit{Name: "WebSocket connections", Key: "limits.websocket_connections", Max: 50_000}) {
		t.Errorf("limits %+v", o.Limits)
	}
	if peers, ok := o.Figure("peers"); !ok || peers != 0 {
		t.Errorf("%v peers", peers)
	}
	if memory, ok := o.Figure("memory"); !ok || memory < 1<<20 {
		t.Errorf("%v bytes", memory)
	}
	line, err := c.Timeline(t.Context(), client.Day, "announces")
	if err != nil || len(line.Series) != 1 || line.Series[0].Unit != client.PerSecond {
		t.Errorf("%+v, %v", line, err)
	}
}

func TestFiguresOverTimeThatCannotBeOpenedKeepNoTrackerFromAnswering(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, timelineFile), []byte("dear diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, "--store", "sqlite:"+filepath.Join(folder, "waggle.db"))
	s.announce(t, "")
	if _, err := s.client(t, "").Timeline(t.Context(), client.Hour); err != nil {
		t.Error(err)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if log := s.log.String(); !strings.Contains(log, "figures over time are not kept") || !strings.Contains(log, timelineFile) {
		t.Errorf("the log does not tell:\n%s", log)
	}
	if b, err := os.ReadFile(filepath.Join(folder, timelineFile)); err != nil || string(b) != "dear diary" {
		t.Errorf("it is %q now, %v", b, err)
	}
}

func TestFiguresOverTimeLieBesideTheStore(t *testing.T) {
	folder := t.TempDir()
	for range 2 {
		s := startServe(t, "--store", "sqlite:"+filepath.Join(folder, "waggle.db"))
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(s.log.String(), "not kept") {
			t.Errorf("%s", s.log)
		}
	}
	if stat, err := os.Stat(filepath.Join(folder, timelineFile)); err != nil || stat.Size() == 0 {
		t.Error(stat, err)
	}
}

func TestSeriesOverTimeHaveNamesUnitsAndFiguresOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range slices.Concat(allOverTime, remoteOverTime) {
		if s.Name == "" || s.Doc == "" || seen[s.Name] || s.Unit != "" && s.Unit != client.PerSecond && s.Unit != client.Bytes {
			t.Errorf("%+v", s.Series)
		}
		seen[s.Name] = true
	}
	var f figures
	f.Tracker.Announces, f.Tracker.Refused, f.Tracker.Denied, f.Store.Peers, f.Store.Seeders, f.Process.Memory = 1, 2, 3, 10, 4, 7
	f.Remote = &metrics.RemoteStore{Requests: []metrics.Requests{{Count: 5}, {Count: 6}}, Throttled: 12, Unanswered: 13, Conflicts: 14, Rosters: metrics.Rosters{Conflicts: 15}}
	want := map[string]float64{
		"announces": 1, "refused": 5, "peers": 10, "seeders": 4, "leechers": 6, "memory": 7,
		"store_requests": 11, "store_throttled": 12, "store_unanswered": 13, "store_conflicts": 29,
	}
	for _, s := range slices.Concat(allOverTime, remoteOverTime) {
		if got := s.read(&f); got != want[s.Name] {
			t.Errorf("%s is %v, want %v", s.Name, got, want[s.Name])
		}
	}
}

func TestTrackersOwnAddressHasNoMetrics(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(strings.TrimSuffix(s.url(t, "http"), "announce") + "metrics")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("strangers who ask the tracker for metrics get %d", response.StatusCode)
	}
}

func TestThisProcessUsesMemoryBelowItsLimit(t *testing.T) {
	used, limit := memoryInUse(), memoryLimit()
	if used < 1<<20 || limit != 0 && limit < used {
		t.Errorf("%d of %d bytes", used, limit)
	}
	if runtime.GOOS == "linux" && (limit <= 0 || limit == math.MaxInt64) {
		t.Errorf("the limit is %d", limit)
	}
}
