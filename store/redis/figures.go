package redis

import (
	"context"
	"errors"
	"sync/atomic"

	"waggle/store/shared"
	"waggle/swarm"
)

// Figures are what a store has asked for since it was opened.
type Figures struct {
	Scripts uint64 // calls of scripts, attempts of the same one counted each
	Reads   uint64 // commands that change nothing, likewise
	Failed  uint64 // attempts that got no answer, or that of a server that cannot do its work now
	Refused uint64 // announces, scrapes and the like that got swarm.ErrBusy
}

// counters are figures that are being counted.
type counters struct{ scripts, reads, failed, refused atomic.Uint64 }

// attempted counts an attempt that has ended. That nobody waits for it any more is no
// fault of the server's.
func (c *counters) attempted(err error) {
	if err != nil && transient(err) && !errors.Is(err, context.Canceled) && !errors.Is(err, swarm.ErrBusy) {
		c.failed.Add(1)
	}
}

// refuse returns swarm.ErrBusy, and counts it.
func (v *server) refuse() error {
	v.counters.refused.Add(1)
	return swarm.ErrBusy
}

// Figures returns what the store has asked for.
func (s *Store) Figures() Figures {
	c := &s.server.counters
	return Figures{Scripts: c.scripts.Load(), Reads: c.reads.Load(), Failed: c.failed.Load(), Refused: c.refused.Load()}
}

// LocatedFigures returns what was decided of located peers: zeros where locality is off.
func (s *Store) LocatedFigures() shared.Figures {
	if s.replicas == nil {
		return shared.Figures{}
	}
	return s.replicas.Figures()
}
