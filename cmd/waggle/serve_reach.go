package main

import (
	"net/netip"

	"waggle/config"
	"waggle/metrics"
	"waggle/reach"
	"waggle/swarm"
	"waggle/tracker"
)

// tryLoopback has peers of this machine tried too, by tests.
var tryLoopback = false

// openReach has peers tried, if that is wanted.
func (s *service) openReach(o *tracker.Options) {
	if !s.config.Announce.NATCheck {
		return
	}
	s.reach = reach.New(reach.Options{
		Settings: reachSettings(&s.config), Addresses: int(s.config.Limits.NATChecked), Loopback: tryLoopback,
	})
	o.Reach = s.reach
	o.Recorders = append(o.Recorders, s.reach)
}

func reachSettings(c *config.Config) reach.Settings {
	return reach.Settings{PerSecond: int(c.Limits.NATChecksPerSecond), Privileged: c.Announce.NATPrivileged}
}

// shownReach tells the console whether a peer can be connected to; nil: nobody tries.
func (s *service) shownReach() func(netip.AddrPort) swarm.Reach {
	if s.reach == nil {
		return nil
	}
	return s.reach.Of
}

// reachMetrics are attempts as Prometheus scrapes them; nil: there are none.
func (s *service) reachMetrics() *metrics.Reach {
	if s.reach == nil {
		return nil
	}
	f := s.reach.Figures()
	return (*metrics.Reach)(&f)
}
