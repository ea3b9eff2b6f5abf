package metrics

// Reach is what is known of whether peers can be connected to.
type Reach struct {
	Reached, Refused, Unclear      uint64 // attempts, from the start of the process on
	Skipped                        uint64 // peers that there was no time for, from the start of the process on
	Reachable, Unreachable, Others int    // addresses that are remembered
}

// ReachTable is every metric of attempts to connect to peers, in the order of docs/metrics.md, where it follows
// [EventsTable]. They are there where announce.nat_check is on.
var ReachTable = absentWhere(func(s *Snapshot) bool { return s.Reach == nil }, []Metric{
	{
		Name: "waggle_nat_checks_total", Type: Counter, Labels: []string{"reachable"},
		Help: "Attempts to connect to peers that have announced, by what was found: yes, no (refused, or nobody answers), unknown (something answers that is no client of the torrent)",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.Reach.Reached, "yes")
			e.count(s.Reach.Refused, "no")
			e.count(s.Reach.Unclear, "unknown")
		},
	},
	count("waggle_nat_checks_skipped_total", "Peers that were not tried when they announced, as too many others were", func(s *Snapshot) uint64 { return s.Reach.Skipped }),
	{
		Name: "waggle_nat_addresses", Type: Gauge, Labels: []string{"reachable"},
		Help: "Addresses of peers of which is remembered whether they can be connected to: yes, no or unknown",
		collect: func(s *Snapshot, e *emitter) {
			e.value(float64(s.Reach.Reachable), "yes")
			e.value(float64(s.Reach.Unreachable), "no")
			e.value(float64(s.Reach.Others), "unknown")
		},
	},
})
