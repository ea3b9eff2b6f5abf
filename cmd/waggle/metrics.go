package main

import (
	"net/http"
	"runtime"

	"waggle/metrics"
)

// metrics returns what answers scrapes.
func (s *service) metrics() http.Handler {
	revision := sourceRevision()
	return metrics.Handler(metrics.Options{
		Read: func() metrics.Snapshot { return s.snapshot(revision) },
		Log:  s.log,
	})
}

func (s *service) snapshot(revision string) metrics.Snapshot {
	now := s.figures()
	m := metrics.Snapshot{
		Version:      version,
		Revision:     revision,
		GoVersion:    runtime.Version(),
		Tracker:      now.Tracker,
		Access:       metrics.Access{Lists: now.Access.Lists, Tokens: now.Access.Tokens},
		StoreKind:    s.config.Store.Scheme(),
		StoreHealthy: s.health() == nil,
		Store:        now.Store,
		Remote:       now.Remote,
		Limits: metrics.Limits{
			WebSocketConnections: int(s.config.Limits.WebSocketConnections),
			Peers:                int(s.config.Limits.Peers), Torrents: int(s.config.Limits.Torrents),
			CatalogTorrents: s.catalog.MaxTorrents(), Memory: s.memoryLimit,
		},
		ActiveTorrents:   now.Catalog.Active,
		InactiveTorrents: max(now.Catalog.Listed-now.Catalog.Active, 0), // which were read one after the other
		Sources:          now.Sources,
		Lookups:          now.Lookups,
		ConsoleRequests:  s.requests.All(),
		ConsoleUnderWay:  s.requests.UnderWay(),
	}
	m.UDP.Figures, m.UDP.Latencies = now.UDP, s.udp.Latencies().Plus(s.groupLatencies())
	m.HTTP.Figures, m.HTTP.Latencies = now.HTTP, s.http.Latencies()
	if s.certificates != nil {
		f := s.certificates.Figures()
		m.TLS = &f
	}
	m.Passkeys = s.passkeyMetrics()
	m.WebSocket.Figures, m.WebSocket.Latencies = s.websocketFigures()
	m.Browsers = now.Browsers
	if links := s.shownLinks(); links != nil {
		shown := links.Show()
		m.Links = linkMetrics(&shown)
	}
	if c := s.shownCluster(); c != nil {
		shown := c.Show()
		m.Cluster = clusterMetrics(&shown)
	}
	m.Events, m.Reach = s.eventMetrics(), s.reachMetrics()
	return m
}
