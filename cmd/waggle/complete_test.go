package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/simulate"
)

// completions returns what a shell is told for words, the last of which is not complete yet. It offers
// those that begin so.
func completions(t *testing.T, words ...string) []string {
	t.Helper()
	out, _, err := output(t.Context(), newRootCommand(), append([]string{cobra.ShellCompNoDescRequestCmd}, words...)...)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[:len(lines)-1] // the last one says what to do with them
}

func TestShellsOfferTheOnlyValuesOfAFlag(t *testing.T) {
	for line, want := range map[string][]string{
		"serve --torrents-mode ":             {"open", "listed"},
		"health --log-level ":                {"debug", "info", "warn", "error"},
		"serve --log-format=":                {"text", "json"},
		"token create anna --role ":          {"viewer", "operator", "admin"},
		"torrent create . --version ":        {"1", "2", "hybrid"},
		"link invite fra --share ":           {"off", "receive", "send", "both"},
		"passkeys list --state ":             {"active", "revoked", "expired"},
		"bench hashes --distribution ":       {"rank", "aquatic", "even"},
		"push build.img --profile ":          {"strict", "balanced", "parity"},
		"simulate --policy ":                 simulate.Policies,
		"torrent sho":                        {"show"},
		"serve --announce-passive-interval ": {},
	} {
		if got := completions(t, strings.Split(line, " ")...); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// TestOnlyValuesOfAFlagAreThoseThatItsHelpNames finds a value that a flag has lost, or got.
func TestOnlyValuesOfAFlagAreThoseThatItsHelpNames(t *testing.T) {
	used := map[string]bool{}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if len(choices[f.Name]) == 0 || valuesOf(f) == nil || strings.Contains(f.Value.Type(), "|") {
				return
			}
			used[f.Name] = true
			for _, value := range choices[f.Name] {
				if !strings.Contains(f.Usage, value) && !strings.Contains(f.DefValue, value) {
					t.Errorf("%s --%s: %q is not in its help: %s", c.CommandPath(), f.Name, value, f.Usage)
				}
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCommand())
	for name := range choices {
		if !used[name] {
			t.Errorf("no command has --%s", name)
		}
	}
}
