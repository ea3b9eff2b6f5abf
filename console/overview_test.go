package console_test

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/console"
	"waggle/console/client"
	"waggle/timeline"
)

// overTime returns three figures over time: one that is not known, and two that are.
func overTime(t testing.TB) *console.OverTime {
	t.Helper()
	l, err := timeline.Open(t.Context(), timeline.Options{
		Series: []timeline.Series{{Name: "announces", Kind: timeline.Rate}, {Name: "peers", Kind: timeline.Level}, {Name: "memory", Kind: timeline.Level}},
		Read:   func(r []float64) { r[0], r[1], r[2] = math.NaN(), 7.00049, math.Inf(1) },
		Now:    func() time.Time { return time.Unix(1_700_000_000, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &console.OverTime{Timeline: l, Series: []client.Series{
		{Name: "announces", Unit: client.PerSecond, Doc: "Announces"}, {Name: "peers", Doc: "Peers"}, {Name: "memory", Unit: client.Bytes, Doc: "Memory"},
	}}
}

func overview() client.Overview {
	return client.Overview{
		Version: "1.2.3", Started: time.Unix(1_700_000_000, 0).UTC(), Uptime: 1.5,
		Store:    client.OverviewStore{Kind: "sqlite", Problem: "the disk is full"},
		Listen:   []client.Listener{{Protocol: "udp", Address: "[::]:6969"}},
		Locality: client.OverviewLocality{On: true, Profile: "strict"},
		Torrents: client.OverviewTorrents{Mode: "open", Listed: 3, Active: 2},
		Limits:   []client.Limit{{Name: "peers", Key: "limits.peers", Used: 7}, {Name: "memory", Unit: "B", Used: 1, Max: 2}},
	}
}

func TestOverviewHasWhatItIsGivenAndTheFigures(t *testing.T) {
	w := newWorld(t, func(o *console.Options) { o.Overview, o.OverTime = overview, overTime(t) })
	if got := w.do(t, get("/api/v1/overview")); got.status != http.StatusOK {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	got, err := w.client(t, "").Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Listen) != 2 || got.Listen[1] != (client.Listener{Protocol: "console", Address: w.console.Addr().String()}) {
		t.Errorf("listens on %+v", got.Listen)
	}
	if got.Version != "1.2.3" || got.Uptime != 1.5 || got.Store != overview().Store || got.Limits[1] != overview().Limits[1] || got.Locality != overview().Locality {
		t.Errorf("%+v", got)
	}
	if peers, ok := got.Figure("peers"); !ok || peers != 7 {
		t.Errorf("%v peers, %v", peers, ok)
	}
	for _, unknown := range []string{"announces", "memory", "bees"} {
		if value, ok := got.Figure(unknown); ok {
			t.Errorf("%v %s", value, unknown)
		}
	}
	if f := got.Figures[0]; f.Unit != client.PerSecond || f.Doc != "Announces" || f.Value != nil {
		t.Errorf("%+v", f)
	}
}

func TestTimelineHasTheSeriesThatAreAskedFor(t *testing.T) {
	w := newWorld(t, func(o *console.Options) { o.Overview, o.OverTime = overview, overTime(t) })
	c := w.client(t, "")
	for _, test := range []struct {
		span  string
		names []string
		want  []string
		step  int
	}{
		{client.Hour, nil, []string{"announces", "peers", "memory"}, 10},
		{client.Day, []string{"memory", "peers", "memory"}, []string{"peers", "memory"}, 240},
	} {
		got, err := c.Timeline(t.Context(), test.span, test.names...)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range got.Series {
			names = append(names, s.Name)
			if len(s.Values) != 360 {
				t.Errorf("%s has %d values", s.Name, len(s.Values))
			}
		}
		if !slices.Equal(names, test.want) || got.Step != test.step || got.Span != test.span {
			t.Errorf("%q of %s, each %d s; want %q", names, got.Span, got.Step, test.want)
		}
		if end := got.From.Add(time.Duration(360*got.Step) * time.Second); end.Before(time.Unix(1_700_000_000-240, 0)) {
			t.Errorf("it ends at %v", end)
		}
	}
	if got := w.do(t, get("/api/v1/timeline")); got.status != http.StatusOK || !strings.Contains(string(got.body), `"values":[null,null`) {
		t.Errorf("status %d: %.200s", got.status, got.body)
	}
	for path, words := range map[string]string{
		"/api/v1/timeline?series=bees": "announces, peers, memory", "/api/v1/timeline?span=week": "hour",
	} {
		got := w.do(t, get(path))
		if p := got.problem(t); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Error(), words) {
			t.Errorf("%s: %v", path, p)
		}
	}
}

func TestConsoleWithoutFiguresSaysSo(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/api/v1/overview", "/api/v1/timeline"} {
		if p := w.do(t, get(path)).problem(t); p.Status != http.StatusNotFound || !strings.Contains(p.Detail, "no figures") {
			t.Errorf("%s: %v", path, p)
		}
	}
	if got := w.do(t, get("/metrics")); got.status != http.StatusNotFound {
		t.Errorf("/metrics: status %d", got.status)
	}
}

func TestMetricsAreForThoseWhoMayRead(t *testing.T) {
	requests := new(console.Requests)
	w := newWorld(t, func(o *console.Options) {
		o.Token, o.Requests = token, requests
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if requests.UnderWay() != 1 {
				t.Errorf("%d requests are under way", requests.UnderWay())
			}
			_, _ = w.Write([]byte("waggle_peers 7\n"))
		})
	})
	far := map[string]string{"X-Forwarded-For": "192.0.2.1"}
	if got := w.do(t, request{method: http.MethodGet, path: "/metrics", header: far}); got.status != http.StatusUnauthorized {
		t.Errorf("a stranger gets %d: %s", got.status, got.body)
	}
	far["Authorization"] = "Bearer " + token
	if got := w.do(t, request{method: http.MethodGet, path: "/metrics", header: far}); string(got.body) != "waggle_peers 7\n" {
		t.Errorf("with a token: %d, %s", got.status, got.body)
	}
	if got := w.do(t, get("/metrics")); string(got.body) != "waggle_peers 7\n" {
		t.Errorf("this machine: %d, %s", got.status, got.body)
	}
	if got := requests.All(); got < 2 {
		t.Errorf("%d requests were counted", got)
	}
}
