package metrics

import "time"

// Events are those that tell of announces outside.
type Events struct {
	Taken        uint64 // from the start of the process on
	Disk, Memory int64  // bytes of what waits
	Ends         []EventsEnd
}

// EventsEnd is one that is told. No two have the same name.
type EventsEnd struct {
	Name                  string // webhook or nats
	Sent, Batches, Failed uint64 // events and batches that it took, and attempts that it did not, from the start of the process on
	Lost                  uint64 // events that it will never have, from the start of the process on
	Waiting               uint64 // events
	Oldest                time.Duration
}

// EventsTable is every metric of events, in the order of docs/metrics.md, where it follows
// [ClusterTable]. They are there where somebody is told of announces.
var EventsTable = absentWhere(func(s *Snapshot) bool { return s.Events == nil }, []Metric{
	count("waggle_events_total", "Events that somebody is to be told of", func(s *Snapshot) uint64 { return s.Events.Taken }),
	ofEnds("waggle_events_sent_total", Counter, "", "Events that were delivered; to is webhook or nats", func(e *EventsEnd) float64 { return float64(e.Sent) }),
	ofEnds("waggle_events_batches_total", Counter, "", "Batches of events that were delivered; to is webhook or nats", func(e *EventsEnd) float64 { return float64(e.Batches) }),
	ofEnds("waggle_events_failures_total", Counter, "", "Attempts to deliver a batch that failed; to is webhook or nats", func(e *EventsEnd) float64 { return float64(e.Failed) }),
	ofEnds("waggle_events_lost_total", Counter, "", "Events that will never be delivered, as there was no room for them, or they were refused for good; to is webhook or nats", func(e *EventsEnd) float64 { return float64(e.Lost) }),
	ofEnds("waggle_events_waiting", Gauge, "", "Events that are still to be delivered; to is webhook or nats", func(e *EventsEnd) float64 { return float64(e.Waiting) }),
	ofEnds("waggle_events_oldest_seconds", Gauge, inSeconds, "Age of the oldest event that is still to be delivered, 0 where there is none; to is webhook or nats",
		func(e *EventsEnd) float64 { return e.Oldest.Seconds() }),
	{
		Name: "waggle_events_kept_bytes", Type: Gauge, Unit: inBytes, Labels: []string{"where"},
		Help: "What waits, by where: disk, or memory, as there is no folder for it or that cannot be written",
		collect: func(s *Snapshot, e *emitter) {
			e.value(float64(s.Events.Disk), "disk")
			e.value(float64(s.Events.Memory), "memory")
		},
	},
})

// ofEnds makes a metric of all that are told.
func ofEnds(name string, is Type, unit, help string, read func(*EventsEnd) float64) Metric {
	return Metric{Name: name, Type: is, Unit: unit, Labels: []string{"to"}, Help: help, collect: func(s *Snapshot, e *emitter) {
		for i := range s.Events.Ends {
			e.value(read(&s.Events.Ends[i]), s.Events.Ends[i].Name)
		}
	}}
}
