package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"waggle/simulate"
)

// tiny is a data centre that takes no time.
var tiny = []string{"simulate", "--racks", "4", "--hosts", "4", "--size", "20MB", "--host-speed", "100Mbit"}

func runTiny(t *testing.T, more ...string) (stdout string) {
	t.Helper()
	stdout, stderr, err := runCommand(t.Context(), append(append([]string{}, tiny...), more...)...)
	if err != nil || stderr != "" {
		t.Fatalf("%v, stderr %q", err, stderr)
	}
	return stdout
}

func TestSimulatePrintsALineForEachPolicy(t *testing.T) {
	out := runTiny(t)
	for _, policy := range simulate.Policies {
		if !strings.Contains(out, " "+policy+" ") && !strings.HasPrefix(out, policy) {
			t.Errorf("%s has no line in:\n%s", policy, out)
		}
	}
	if out != runTiny(t) {
		t.Error("the second run comes to another result")
	}
}

func TestSimulatePrintsJSONAndDraws(t *testing.T) {
	inFolder(t, nil)
	var reports []simulate.Report
	out := runTiny(t, "--json", "--policy", "strict,random", "--svg", "x.svg", "--late", "25%@30s", "--slow", "10%")
	if err := json.Unmarshal([]byte(out), &reports); err != nil {
		t.Fatal(err)
	}
	if len(reports) != 2 || reports[0].Policy != "strict" || reports[0].Finished != 15 || len(reports[0].Uplinks) != 4 || reports[1].Last < 30 {
		t.Errorf("%+v", reports)
	}
	if svg, err := os.ReadFile("x.svg"); err != nil || !strings.HasPrefix(string(svg), "<svg ") {
		t.Errorf("x.svg: %v, %.40q", err, svg)
	}
}

func TestSimulateReadsATopologyFile(t *testing.T) {
	inFolder(t, map[string]string{
		"good.yaml": "levels: [site, rack]\nhost: 100Mbit\ngroups:\n- {name: ams, groups: [{name: r, count: 2, hosts: 3, uplink: 100Mbit}]}\n",
		"bad.yaml":  "levels: [rack]\ngroup: []\n",
	})
	out, _, err := runCommand(t.Context(), "simulate", "good.yaml", "--size", "20MB", "--policy", "strict", "--json", "--stagger", "0s", "--kill", "ams/r2@1s")
	var reports []simulate.Report
	if err = errors.Join(err, json.Unmarshal([]byte(out), &reports)); err != nil {
		t.Fatal(err)
	}
	if r := reports[0]; r.Hosts != 5 || r.Killed != 3 || r.Finished != 2 || r.Uplinks[2].Path != "ams/r2" {
		t.Errorf("%+v, want five hosts, three of which are killed", r)
	}
	_, _, err = runCommand(t.Context(), "simulate", "bad.yaml")
	if err == nil || !strings.Contains(err.Error(), `bad.yaml:2: a topology has no key "group"`) || exitCode(err) != exitFailed {
		t.Errorf("%v, exit code %d", err, exitCode(err))
	}
}

func TestSimulateRefusesWhatCannotBe(t *testing.T) {
	inFolder(t, map[string]string{"x.yaml": "", "x.jsonl": ""})
	for want, args := range map[string][]string{
		"no policy is called":         {"--policy", "best"},
		"--size: ":                    {"--size", "big"},
		"--piece: ":                   {"--piece", "0"},
		"pieces of 16 KiB":            {"--piece", "1kB"},
		"--host-speed: ":              {"--host-speed", "fast"},
		"--uplink: ":                  {"--uplink", "slow"},
		"say the same":                {"--uplink", "1Gbit", "--oversubscription", "2"},
		"a number above 0":            {"--oversubscription", "0"},
		"racks cannot be":             {"--racks", "0"},
		"rows of 20 racks":            {"--rows", "21"},
		"--late: ":                    {"--late", "10"},
		"--slow: ":                    {"--slow", "all"},
		"--kill: ":                    {"--kill", "representatives"},
		"want representatives, seeds": {"--kill", "rack99@1s"},
		"--racks does not go with a topology file":   {"x.yaml", "--racks", "3"},
		"wants one topology file":                    {"x.yaml", "y.yaml"},
		"does not go with --replay: the":             {"x.yaml", "--replay", "x.jsonl"},
		"--size does not go with --replay":           {"--replay", "x.jsonl", "--size", "1MB"},
		"no policy is called \"nix\": want some of ": {"--replay", "x.jsonl", "--policy", "nix"},
	} {
		_, _, err := runCommand(t.Context(), append([]string{"simulate"}, args...)...)
		if err == nil || !strings.Contains(err.Error(), want) || exitCode(err) != exitUsage {
			t.Errorf("%v: %v, exit code %d; want wrong usage with %q", args, err, exitCode(err), want)
		}
	}
}

func TestSimulateThatIsInterruptedFailsAndLeavesNoPicture(t *testing.T) {
	inFolder(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := runCommand(ctx, append(append([]string{}, tiny...), "--svg", "x.svg")...)
	if !errors.Is(err, context.Canceled) || exitCode(err) != exitFailed {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat("x.svg"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("x.svg is there: %v", err)
	}
	if _, _, err := runCommand(t.Context(), append(append([]string{}, tiny...), "--svg", "nowhere/x.svg")...); exitCode(err) != exitFailed {
		t.Errorf("a picture is drawn in a folder that does not exist: %v", err)
	}
}

func TestSimulateReplaysRecordedAnnounces(t *testing.T) {
	const line = `{"t":1700000000.5,"hash":"0100000000000000000000000000000000000002","addr":"10.0.0.1:1",` +
		`"id":"03000000000000000000000000000000000000ff","left":0,"up":0,"down":0,"event":"started","want":50,"path":"row1/rack1"}` + "\n"
	inFolder(t, map[string]string{"x.jsonl": line + strings.Replace(line, `"left":0`, `"left":-1`, 1), "y.jsonl": line})
	out, _, err := runCommand(t.Context(), "simulate", "--replay", "y.jsonl", "--policy", "strict,p2ptracker")
	if lines := strings.Split(out, "\n"); err != nil || !strings.HasPrefix(strings.TrimSpace(lines[2]), "p2ptracker") {
		t.Errorf("%v: %s", err, out)
	}
	out, _, err = runCommand(t.Context(), "simulate", "--replay", "y.jsonl", "--json")
	var results []simulate.Replayed
	if err = errors.Join(err, json.Unmarshal([]byte(out), &results)); err != nil || len(results) != len(simulate.Policies) || results[0].Announces != 1 {
		t.Errorf("%v: %+v", err, results)
	}
	if _, _, err := runCommand(t.Context(), "simulate", "--replay", "x.jsonl"); err == nil || !strings.HasPrefix(err.Error(), "x.jsonl:2: ") || exitCode(err) != exitFailed {
		t.Errorf("%v, want the line that is wrong", err)
	}
}
