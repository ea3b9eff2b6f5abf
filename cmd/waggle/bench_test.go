package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/bench"
)

// runBench runs "waggle bench" with arguments.
func runBench(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	return runCommand(ctx, append([]string{"bench"}, args...)...)
}

// little is a load that is soon over, and that no slow machine loses anything of.
var little = []string{"--torrents", "20", "--peers", "300", "--duration", "0", "--announces", "1000", "--timeout", "1m"}

func TestBenchPrintsWhatItMeasured(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	for protocol, mode := range map[string]string{"udp": "--window=8", "http": "--no-keepalive"} {
		url := s.url(t, protocol)
		out, _, err := runBench(t.Context(), append([]string{protocol, url, mode, "--numwant", "7"}, little...)...)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"rank: 300 peers of ", "25 % seeders, 7 wanted", url, "filled in ", "answers/s  peers/answer", "p99.9"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", protocol, want, out)
			}
		}
	}
}

func TestBenchOfBrowsersPrintsWhatItMeasured(t *testing.T) {
	s := startServe(t, "--store", "memory:", "--limits-websocket-connections-per-address", "0")
	args := []string{
		"ws", s.url(t, "ws"), "--connections", "20", "--idle", "30", "--idle-for", "1ms", "--torrents", "5",
		"--duration", "0", "--announces", "100", "--timeout", "1m",
	}
	out, _, err := runBench(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"even: 50 peers of 5 torrents", "5 offers in an announce", "50 connections open after ", "messages/s", "to answer p50"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if out, _, err = runBench(t.Context(), append(args, "--json")...); err != nil {
		t.Fatal(err)
	}
	var r bench.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	round := r.Results[0].Rounds[0]
	if s := round.Signals; round.Announces != 100 || round.Errors != 0 || s == nil || s.Offers <= 0 || s.Answers <= 0 || r.Idle != 30 {
		t.Errorf("%s", out)
	}
}

func TestBenchPrintsJSON(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	args := append([]string{"http", s.url(t, "http"), "--json", "--against", s.url(t, "http"), "--rounds", "2", "--pipeline", "3"}, little...)
	out, _, err := runBench(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	var r bench.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != 2 || len(r.Results[1].Rounds) != 2 || r.Results[1].Median.Announces != 2_000 || r.Ratio == nil {
		t.Errorf("%s", out)
	}
	for _, name := range []string{"answers_per_second", "peers_per_answer", "latency_us", "p99_9", "timeouts", "generator_cpu_seconds"} {
		if !strings.Contains(out, `"`+name+`":`) {
			t.Errorf("no %s in\n%s", name, out)
		}
	}
}

func TestBenchStartsAnEchoToCompareWith(t *testing.T) {
	program := filepath.Join(t.TempDir(), "waggle")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := startServe(t, "--store", "memory:")
	for _, protocol := range []string{"udp", "http"} {
		args := append([]string{"bench", protocol, s.url(t, protocol), "--against", "echo", "--rounds", "1", "--json"}, little...)
		out, err := exec.CommandContext(t.Context(), program, args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		var r bench.Report
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatal(err)
		}
		if echo := r.Results[1].Median; echo.PeersPerAnswer != 30 || echo.Announces != 1_000 {
			t.Errorf("%s: the echo gave %+v", protocol, echo)
		}
	}
}

func TestEchoServesUntilItsInputEnds(t *testing.T) {
	for _, protocol := range []string{"udp", "http"} {
		out, _, err := runBench(t.Context(), "echo", protocol, "--until-eof")
		if err != nil || !strings.HasPrefix(out, protocol+"://127.0.0.1:") {
			t.Errorf("%q, %v", out, err)
		}
	}
}

func TestHashesAreThoseThatTheLoadAnnounces(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	out, _, err := runBench(t.Context(), "hashes", "--torrents", "1", "--seed", "5")
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"http", s.url(t, "http"), "--seed", "5"}, little...)
	if _, _, err := runBench(t.Context(), append(args, "--torrents", "1")...); err != nil {
		t.Fatal(err)
	}
	var escaped strings.Builder
	for hex := strings.TrimSpace(out); hex != ""; hex = hex[2:] {
		escaped.WriteString("%" + hex[:2])
	}
	scrape := strings.Replace(s.url(t, "http"), "/announce", "/scrape?info_hash="+escaped.String(), 1)
	if body := string(get(t, scrape)); !strings.Contains(body, "8:completei") || strings.Contains(body, "10:incompletei0e") {
		t.Errorf("hash %q: the tracker knows %q", out, body)
	}
	if out, _, err = runBench(t.Context(), "hashes", "--distribution", "aquatic", "--torrents", "1000"); err != nil || strings.Count(out, "\n") != 1_000 {
		t.Errorf("%d lines, %v", strings.Count(out, "\n"), err)
	}
}

func TestSoakWithoutSamplesIsNoProof(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		return // memory is read there
	}
	s := startServe(t, "--store", "memory:")
	args := append([]string{"udp", s.url(t, "udp"), "--soak", "--pid", "1", "--warm-up", "1h"}, little...)
	out, _, err := runBench(t.Context(), args...)
	if err == nil || !strings.Contains(err.Error(), "let it run longer") || !strings.Contains(out, "memory under churn") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSoakJudgesMemory(t *testing.T) {
	l := benchLoad{soak: true, pid: 7}
	for want, memory := range map[string]*bench.Memory{
		"":              {Samples: 3, Spread: 0.05, Flat: true},
		"spread is 6.0": {Samples: 3, Spread: 0.06},
		"run longer":    {},
	} {
		err := l.verdict(&bench.Report{Results: []bench.Result{{Memory: memory}}})
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%+v: %v, want %q", memory, err, want)
		}
	}
	if err := l.verdict(&bench.Report{Results: []bench.Result{{}}, Interrupted: true}); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}

func TestProgressIsALineInTenSecondsOutsideTerminals(t *testing.T) {
	var b bytes.Buffer
	progress := progressLines(&b)
	for second := range 25 {
		progress(bench.Progress{URL: "udp://x", Phase: "filling", Elapsed: time.Duration(second+1) * time.Second, Answers: 1234, Rate: 99})
	}
	progress(bench.Progress{URL: "udp://x", Phase: "measuring", Round: 2, Rounds: 3, Elapsed: time.Second})
	progress(bench.Progress{URL: "udp://x", Phase: "measuring", Round: 2, Rounds: 3, Elapsed: 10 * time.Second})
	want := "udp://x: filling, 9s: 1,234 answers, 99/s\n" +
		"udp://x: filling, 18s: 1,234 answers, 99/s\n" +
		"udp://x: round 2 of 3, 10s: 0 answers, 0/s\n"
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}

func TestWrongUsageOfBenchIsAUsageError(t *testing.T) {
	for _, args := range [][]string{
		{"tcp"},
		{"udp"},
		{"udp", "http://127.0.0.1:1"},
		{"http", "udp://127.0.0.1:1"},
		{"udp", "udp://127.0.0.1:1", "--against", "http://127.0.0.1:1"},
		{"udp", "udp://127.0.0.1:1", "--distribution", "zipf"},
		{"udp", "udp://127.0.0.1:1", "--peers", "0"},
		{"udp", "udp://127.0.0.1:1", "--duration", "0"},
		{"udp", "udp://127.0.0.1:1", "--pipeline", "2"},
		{"http", "http://127.0.0.1:1", "--pipeline", "-1"},
		{"ws", "http://127.0.0.1:1"},
		{"ws", "ws://127.0.0.1:1", "--against", "echo"},
		{"ws", "ws://127.0.0.1:1", "--connections", "0"},
		{"ws", "ws://127.0.0.1:1", "--offers", "65"},
		{"ws", "ws://127.0.0.1:1", "--soak"},
		{"echo", "tcp"},
		{"echo", "udp", "--listen", "here"},
		{"echo", "http", "--peers", "201"},
		{"hashes", "--distribution", "zipf"},
		{"hashes", "--torrents", "0"},
	} {
		if _, _, err := runBench(t.Context(), args...); !errors.As(err, new(usageError)) {
			t.Errorf("bench %v: %v is no usageError", args, err)
		}
	}
}

func TestBenchFailsWhereNobodyAnswers(t *testing.T) {
	_, _, err := runBench(t.Context(), "http", "http://127.0.0.1:1/announce")
	if err == nil || exitCode(err) != exitFailed || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("%v, exit code %d", err, exitCode(err))
	}
}
