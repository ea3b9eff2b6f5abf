package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/simulate"
)

// replayFlags are the flags that mean something with --replay.
var replayFlags = []string{"replay", "policy", "seed", "numwant", "active-interval", "passive-interval", "importers", "edges", "standby", "json"}

// runReplay puts recorded announces to the policies, one after the other.
func (s *simulateFlags) runReplay(cmd *cobra.Command, args []string) error {
	if err := s.checkReplay(cmd, args); err != nil {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	}
	var results []*simulate.Replayed
	for _, policy := range s.policies {
		result, err := s.replayTo(cmd, policy)
		if err != nil {
			return err
		}
		results = append(results, result)
	}
	if s.json {
		return printJSON(cmd.OutOrStdout(), results)
	}
	if err := simulate.WriteReplayed(cmd.OutOrStdout(), results); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n", strings.TrimSpace(replayLegend))
	return err
}

const replayLegend = `
Representatives: of a torrent's rack, peers that lacked data and were told of another
rack's, or others of them; edges: such pairs. Crossed at most: what representatives
downloaded since they were such. Starving: racks that lack data at the end, with no
edges from a peer that has it. The clients did what they did when they were recorded.`

func (s *simulateFlags) checkReplay(cmd *cobra.Command, args []string) (err error) {
	if len(args) > 0 {
		return fmt.Errorf("a topology file (%s) does not go with --replay: the announces say who is where", args[0])
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if !slices.Contains(replayFlags, f.Name) {
			err = fmt.Errorf("--%s does not go with --replay", f.Name)
		}
	})
	for _, policy := range s.policies {
		if !slices.Contains(simulate.Policies, policy) {
			return fmt.Errorf("no policy is called %q: want some of %s", policy, strings.Join(simulate.Policies, ", "))
		}
	}
	return err
}

func (s *simulateFlags) replayTo(cmd *cobra.Command, policy string) (*simulate.Replayed, error) {
	f, err := os.Open(s.replay)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	o := simulate.ReplayOptions{
		Seed: s.options.Seed, Active: s.options.Active, Passive: s.options.Passive, NumWant: s.options.NumWant,
		Importers: s.options.Importers, Edges: s.options.Edges, Standby: s.options.Standby,
	}
	return simulate.Replay(cmd.Context(), f, s.replay, policy, o)
}
