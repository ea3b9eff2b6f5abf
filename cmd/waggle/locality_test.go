package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waggle/config"
)

// runLocality runs "waggle locality" with arguments.
func runLocality(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	var b bytes.Buffer
	command := newLocalityCommand()
	command.SilenceErrors, command.SilenceUsage = true, true
	command.SetOut(&b)
	command.SetArgs(args)
	err = command.ExecuteContext(t.Context())
	return b.String(), err
}

// topology is the path of a new file of subnets.
func topology(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "topology.csv")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const rightTopology = "10.1.0.0/16, ams1/r1\n10.2.0.0/16, ams1/r2\n2001:db8::/32, ams1/r1\n"

func TestFileOfSubnetsIsCountedByLevel(t *testing.T) {
	file := topology(t, rightTopology)
	out, err := runLocality(t, "check", file, "--locality-levels=site,rack")
	if want := file + ": 3 subnets (2 IPv4, 1 IPv6), 1 of level site, 2 of level rack\n"; err != nil || out != want {
		t.Errorf("%q, %v; want %q", out, err, want)
	}
	out, err = runLocality(t, "check", file, "--locality-levels=site,rack", "--json")
	var got []checkedFile
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if want := "[{" + file + " 3 2 1 [{site 1} {rack 2}] []}]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v; want %s", got, err, want)
	}
}

func TestWrongLinesOfAFileAreNamedAndTheCommandFails(t *testing.T) {
	right, wrong := topology(t, rightTopology), topology(t, "10.1.0.0/16, ams1\nrubbish\n10.1.0.0/16, ams1/r1\n10.1.0.0/16, ams1/r2\n")
	out, err := runLocality(t, "check", right, wrong, "--locality-levels=site,rack")
	for _, want := range []string{
		right + ": 3 subnets", wrong + `:1: "ams1" is no path of 2 names: give site/rack`, wrong + `:2: "rubbish" has no comma`,
		wrong + ":4: 10.1.0.0/16 is already on line 3",
	} {
		if !strings.Contains("\n"+out, "\n"+want) {
			t.Errorf("no line %q in\n%s", want, out)
		}
	}
	if err == nil || err.Error() != "1 of 2 checks failed" || exitCode(err) != exitFailed {
		t.Error(err)
	}
}

func TestAddressIsWhereTheFirstSourceThatKnowsItSays(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/10.1.2.3") {
			_, _ = fmt.Fprint(w, `{"server": {"cabinet": "ams1/r9"}}`)
			return
		}
		http.NotFound(w, r)
	}))
	defer service.Close()
	file := topology(t, rightTopology)
	yaml := configFile(t, "locality:\n  levels: [site, rack]\n  sources:\n    - subnets: "+file+"\n    - rest: "+service.URL+"\n")
	out, err := runLocality(t, "check", "--config", yaml, "10.1.2.3")
	if err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		"10.1.2.3 is in ams1/r1, by subnets " + file + "\n",
		"\n  subnets " + file + ": in ams1/r1; line 1: 10.1.0.0/16; 0 seconds old\n", "\n  rest " + service.URL + "/servers/ipaddresses/{ip}: in ams1/r9; asked now, took ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out, err = runLocality(t, "check", "--config", yaml, "--json", "10.2.0.1", "192.0.2.1")
	var got []checkedAddress
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Location != "ams1/r2" || got[0].Source != "subnets "+file || got[1].Location != "" || len(got[1].Answers) != 2 {
		t.Errorf("%+v", got)
	}
	if err == nil || err.Error() != "1 of 2 checks failed" { // one address is nowhere
		t.Error(err)
	}
}

func TestSourceThatFailsIsShownAndFailsTheCheck(t *testing.T) {
	file := topology(t, rightTopology)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	out, err := runLocality(t, "check", "--locality-levels=site,rack", "--locality-sources=subnets: "+file+", rest: "+gone.URL, "10.1.2.3")
	if err == nil || !strings.Contains(out, "10.1.2.3 is in ams1/r1") || !strings.Contains(out, "connection refused") {
		t.Errorf("%v, %s", err, out)
	}
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	for want, args := range map[string][]string{
		"no source of locations is configured; set locality.sources": {"check", "10.1.2.3"},
		"10.1.2.300 is neither an address nor a file":                {"check", "10.1.2.300"},
		"wants a file of subnets or an address":                      {"check"},
		"locality has no command \"chekc\"":                          {"chekc"},
		"gone.csv: no such file":                                     {"check", "10.1.2.3", "--locality-sources=subnets: gone.csv"},
		"program: ":                                                  {"check", "10.1.2.3", "--locality-sources=rest: http://x, program: /nowhere/at/all"},
	} {
		if _, err := runLocality(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
}

func TestEveryKindOfSourceIsOpened(t *testing.T) {
	c := config.Default().Locality
	c.Sources = []config.LocalitySource{
		{Subnets: &config.SubnetsSource{File: config.Path(topology(t, "10.0.0.0/8, r1\n"))}},
		{REST: &config.RESTSource{URL: "http://127.0.0.1:1", Path: "{/server/cabinet}"}},
		{DNS: &config.DNSSource{TXT: "{reversed}.loc.example", Server: "127.0.0.1:1"}},
		{DNS: &config.DNSSource{LOC: "{arpa}", Path: "{lat.1},{long.1}", Server: "127.0.0.1:1"}},
		{Hostname: &config.HostnameSource{Pattern: "(?P<rack>.*)", Confirm: true, Server: "127.0.0.1"}},
		{Program: &config.ProgramSource{Command: []string{"/bin/echo"}}},
		{Kubernetes: &config.KubernetesSource{Path: "{zone}", URL: "http://127.0.0.1:1", Interval: 1e9}},
	}
	l, err := newLocator(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	var kinds []string
	for _, f := range l.Figures() {
		kind, _, _ := strings.Cut(f.Source, " ")
		kinds = append(kinds, kind)
	}
	if got := strings.Join(kinds, " "); got != "subnets rest dns dns hostname program kubernetes" {
		t.Error(got)
	}
	c.Sources = append(c.Sources, config.LocalitySource{MaxMind: &config.MaxMindSource{Files: []config.Path{"gone.mmdb"}, Path: "{country.iso_code}"}})
	if _, err := newLocator(t.Context(), &c); err == nil || !strings.Contains(err.Error(), "maxmind: open gone.mmdb") {
		t.Error(err)
	}
}
