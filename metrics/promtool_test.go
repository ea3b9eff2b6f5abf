package metrics

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	rules      = "../deploy/prometheus/alerts.yml"
	rulesTests = "../deploy/prometheus/alerts_test.yml"
	scraping   = "../deploy/prometheus/prometheus.yml"
	dashboard  = "../deploy/grafana/waggle.json"
)

// promtool runs Prometheus' own checks.
func promtool(t *testing.T, input string, arguments ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is missing: make setup, or apt-get install prometheus")
	}
	command := exec.CommandContext(t.Context(), path, arguments...)
	command.Stdin = strings.NewReader(input)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
}

func TestScrapeIsAsPrometheusWantsIt(t *testing.T) {
	text, _ := scrape(t, serve(t, sample), "text/plain")
	var own strings.Builder // the library's own do not follow all rules
	for line := range strings.Lines(text) {
		if strings.Contains(line, "waggle_") {
			own.WriteString(line)
		}
	}
	promtool(t, own.String(), "check", "metrics")
	promtool(t, text, "check", "metrics")
}

func TestRulesAndScrapingAreRight(t *testing.T) {
	promtool(t, "", "check", "rules", rules)
	promtool(t, "", "check", "config", scraping)
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	promtool(t, "", "test", "rules", rulesTests)
}

func TestEveryAlertIsTested(t *testing.T) {
	tests := read(t, rulesTests)
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(read(t, rules), -1) {
		if !strings.Contains(tests, `"`+alert[1]+`"`) && !strings.Contains(tests, "alertname: "+alert[1]+"\n") {
			t.Errorf("%s has no test", alert[1])
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDashboardAndAlertsAskForWhatThereIs looks for the names of metrics in both, and in
// the manual.
func TestDashboardAndAlertsAskForWhatThereIs(t *testing.T) {
	text, _ := scrape(t, serve(t, sample), "text/plain")
	there := exposed(text)
	for name, is := range maps.Clone(there) {
		if is == Histogram {
			for _, end := range []string{"_bucket", "_sum", "_count"} {
				there[name+end] = Counter
			}
		}
	}
	name := regexp.MustCompile(`\b(?:(?:waggle|process)_[a-z0-9_]*[a-z0-9]|go_goroutines)\b`)
	for _, path := range []string{rules, rulesTests, dashboard, manual} {
		names := slices.Compact(slices.Sorted(slices.Values(name.FindAllString(read(t, path), -1))))
		if len(names) == 0 {
			t.Errorf("%s asks for nothing", path)
		}
		for _, n := range names {
			if _, ok := there[n]; !ok {
				t.Errorf("%s asks for %s, which there is not", path, n)
			}
		}
	}
}

func TestDashboardIsWhole(t *testing.T) {
	var d struct {
		UID        string
		Title      string
		Templating struct{ List []struct{ Name string } }
		Panels     []struct {
			ID      int
			Title   string
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, RefID string }
		}
	}

	if err := json.Unmarshal([]byte(read(t, dashboard)), &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.Title == "" || len(d.Panels) < 8 || len(d.Templating.List) < 2 {
		t.Errorf("%+v", d)
	}
	var queries []string
	ids := map[int]bool{}
	for i, p := range d.Panels {
		if p.Title == "" || ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.W == 0 || p.GridPos.H == 0 {
			t.Errorf("panel %d, %q, at %+v", p.ID, p.Title, p.GridPos)
		}
		ids[p.ID] = true
		for _, q := range d.Panels[:i] {
			a, b := p.GridPos, q.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%q lies over %q", p.Title, q.Title)
			}
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			if target.Expr == "" || target.RefID == "" || !strings.Contains(target.Expr, `instance=~"$instance"`) {
				t.Errorf("%q asks for %q", p.Title, target.Expr)
			}
			queries = append(queries, target.Expr)
		}
	}
	expressions(t, queries)
}

// expressions lets promtool read the queries of the dashboard, as rules.
func expressions(t *testing.T, queries []string) {
	t.Helper()
	var file strings.Builder
	file.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, query := range queries {
		quoted, err := json.Marshal(strings.NewReplacer("$instance", "a", "$job", "b", "$__rate_interval", "5m").Replace(query))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&file, "  - {record: 'dashboard:query%d', expr: %s}\n", i, quoted)
	}
	path := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", path)
}
