package s3

import "sync/atomic"

// Figures are what a store has asked for since it was opened.
type Figures struct {
	Get, Put, Delete, List uint64 // requests, attempts of the same one counted each
	Unchanged              uint64 // of Get, those that were answered without the object (304)
	Conflicts              uint64 // of Put, those that were refused because somebody was quicker (412)
	Throttled              uint64 // attempts that the service refused because they were too many
	Failed                 uint64 // attempts that got no answer, or an error of the server
	Refused                uint64 // announces and scrapes that got swarm.ErrBusy
	Splits, Joins          uint64 // objects of swarms that this tracker divided, and put together
	Batched                uint64 // changes that were written, of swarms and of located peers
	Batches                uint64 // in so many objects
}

// counters are figures that are being counted.
type counters struct {
	get, put, remove, list, unchanged, conflicts atomic.Uint64
	throttled, failed, refused                   atomic.Uint64
	splits, joins, batched, batches              atomic.Uint64
}

// Figures returns what the store has asked for.
func (s *Store) Figures() Figures {
	c := &s.server.counters
	return Figures{
		Get: c.get.Load(), Put: c.put.Load(), Delete: c.remove.Load(), List: c.list.Load(),
		Unchanged: c.unchanged.Load(), Conflicts: c.conflicts.Load(),
		Throttled: c.throttled.Load(), Failed: c.failed.Load(), Refused: c.refused.Load(),
		Splits: c.splits.Load(), Joins: c.joins.Load(), Batched: c.batched.Load(), Batches: c.batches.Load(),
	}
}
