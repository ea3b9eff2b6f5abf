package udp

// Portable returns the options for a server that does without what only Linux
// has.
func Portable(o Options) Options {
	o.portable = true
	return o
}

// WithLate returns the options for a server where n queries may wait.
func WithLate(o Options, n int) Options {
	o.late = n
	return o
}

// Connects returns how many connect requests each worker answered.
func (s *Server) Connects() []uint64 {
	var counts []uint64
	for _, w := range s.workers {
		counts = append(counts, w.responder.ledger.read().Connects)
	}
	return counts
}
