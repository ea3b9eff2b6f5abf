package main

import (
	"context"
	"fmt"

	"waggle/config"
	"waggle/locality"
	"waggle/roster"
	"waggle/swarm"
	"waggle/tracker"
)

// openLocator opens the sources of locations, if there are any.
func (s *service) openLocator(ctx context.Context) (err error) {
	if !s.config.Locality.On() {
		return nil
	}
	if s.locator, err = newLocator(ctx, &s.config.Locality); err != nil {
		return err
	}
	s.log.Info("locality is on", "levels", s.config.Locality.Levels, "profile", s.config.Locality.Profile, "sources", len(s.config.Locality.Sources))
	return nil
}

func (s *service) closeLocator() error {
	if s.locator == nil {
		return nil
	}
	return s.locator.Close()
}

// reloadLocator reads the files of locations again. With a mistake in one, the old
// map stays.
func (s *service) reloadLocator(ctx context.Context) error {
	if s.locator == nil {
		return nil
	}
	return s.locator.Reload(ctx)
}

// logSources warns of sources of locations that failed since the last figures.
func (s *service) logSources(now, last []locality.SourceFigures) {
	for i := range now {
		failures := now[i].Failed + now[i].TimedOut + now[i].Rubbish
		if i < len(last) {
			failures -= last[i].Failed + last[i].TimedOut + last[i].Rubbish
		}
		if failures > 0 || now[i].Resting {
			s.log.Warn("a source of locations fails: who it alone knows counts as unlocated",
				"source", now[i].Source, "failures", failures, "left_out", now[i].Resting, "error", now[i].LastError)
		}
	}
}

// policies returns who may cross which uplinks, by profile.
func policies(c config.Locality) tracker.Policies {
	if !c.On() {
		return tracker.Policies{}
	}
	p := tracker.Policies{ByName: map[string]*swarm.Policy{}}
	for _, profile := range swarm.Profiles {
		policy, err := policyOf(profile, c)
		if err != nil {
			panic(fmt.Sprintf("a profile of swarm's own: %v", err))
		}
		p.ByName[profile] = &policy
	}
	p.Default = p.ByName[c.Profile]
	return p
}

// policyOf returns the policy of a profile, with what the configuration says
// otherwise.
func policyOf(profile string, c config.Locality) (swarm.Policy, error) {
	p, err := swarm.NewPolicy(profile, c.ActiveInterval, c.PassiveInterval)
	for _, o := range []struct {
		counts []config.LevelCount
		of     *[len(p.Importers)]int
	}{{c.Importers, &p.Importers}, {c.Exporters, &p.Exporters}} {
		for _, count := range o.counts {
			for i, level := range c.Levels {
				if level == count.Level {
					o.of[len(c.Levels)-i] = count.Count
				}
			}
		}
	}
	if c.Edges > 0 {
		p.Edges = c.Edges
	}
	if c.Standby > 0 {
		p.Standby = c.Standby
	}
	return p, err
}

// importersOfARack is how many importers a rack's bandwidth has room for, over all
// torrents; 0: any number.
func importersOfARack(c config.Locality) int {
	if c.ClientBandwidth == 0 {
		return 0
	}
	return max(int(c.RackBandwidth/c.ClientBandwidth), 1)
}

// newBudget returns the budget of all racks.
func newBudget(c config.Locality) *roster.Budget { return roster.NewBudget(importersOfARack(c)) }
