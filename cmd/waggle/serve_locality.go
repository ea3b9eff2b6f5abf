package main

import (
	"context"
	"fmt"
	"os"

	"waggle/config"
	"waggle/console"
	"waggle/locality"
	"waggle/record"
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

// openRecord opens the file that announces are recorded in, if there is one.
func (s *service) openRecord() error {
	path := string(s.config.Announce.Record)
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("announce.record: %w", err)
	}
	s.record = record.NewWriter(f, int64(s.config.Announce.RecordLimit), func(err error) {
		s.log.Error("announces are not recorded any more", "error", err)
	})
	s.log.Info("announces are recorded", "file", path)
	return nil
}

func (s *service) closeRecord() error {
	if s.record == nil {
		return nil
	}
	err := s.record.Close()
	s.log.Info("announces were recorded", "written", s.record.Written(), "dropped", s.record.Dropped())
	return err
}

// policies returns who may cross which uplinks, by profile. They are there without
// sources too: a reload may take the sources away, which the tracker keeps until its
// next start.
func policies(c config.Locality) tracker.Policies {
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

// showPolicy lets the console show which policy is in force.
func (s *service) showPolicy(p tracker.Policies, c config.Locality) {
	s.policy.Store(&console.Policy{Policy: *p.Default, Profile: c.Profile})
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
