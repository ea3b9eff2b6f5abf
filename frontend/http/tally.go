package http

import (
	"sync/atomic"

	"waggle/frontend"
)

// tallies is how many places there are to count in. Buffers have one each, in turn: as
// a processor mostly uses the same buffers again, no two add to one place all the time.
const tallies = 64

// tally is a place to count in.
type tally struct {
	announces atomic.Uint64
	frontend.Latency
}

// newBuffers returns buffers that are counted in the next place.
func (s *Server) newBuffers() *buffers {
	return &buffers{tally: &s.tallies[s.nextTally.Add(1)%tallies], request: request{passkeys: s.options.Passkeys}}
}

// count counts the answers of b, which were written just now, or never will be. They
// all took as long.
func (s *Server) count(b *buffers) {
	if b.answers == 0 {
		return
	}
	b.tally.Add(s.options.Tracker.Now().Sub(b.now), b.answers)
	b.tally.announces.Add(uint64(b.announces))
	b.answers, b.announces = 0, 0
}

// Latencies returns how long announces and scrapes took, from when they were read to
// when the system took their answers. What had to wait for its location counts with
// that.
func (s *Server) Latencies() (all frontend.Latencies) {
	for i := range s.tallies {
		all.Count(&s.tallies[i].Latency)
	}
	return all
}

func (s *Server) announced() (n uint64) {
	for i := range s.tallies {
		n += s.tallies[i].announces.Load()
	}
	return n
}
