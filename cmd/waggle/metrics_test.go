package main

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/metrics"
)

// scrape returns the metrics of a running tracker, once they have a line: what an answer
// counts is there a moment after the client has it.
func (s *serving) scrape(t *testing.T, line string) string {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		text := string(get(t, s.console(t)+"/metrics"))
		if strings.Contains(text, line+"\n") {
			return text
		}
		if time.Now().After(end) {
			t.Fatalf("no %s in\n%s", line, text)
		}
	}
}

func TestRunningTrackerHasEveryMetricAndNoOther(t *testing.T) {
	s := startServe(t, "--store", "memory:", "--locality-sources", "subnets: "+racksFile(t, "127.1.0.0/16,r1"))
	s.announceFrom(t, "127.1.0.1", 0)
	text := s.scrape(t, `waggle_announces_total{protocol="http"} 1`)
	for _, want := range []string{
		`waggle_peers{kind="seeder"} 1`, `waggle_peers_limit 2e+07`, `waggle_announces_located_total{located="yes"} 1`,
		`waggle_store_info{kind="memory"} 1`, `waggle_store_healthy 1`, `waggle_answer_seconds_count{protocol="http"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	wantTable(t, text, false)
}

// wantTable checks that a scrape has every metric that there is, and no other; those of
// stores on a network where the store is one, and those of links where it is not; there
// is no link.
func wantTable(t *testing.T, text string, remote bool) {
	t.Helper()
	there := map[string]bool{}
	for _, name := range regexp.MustCompile(`(?m)^# TYPE (waggle_\S+)`).FindAllStringSubmatch(text, -1) {
		there[name[1]] = true
	}
	for _, m := range metrics.Table {
		want := (remote || !m.Remote) && (!remote || !m.Linked) && !strings.HasPrefix(m.Name, "waggle_tls_") && !strings.HasPrefix(m.Name, "waggle_passkey") && !slices.Contains(m.Labels, "link")
		if there[m.Name] != want {
			t.Errorf("%s is there: %t", m.Name, !want)
		}
		delete(there, m.Name)
	}
	for name := range there {
		t.Errorf("%s is not in the table", name)
	}
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is missing: make setup, or apt-get install prometheus")
	}
	check := exec.CommandContext(t.Context(), path, "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
