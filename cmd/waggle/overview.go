package main

import (
	"context"
	"net/netip"
	"time"

	"waggle/console"
	"waggle/console/client"
)

// overview is what the tracker is now, but for the figures.
func (s *service) overview() client.Overview {
	o := client.Overview{
		Version: version,
		Started: s.started.UTC(),
		Uptime:  time.Since(s.started).Seconds(),
		Store:   client.OverviewStore{Kind: s.config.Store.Scheme(), Healthy: true},
		Listen:  []client.Listener{},
		Torrents: client.OverviewTorrents{
			Mode: "open", Listed: s.catalog.Len(), Active: s.catalog.LenActive(),
		},
		Limits: s.limits(),
		Events: s.shownEvents(),
	}
	if err := s.health(); err != nil {
		o.Store.Healthy, o.Store.Problem = false, err.Error()
	}
	if s.listed.Load() {
		o.Torrents.Mode = "listed"
	}
	if s.locator != nil {
		o.Locality = client.OverviewLocality{On: true, Profile: s.policy.Load().Profile}
	}
	o.Listen = appendListeners(o.Listen, "udp", s.udp.Addrs())
	o.Listen = appendListeners(o.Listen, "http", s.http.Addrs())
	o.Listen = appendListeners(o.Listen, "https", s.http.SecureAddrs())
	return o
}

func appendListeners(to []client.Listener, protocol string, addrs []netip.AddrPort) []client.Listener {
	for _, a := range addrs {
		to = append(to, client.Listener{Protocol: protocol, Address: a.String()})
	}
	return to
}

// limits returns how much is used of what is bounded.
func (s *service) limits() []client.Limit {
	totals := s.totals()
	memory := client.Limit{Name: "memory", Key: "limits.memory", Unit: client.Bytes, Used: memoryInUse(), Max: s.memory.limit}
	if memory.Max == 0 {
		memory.Key, memory.Max = "", s.memoryLimit // of the machine
	}
	all := []client.Limit{
		{Name: "peers", Key: "limits.peers", Used: int64(totals.Peers), Max: int64(s.config.Limits.Peers)},
		{Name: "swarms", Key: "limits.torrents", Used: int64(totals.Torrents), Max: int64(s.config.Limits.Torrents)},
		{Name: "torrents", Used: int64(s.catalog.Len()), Max: int64(s.catalog.MaxTorrents())},
		memory,
	}
	if s.websocket != nil {
		all = append(all,
			client.Limit{Name: "WebSocket connections", Key: "limits.websocket_connections", Used: int64(s.websocket.Figures().Open), Max: int64(s.config.Limits.WebSocketConnections)},
			client.Limit{Name: "browsers", Key: "limits.websocket_peers", Used: int64(s.browserTotals().Peers), Max: int64(s.config.Limits.WebSocketPeers)})
	}
	return all
}

// showFigures opens what is kept over time, and has the console show it and the rest.
func (s *service) showFigures(ctx context.Context, o *console.Options) error {
	if err := s.openTimeline(ctx); err != nil {
		return err
	}
	o.Overview, o.OverTime = s.overview, s.consoleOverTime()
	o.Requests, o.Metrics = &s.requests, s.metrics()
	return nil
}
