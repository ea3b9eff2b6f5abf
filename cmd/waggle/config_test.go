package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runConfig runs "waggle config" with the arguments and the environment of the test.
func runConfig(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, complaints bytes.Buffer
	command := newConfigCommand()
	command.SilenceErrors, command.SilenceUsage = true, true
	command.SetOut(&out)
	command.SetErr(&complaints)
	command.SetArgs(args)
	err = command.Execute()
	return out.String(), complaints.String(), err
}

func configFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "waggle.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrintedDefaultIsAFileThatPassesTheCheck(t *testing.T) {
	printed, _, err := runConfig(t, "print")
	if err != nil {
		t.Fatal(err)
	}
	path := configFile(t, printed)
	out, complaints, err := runConfig(t, "check", path)
	if err != nil || complaints != "" || out != path+": ok\n" {
		t.Errorf("check: %q, %q, %v", out, complaints, err)
	}
}

func TestPrintShowsFileEnvironmentAndFlagsWithTheirSource(t *testing.T) {
	path := configFile(t, "announce:\n  interval: 20m\n")
	t.Setenv("WAGGLE_LISTEN_HTTP", "")
	out, _, err := runConfig(t, "print", "--config", path, "--store=memory:")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`  interval: 20m # from ` + path + `:2; the default is 30m`,
		`  http: [] # from WAGGLE_LISTEN_HTTP; the default is [":6969"]`,
		`store: "memory:" # from --store; the default is sqlite:waggle-data/waggle.db`,
		`  numwant: 50`,
	} {
		if !strings.Contains(out, "\n"+line+"\n") {
			t.Errorf("no line %q in:\n%s", line, out)
		}
	}
}

func TestPrintRefusesAWrongEnvironment(t *testing.T) {
	t.Setenv("WAGGLE_ANOUNCE_INTERVAL", "20m")
	out, _, err := runConfig(t, "print")
	if err == nil || !strings.Contains(err.Error(), "did you mean WAGGLE_ANNOUNCE_INTERVAL?") || out != "" {
		t.Errorf("printed %q, %v", out, err)
	}
}

func TestCheckPrintsEachProblemOnItsLine(t *testing.T) {
	path := configFile(t, "announce:\n  intervall: 20m\n  numwant: many\n")
	out, complaints, err := runConfig(t, "check", path)
	want := path + ":2: announce.intervall is not a key; did you mean interval?\n" +
		path + ":3: announce.numwant wants a number such as 50, not \"many\"\n"
	if out != "" || complaints != want {
		t.Errorf("printed %q and complained\n%s", out, complaints)
	}
	if err == nil || errors.As(err, new(usageError)) {
		t.Errorf("error is %v, want one that is not of usage", err)
	}
}

func TestCheckReadsTheListsThatAFileNames(t *testing.T) {
	dir := t.TempDir()
	list := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, clients, networks := list("good", "10.0.0.0/8\n"), list("clients", "-UT\n*\n"), list("networks", "\n10.0.0.1/8\n")
	torrents, missing := list("torrents", "xyz\n"), filepath.Join(dir, "missing")
	if out, complaints, err := runConfig(t, "check", configFile(t, "access: {networks_allow: "+good+"}\n")); err != nil || !strings.HasSuffix(out, ": ok\n") {
		t.Errorf("a good list: %q, %q, %v", out, complaints, err)
	}
	out, complaints, err := runConfig(t, "check", configFile(t, "access: {networks_allow: "+missing+", networks_deny: "+networks+", clients_deny: "+clients+"}\ntorrents: {deny: "+torrents+"}\n"))
	if err == nil || out != "" {
		t.Errorf("bad lists: %q, %v", out, err)
	}
	for _, want := range []string{
		"torrents.deny: " + torrents, "access.clients_deny: " + clients + ":2: ", "access.networks_allow: open " + missing,
		"access.networks_deny: " + networks + ":2: 10.0.0.1/8 has bits behind its prefix; write the network 10.0.0.0/8 or the address 10.0.0.1\n",
	} {
		if !strings.Contains(complaints, want) {
			t.Errorf("no %q in\n%s", want, complaints)
		}
	}
}

func TestCheckOfAMissingFileSaysSo(t *testing.T) {
	_, complaints, err := runConfig(t, "check", "missing.yaml")
	if err == nil || complaints != "missing.yaml: no such file or directory\n" {
		t.Errorf("%q, %v", complaints, err)
	}
}

func TestWrongUsageOfConfigIsAUsageError(t *testing.T) {
	for _, args := range [][]string{{"prnt"}, {"check"}, {"check", "a", "b"}, {"print", "a"}, {"print", "--frob"}, {"check", "--frob", "a"}} {
		if _, _, err := runConfig(t, args...); !errors.As(err, new(usageError)) {
			t.Errorf("config %v: %v is no usageError", args, err)
		}
	}
}

func TestConfigAloneShowsItsHelp(t *testing.T) {
	out, _, err := runConfig(t)
	if err != nil || !strings.Contains(out, "waggle config print > waggle.yaml") {
		t.Errorf("%q, %v", out, err)
	}
}
