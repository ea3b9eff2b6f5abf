// Package metrics shows what a tracker did as Prometheus scrapes it.
//
//	handler := metrics.Handler(metrics.Options{Read: func() metrics.Snapshot { … }})
//
// Nothing is counted here. A scrape takes one [Snapshot] of what the tracker and others
// have counted anyway, and makes metrics of it: announces pay nothing for them. Beside
// these stand Go's and the process's own metrics, by the library's collectors.
//
// [Table], [ClusterTable], [EventsTable] and [ReachTable] are all that there is of waggle's own; docs/metrics.md is made of
// them (go test ./metrics -run Manual -write), and a test compares the two, and both with
// what a scrape answers.
//
// # How many series
//
// Labels have values of the program's or of its configuration, never of what peers or
// clients send. So there are some hundred series, twenty more where the store is on a
// network, eight for each source of locations, eleven for each link, four and two for each
// certificate where something speaks TLS, and thirty where the tracker is in a cluster.
//
// # The parts
//
//	metrics.go  Snapshot, Handler
//	table.go    every metric; links.go, tls.go and clusters.go those of each
//	manual.go   the table as text
package metrics
