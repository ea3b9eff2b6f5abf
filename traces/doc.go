// Package traces sends spans of OpenTelemetry to a receiver that takes OTLP over HTTP.
//
//	sent, err := traces.Open(traces.Options{Endpoint: "http://127.0.0.1:4318", Share: 1})
//	tracker.New(store, settings, tracker.Options{Tracer: sent.Tracer()})
//	…
//	sent.Close()
//
// Spans are made where there is something to tell: package tracker has those of an
// announce and of a remote store, package locality those of the sources that it asks.
// Both know the interfaces of OpenTelemetry alone, and nothing of this package.
//
// # Bounds
//
// Who ends a span never waits. At most [Queue] spans wait or are under way to the
// receiver; more are dropped, and counted. A batch that the receiver does not take within
// ten seconds is lost, and counted too: it is not sent again. [Exporter.Report] says once
// a minute what was lost. Close sends what is left, for two seconds at most.
// [Exporter.Flush] is for who waits all the same, since the process is about to stand still.
//
// # The parts
//
//	traces.go   Exporter, and what goes in and out of its queue
//	client.go   a request to the receiver
//	headers.go  what OTEL_EXPORTER_OTLP_HEADERS says
//	report.go   figures, and the minute's line of log
package traces
