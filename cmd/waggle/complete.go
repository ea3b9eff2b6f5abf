package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/simulate"
)

// choices are the values of flags that take no others, but for those of the configuration, whose type
// has them.
var choices = map[string][]string{
	"distribution": {"rank", "aquatic", "even"},
	"policy":       simulate.Policies,
	"profile":      {"strict", "balanced", "parity"},
	"role":         {"viewer", "operator", "admin"},
	"share":        {"off", "receive", "send", "both"},
	"state":        {"active", "revoked", "expired"},
	"version":      {"1", "2", "hybrid"},
}

// completeValues has shells offer the values of flags that have few, and folders where one is wanted.
func completeValues(c *cobra.Command) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if values := valuesOf(f); values != nil {
			_ = c.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // fails for a flag that has one
		} else if placeholder, _ := pflag.UnquoteUsage(f); placeholder == "FOLDER" {
			_ = c.MarkFlagDirname(f.Name)
		}
	})
	for _, sub := range c.Commands() {
		completeValues(sub)
	}
}

// valuesOf returns the only values of a flag; nil: it takes others.
func valuesOf(f *pflag.Flag) []string {
	if values := strings.Split(f.Value.Type(), "|"); len(values) > 1 {
		return values
	}
	if f.Value.Type() == "bool" {
		return nil
	}
	return choices[f.Name]
}
