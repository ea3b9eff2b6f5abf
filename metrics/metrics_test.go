package metrics

import (
	"bufio"
	"flag"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"waggle/access"
	"waggle/certificate"
	"waggle/frontend"
	webfront "waggle/frontend/http"
	"waggle/frontend/udp"
	"waggle/frontend/websocket"
	"waggle/locality"
	"waggle/swarm"
	"waggle/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// everything is all metrics.
var everything = slices.Concat(Table, ClusterTable, EventsTable, ReachTable)

// sample is a snapshot in which every number is another.
func sample() Snapshot {
	s := Snapshot{
		Version: "1.2.3", Revision: "abc", GoVersion: "go1.26",
		Tracker: tracker.Figures{
			Announces: 3, Scrapes: 4, Refused: 205, Failed: 6, Told: 7, Completed: 8, Expired: 9, Located: 10, Unlocated: 11,
			Probes: 12, Dead: 13, Denied: 14, Passive: 15, Limited: 16, Shed: 17, Lengthened: 18,
			AtDoors: 200, Warned: 201, Shortened: 202, Early: 203, Silenced: 204, Moved: 205, Kept: 206,
		},
		Access: Access{
			Lists:  access.Figures{Networks: 207, Clients: 208},
			Tokens: access.TokenFigures{Missing: 209, Bad: 210, Expired: 211, OtherTorrent: 212, UnknownKey: 213, TooMany: 214, NoKeys: 215, Failed: 216, Keys: 217},
		},
		StoreKind: "redis", StoreHealthy: true,
		Passkeys: &Passkeys{
			Active: 1, Revoked: 2, Expired: 3, Max: 4, Waiting: 5,
			Missing: 6, Unknown: 7, RevokedRefused: 8, ExpiredRefused: 9, Implausible: 10, LeftOut: 11,
		},
		Remote: &RemoteStore{
			Requests:  []Requests{{"script", 100}, {"read", 101}},
			Throttled: 102, Unanswered: 103, Conflicts: 104, Refused: 105, ReadUnits: 106.5, WriteUnits: 107,
			Changes: 108, Objects: 109, Splits: 110, Joins: 111,
			Rosters: Rosters{Torrents: 112, Peers: 113, Waiting: 114, Updates: 115, Loads: 116, Commits: 117, Conflicts: 118, Lost: 119},
		},
		Links: &Links{Own: 120, Relayed: 121, Links: []Link{
			{
				Name: "world", Role: "hub", Up: true, Peers: 122, Waiting: 123, Lag: 12 * time.Millisecond, ChangesIn: 124, ChangesOut: 125, BytesIn: 126, BytesOut: 127,
				Capped: 128, Heals: 129, LastHeal: 1500 * time.Millisecond,
			},
			{Name: "fra", Role: "leaf"},
			{Name: "world", Role: "leaf"},
		}},
		Cluster: &Cluster{
			Role: "master", Serving: true, Newcomers: 130, Slaves: 131, Masters: 132, Rows: 133, UnderWay: 134, Commit: 1350 * time.Microsecond, Lag: 136 * time.Millisecond, Ahead: -1370 * time.Millisecond,
			Elections: 138, Committed: 139, Heard: 140, Again: 141, Resent: 142, Refused: 143, Full: 144, Forged: 145, Replayed: 146, Bad: 147, Strange: 148, Lost: 149, Failed: 150,
		},
		TLS: &certificate.Figures{Healthy: true, Failures: 160, Certificates: []certificate.Validity{
			{Name: "tracker.example", Source: "/etc/a.pem", NotBefore: time.Unix(161, 0), NotAfter: time.Unix(162, 0)},
			{Name: "tracker.example", Source: "/etc/a.pem", NotBefore: time.Unix(161, 0), NotAfter: time.Unix(162, 0)},
			{Name: "tracker.example", Source: "acme", NotBefore: time.Unix(163, 0), NotAfter: time.Unix(164, 0)},
		}},
		Events: &Events{Taken: 160, Disk: 161, Memory: 162, Ends: []EventsEnd{
			{Name: "webhook", Sent: 163, Batches: 164, Failed: 165, Lost: 166, Waiting: 167, Oldest: 1500 * time.Millisecond}, {Name: "nats"},
		}},
		Reach:          &Reach{Reached: 170, Refused: 171, Unclear: 172, Skipped: 173, Reachable: 174, Unreachable: 175, Others: 176},
		Store:          swarm.Totals{Torrents: 30, Peers: 31, Seeders: 9},
		Limits:         Limits{Peers: 40, CatalogTorrents: 42, Memory: 43},
		ActiveTorrents: 50, InactiveTorrents: 51,
		Sources: []locality.SourceFigures{
			{Source: "subnets a.csv", Asked: 60, Known: 61, Unknown: 62},
			{Source: "rest http://smdb.example", Failed: 63, TimedOut: 64, Rubbish: 65, LeftOut: 66, Resting: true, LastDuration: 1500 * time.Millisecond},
			{Source: "rest http://smdb.example"}, // twice the same
		},
		Lookups:         locality.LookupFigures{Remembered: 70, UnderWay: 71, Refused: 72},
		ConsoleRequests: 80, ConsoleUnderWay: 81,
	}
	s.UDP.Figures = udp.Figures{
		Announces: 1, Connects: 20, Errors: 21, BadConnection: 22, Malformed: 23, ReadErrors: 24, WriteErrors: 25, Panics: 26, Overflowed: 27, Unproxied: 28,
	}
	s.HTTP.Figures = webfront.Figures{Announces: 2, Connections: 90, HandedOver: 91, Failures: 92, NotFound: 93, Panics: 94, Handshakes: 95, FailedHandshakes: 96, RefusedHeaders: 97, Crowded: 98}
	s.WebSocket.Figures = websocket.Figures{
		Open: 151, Memory: 152, Connections: 153, Refused: 154, Messages: 155, Sent: 156, Announces: 157, Offers: 158, Answers: 159,
		Undelivered: 160, Failures: 161, HungUp: 162, Slow: 163, Silent: 164, Panics: 165,
	}
	s.Browsers = swarm.Totals{Torrents: 166, Peers: 500, Seeders: 167}
	var l frontend.Latency
	l.Add(3*time.Microsecond, 5)
	l.Add(time.Hour, 1)
	s.UDP.Latencies.Count(&l)
	return s
}

func serve(t *testing.T, read func() Snapshot) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(Handler(Options{Read: read}))
	t.Cleanup(server.Close)
	return server
}

// scrape returns an answer and its media type.
func scrape(t *testing.T, server *httptest.Server, accept string) (text, media string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v: %s", response.StatusCode, err, body)
	}
	return string(body), response.Header.Get("Content-Type")
}

// exposed returns the names of metrics in an answer, and their types.
func exposed(text string) map[string]Type {
	names := map[string]Type{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) == 4 && words[1] == "TYPE" {
			names[words[2]] = Type(words[3])
		}
	}
	return names
}

func TestScrapeHasTheTableAndNothingElse(t *testing.T) {
	text, _ := scrape(t, serve(t, sample), "text/plain")
	got := exposed(text)
	for _, m := range everything {
		if got[m.Name] != m.Type {
			t.Errorf("%s is exposed as %q, want %q", m.Name, got[m.Name], m.Type)
		}
		delete(got, m.Name)
	}
	for name := range got {
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is exposed, and not in the table", name)
		}
	}
	if !strings.Contains(text, "go_goroutines ") {
		t.Error("Go's own metrics are missing")
	}
}

func TestEveryFigureIsShownWhereItBelongs(t *testing.T) {
	text, _ := scrape(t, serve(t, sample), "text/plain")
	for _, want := range []string{
		`waggle_announces_total{protocol="udp"} 1`, `waggle_announces_total{protocol="http"} 2`,
		`waggle_announces_refused_total{reason="address"} 5`, `waggle_announces_refused_total{reason="denied"} 14`, `waggle_announces_refused_total{reason="shed"} 17`,
		`waggle_announces_passive_total 15`, `waggle_announces_completed_total 8`, `waggle_announces_lengthened_total 18`,
		`waggle_announces_located_total{located="yes"} 10`, `waggle_announces_located_total{located="no"} 11`,
		`waggle_requests_limited_total 16`, `waggle_scrapes_total 4`, `waggle_peers_told_total 7`, `waggle_peers_expired_total 9`,
		`waggle_peers_probed_total 12`, `waggle_peers_dead_total 13`,
		`waggle_peers{kind="seeder"} 9`, `waggle_peers{kind="leecher"} 22`, `waggle_peers_limit 40`,
		`waggle_swarms 30`, `waggle_swarms_limit +Inf`, `waggle_torrents{state="active"} 50`, `waggle_torrents{state="inactive"} 51`, `waggle_torrents_limit 42`,
		`waggle_passkeys{state="active"} 1`, `waggle_passkeys{state="revoked"} 2`, `waggle_passkeys{state="expired"} 3`, `waggle_passkeys_limit 4`,
		`waggle_passkey_sessions_waiting 5`, `waggle_passkey_implausible_total 10`, `waggle_passkey_left_out_total 11`,
		`waggle_passkey_refused_total{reason="missing"} 6`, `waggle_passkey_refused_total{reason="unknown"} 7`,
		`waggle_passkey_refused_total{reason="revoked"} 8`, `waggle_passkey_refused_total{reason="expired"} 9`,
		`waggle_store_info{kind="redis"} 1`, `waggle_store_healthy 1`, `waggle_store_failures_total 6`,
		`waggle_store_requests_total{operation="script"} 100`, `waggle_store_requests_total{operation="read"} 101`,
		`waggle_store_attempts_failed_total{reason="throttled"} 102`, `waggle_store_attempts_failed_total{reason="unanswered"} 103`, `waggle_store_attempts_failed_total{reason="conflict"} 104`,
		`waggle_store_refused_total 105`, `waggle_store_capacity_units_total{kind="read"} 106.5`, `waggle_store_capacity_units_total{kind="write"} 107`,
		`waggle_store_changes_total 108`, `waggle_store_objects_written_total 109`,
		`waggle_store_objects_reshaped_total{how="split"} 110`, `waggle_store_objects_reshaped_total{how="joined"} 111`,
		`waggle_store_rosters 112`, `waggle_store_roster_peers 113`, `waggle_store_roster_waiting 114`, `waggle_store_roster_updates_total 115`,
		`waggle_store_roster_loads_total 116`, `waggle_store_roster_commits_total 117`, `waggle_store_roster_conflicts_total 118`, `waggle_store_roster_lost_total 119`,
		`waggle_link_peers_known{announced="here"} 120`, `waggle_link_peers_known{announced="elsewhere"} 121`,
		`waggle_link_up{link="world",role="hub"} 1`, `waggle_link_up{link="fra",role="leaf"} 0`, `waggle_link_peers{link="world",role="hub"} 122`, `waggle_link_waiting{link="world",role="hub"} 123`,
		`waggle_link_lag_seconds{link="world",role="hub"} 0.012`,
		`waggle_link_changes_total{direction="in",link="world",role="hub"} 124`, `waggle_link_changes_total{direction="out",link="world",role="hub"} 125`,
		`waggle_link_bytes_total{direction="in",link="world",role="hub"} 126`, `waggle_link_bytes_total{direction="out",link="world",role="hub"} 127`,
		`waggle_link_capped_total{link="world",role="hub"} 128`, `waggle_link_heals_total{link="world",role="hub"} 129`, `waggle_link_last_heal_seconds{link="world",role="hub"} 1.5`,
		`waggle_cluster_role{role="master"} 1`, `waggle_cluster_role{role="slave"} 0`, `waggle_cluster_role{role="newcomer"} 0`, `waggle_cluster_role{role="left"} 0`,
		`waggle_cluster_serving 1`, `waggle_cluster_electing 0`, `waggle_cluster_elections_total 138`,
		`waggle_cluster_members{role="newcomer"} 130`, `waggle_cluster_members{role="slave"} 131`, `waggle_cluster_members{role="master"} 132`,
		`waggle_cluster_rows 133`, `waggle_cluster_requests_in_progress 134`, `waggle_cluster_commit_seconds 0.00135`, `waggle_cluster_lag_seconds 0.136`, `waggle_cluster_ahead_seconds -1.37`,
		`waggle_cluster_committed_total 139`, `waggle_cluster_waited_total 140`, `waggle_cluster_asked_again_total 141`, `waggle_cluster_sent_again_total 142`,
		`waggle_cluster_refused_total{reason="busy"} 143`, `waggle_cluster_refused_total{reason="full"} 144`,
		`waggle_cluster_dropped_total{reason="forged"} 145`, `waggle_cluster_dropped_total{reason="replayed"} 146`, `waggle_cluster_dropped_total{reason="malformed"} 147`,
		`waggle_cluster_dropped_total{reason="strange"} 148`, `waggle_cluster_dropped_total{reason="overflow"} 149`, `waggle_cluster_send_failures_total 150`,
		`waggle_events_total 160`, `waggle_events_kept_bytes{where="disk"} 161`, `waggle_events_kept_bytes{where="memory"} 162`,
		`waggle_events_sent_total{to="webhook"} 163`, `waggle_events_batches_total{to="webhook"} 164`, `waggle_events_failures_total{to="webhook"} 165`,
		`waggle_events_lost_total{to="webhook"} 166`, `waggle_events_waiting{to="webhook"} 167`, `waggle_events_oldest_seconds{to="webhook"} 1.5`, `waggle_events_waiting{to="nats"} 0`,
		`waggle_nat_checks_total{reachable="yes"} 170`, `waggle_nat_checks_total{reachable="no"} 171`, `waggle_nat_checks_total{reachable="unknown"} 172`, `waggle_nat_checks_skipped_total 173`,
		`waggle_nat_addresses{reachable="yes"} 174`, `waggle_nat_addresses{reachable="no"} 175`, `waggle_nat_addresses{reachable="unknown"} 176`,
		`waggle_udp_connects_total 20`, `waggle_udp_errors_total 21`, `waggle_udp_dropped_total{reason="connection_id"} 22`,
		`waggle_udp_dropped_total{reason="malformed"} 23`, `waggle_udp_dropped_total{reason="overflow"} 27`,
		`waggle_udp_system_errors_total{operation="read"} 24`, `waggle_udp_system_errors_total{operation="write"} 25`,
		`waggle_panics_total{protocol="udp"} 26`, `waggle_panics_total{protocol="http"} 94`,
		`waggle_http_connections_total 90`, `waggle_http_connections_handed_over_total 91`, `waggle_udp_dropped_total{reason="proxy"} 28`, `waggle_http_proxy_refused_total 97`, `waggle_http_crowded_total 98`,
		`waggle_tls_handshakes_total{result="done"} 95`, `waggle_tls_handshakes_total{result="failed"} 96`,
		`waggle_tls_certificate_begins_seconds{name="tracker.example",source="/etc/a.pem"} 161`, `waggle_tls_certificate_expires_seconds{name="tracker.example",source="/etc/a.pem"} 162`,
		`waggle_tls_certificate_expires_seconds{name="tracker.example",source="acme"} 164`,
		`waggle_tls_certificates_healthy 1`, `waggle_tls_certificate_failures_total 160`,
		`waggle_http_failures_total 92`, `waggle_http_not_found_total 93`,
		`waggle_location_answers_total{answer="known",number="1",source="subnets a.csv"} 61`,
		`waggle_location_answers_total{answer="unknown",number="1",source="subnets a.csv"} 62`,
		`waggle_location_answers_total{answer="failed",number="2",source="rest http://smdb.example"} 63`,
		`waggle_location_answers_total{answer="timeout",number="2",source="rest http://smdb.example"} 64`,
		`waggle_location_answers_total{answer="rubbish",number="2",source="rest http://smdb.example"} 65`,
		`waggle_location_left_out_total{number="2",source="rest http://smdb.example"} 66`,
		`waggle_location_resting{number="2",source="rest http://smdb.example"} 1`, `waggle_location_resting{number="3",source="rest http://smdb.example"} 0`,
		`waggle_location_last_answer_seconds{number="2",source="rest http://smdb.example"} 1.5`,
		`waggle_location_lookups_in_progress 71`, `waggle_location_lookups_refused_total 72`, `waggle_location_remembered_addresses 70`,
		`waggle_announces_refused_total{reason="access"} 200`, `waggle_announces_refused_total{reason="early"} 203`,
		`waggle_announces_early_total{answer="warned"} 201`, `waggle_announces_early_total{answer="shortened"} 202`, `waggle_announces_early_total{answer="refused"} 203`,
		`waggle_access_refused_total{reason="silenced"} 204`, `waggle_peers_moved_total 205`, `waggle_peers_kept_total 206`,
		`waggle_access_refused_total{reason="network"} 207`, `waggle_access_refused_total{reason="client"} 208`,
		`waggle_access_refused_total{reason="token_missing"} 209`, `waggle_access_refused_total{reason="token_bad"} 210`,
		`waggle_access_refused_total{reason="token_expired"} 211`, `waggle_access_refused_total{reason="token_torrent"} 212`,
		`waggle_access_refused_total{reason="token_key"} 213`, `waggle_access_refused_total{reason="token_rate"} 214`,
		`waggle_access_refused_total{reason="token_unchecked"} 215`, `waggle_token_keys_failed_total 216`, `waggle_token_keys 217`,
		`waggle_console_requests_total 80`, `waggle_console_requests_in_progress 81`, `waggle_memory_limit_bytes 43`,
		`waggle_build_info{go_version="go1.26",revision="abc",version="1.2.3"} 1`,
		`waggle_answer_seconds_bucket{protocol="udp",le="2e-06"} 0`, `waggle_answer_seconds_bucket{protocol="udp",le="4e-06"} 5`,
		`waggle_answer_seconds_bucket{protocol="udp",le="1.048576"} 5`, `waggle_answer_seconds_bucket{protocol="udp",le="+Inf"} 6`,
		`waggle_answer_seconds_sum{protocol="udp"} 3600.000015`, `waggle_answer_seconds_count{protocol="udp"} 6`,
		`waggle_answer_seconds_count{protocol="http"} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}

func TestStoreOnThisMachineHasNothingOfANetwork(t *testing.T) {
	text, _ := scrape(t, serve(t, func() Snapshot {
		s := sample()
		s.Remote = nil
		return s
	}), "text/plain")
	got := exposed(text)
	for _, m := range everything {
		if _, there := got[m.Name]; there == m.Remote {
			t.Errorf("%s is there: %t", m.Name, there)
		}
	}
}

func TestTrackerWithoutPasskeysHasNothingOfThem(t *testing.T) {
	text, _ := scrape(t, serve(t, func() Snapshot {
		s := sample()
		s.Passkeys = nil
		return s
	}), "text/plain")
	got := exposed(text)
	for _, m := range everything {
		if _, there := got[m.Name]; there == strings.HasPrefix(m.Name, "waggle_passkey") {
			t.Errorf("%s is there: %t", m.Name, there)
		}
	}
}

func TestTrackerThatCannotBeLinkedHasNothingOfLinks(t *testing.T) {
	text, _ := scrape(t, serve(t, func() Snapshot {
		s := sample()
		s.Links = nil
		return s
	}), "text/plain")
	got := exposed(text)
	for _, m := range everything {
		if _, there := got[m.Name]; there == m.Linked {
			t.Errorf("%s is there: %t", m.Name, there)
		}
	}
}

func TestTrackerWithoutTLSHasNothingOfCertificates(t *testing.T) {
	text, _ := scrape(t, serve(t, func() Snapshot {
		s := sample()
		s.TLS = nil
		return s
	}), "text/plain")
	got := exposed(text)
	for _, m := range everything {
		if _, there := got[m.Name]; there == strings.HasPrefix(m.Name, "waggle_tls_") {
			t.Errorf("%s is there: %t", m.Name, there)
		}
	}
}

func TestTrackerInNoClusterHasNothingOfClusters(t *testing.T) {
	text, _ := scrape(t, serve(t, func() Snapshot {
		s := sample()
		s.Cluster = nil
		return s
	}), "text/plain")
	if strings.Contains(text, "waggle_cluster_") {
		t.Error("there is something")
	}
	for _, m := range Table {
		if _, there := exposed(text)[m.Name]; !there {
			t.Errorf("%s is missing", m.Name)
		}
	}
}

func TestNothingIsShownOfEventsAndAttemptsWhereThereAreNone(t *testing.T) {
	text, _ := scrape(t, serve(t, func() Snapshot {
		s := sample()
		s.Events, s.Reach = nil, nil
		return s
	}), "text/plain")
	got := exposed(text)
	for _, m := range everything {
		if _, there := got[m.Name]; there == (strings.HasPrefix(m.Name, "waggle_events_") || strings.HasPrefix(m.Name, "waggle_nat_")) {
			t.Errorf("%s is there: %t", m.Name, there)
		}
	}
}

func TestUnhealthyStoreIsZero(t *testing.T) {
	text, _ := scrape(t, serve(t, func() Snapshot { return Snapshot{} }), "text/plain")
	if !strings.Contains(text, "waggle_store_healthy 0\n") {
		t.Error("no waggle_store_healthy 0")
	}
}

func TestOpenMetricsIsAnsweredToThoseWhoAskForIt(t *testing.T) {
	text, media := scrape(t, serve(t, sample), "application/openmetrics-text; version=1.0.0")
	if !strings.HasPrefix(media, "application/openmetrics-text") || !strings.HasSuffix(text, "# EOF\n") || !strings.Contains(text, "# TYPE waggle_announces counter") {
		t.Errorf("%s: …%s", media, text[max(0, len(text)-100):])
	}
	if _, media := scrape(t, serve(t, sample), "*/*"); !strings.HasPrefix(media, "text/plain") {
		t.Errorf("others get %s", media)
	}
}

// TestEachScrapeIsConsistent lets the registry check what it does not check otherwise:
// that no series comes twice, and each is as it was described.
func TestEachScrapeIsConsistent(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(newCollector(sample))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := 0
	for _, f := range families {
		series += len(f.GetMetric())
		if f.GetType().String() == "COUNTER" != strings.HasSuffix(f.GetName(), "_total") {
			t.Errorf("%s is a %v", f.GetName(), f.GetType())
		}
	}
	if most := 100 + 8*3 + 2 + 11*3 + 30 + 10 + 2*6 + 3 + 7 + 18; series > most {
		t.Errorf("%d series, want %d at most", series, most)
	}
}

func TestPathThatIsNoUTF8DoesNotStopAScrape(t *testing.T) {
	text, _ := scrape(t, serve(t, func() Snapshot {
		return Snapshot{Sources: []locality.SourceFigures{{Source: "subnets \xff\"\n.csv"}}}
	}), "text/plain")
	if !strings.Contains(text, `source="subnets `+"\uFFFD"+`\"\n.csv"`) {
		t.Error("the source is not shown")
	}
}

func TestNoLimitIsInfinite(t *testing.T) {
	if limit(0) != math.Inf(1) || limit(int64(7)) != 7 {
		t.Error(limit(0), limit(int64(7)))
	}
}

var write = flag.Bool("write", false, "write the table into docs/metrics.md")

const manual, mark = "../docs/metrics.md", "<!-- made of metrics.Table by: go test ./metrics -run Manual -write -->\n"

func TestManualHasTheTable(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	before, after, ok := strings.Cut(string(text), mark)
	if !ok {
		t.Fatalf("%s has no line %s", manual, mark)
	}
	want := "\n" + Manual()
	if *write {
		if err := os.WriteFile(manual, []byte(before+mark+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if after != want {
		t.Errorf("%s is not as the code: go test ./metrics -run Manual -write", manual)
	}
}

func TestNamesAndHelpAreAsTheyShouldBe(t *testing.T) {
	name, label := regexp.MustCompile(`^waggle_[a-z][a-z_]*[a-z]$`), regexp.MustCompile(`^[a-z][a-z_]*$`)
	seen := map[string]bool{}
	for _, m := range everything {
		if !name.MatchString(m.Name) || seen[m.Name] {
			t.Errorf("%s: not a good name, or twice", m.Name)
		}
		seen[m.Name] = true
		if m.Help == "" || strings.HasSuffix(m.Help, ".") || strings.ContainsAny(m.Help, "|\n") {
			t.Errorf("%s: help %q", m.Name, m.Help)
		}
		if slices.ContainsFunc(m.Labels, func(l string) bool { return !label.MatchString(l) }) {
			t.Errorf("%s: labels %q", m.Name, m.Labels)
		}
		for unit, suffix := range map[string]string{inSeconds: "_seconds", inBytes: "_bytes"} {
			if strings.HasSuffix(m.Name, suffix) != (m.Unit == unit) {
				t.Errorf("%s is in %q", m.Name, m.Unit)
			}
		}
	}
	if missing := slices.Sorted(maps.Keys(seen)); len(missing) != len(everything) {
		t.Errorf("%d names of %d", len(missing), len(everything))
	}
}

func BenchmarkScrape(b *testing.B) {
	r := registry(sample)
	for b.Loop() {
		if _, err := r.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
