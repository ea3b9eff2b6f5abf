package simulate

import (
	"fmt"
	"time"

	"waggle/roster"
	"waggle/simulate/rival"
	"waggle/store/memory"
	"waggle/swarm"
)

// contender is a tracker to be compared with others.
type contender struct {
	name   string
	store  swarm.Store
	roster roster.Store  // nil: it has no rosters
	policy *swarm.Policy // nil: it looks at none

	usual, active time.Duration // intervals of those without a policy
}

func newContender(name string, o *Options) (contender, error) {
	seed := [2]uint64{o.Seed, 0x74726163}
	c := contender{name: name, usual: o.Usual, active: o.Active}
	switch name {
	case "random":
		c.store = rival.Random(seed)
	case "subnet-first":
		c.store = rival.SubnetFirst(seed)
	case "p2ptracker":
		c.store = rival.P2PTracker(seed)
		c.active = rival.ActiveInterval
	default:
		policy, err := swarm.NewPolicy(name, o.Active, o.Passive)
		if err != nil {
			return c, fmt.Errorf("simulating %s: %w", name, err)
		}
		o.adjust(&policy)
		m := memory.New(memory.Options{Seed: seed, Budget: roster.NewBudget(0)})
		c.store, c.roster, c.policy = m, m, &policy
	}
	return c, nil
}

// adjust replaces what the options do not leave to the profile.
func (o *Options) adjust(p *swarm.Policy) {
	for h := range p.Importers {
		if o.Importers > 0 {
			p.Importers[h], p.Exporters[h] = o.Importers, o.Importers
		}
	}
	if o.Edges > 0 {
		p.Edges = o.Edges
	}
	if o.Standby > 0 {
		p.Standby = o.Standby
	}
}

// interval returns how long a host waits that was told a pace.
func (c *contender) interval(p swarm.Pace, a *swarm.Announce, random float64) time.Duration {
	switch {
	case p == swarm.Usual:
		return swarm.Jittered(c.usual, random)
	case c.policy != nil:
		return c.policy.Interval(p, a, random)
	}
	return swarm.Jittered(c.active, random)
}
