package main

import (
	"context"
	"log/slog"
	"runtime"
	"time"

	"waggle/frontend/http"
	"waggle/frontend/udp"
	"waggle/frontend/websocket"
	"waggle/locality"
	"waggle/metrics"
	"waggle/swarm"
	"waggle/tracker"
)

// figuresEvery is how often a line of figures is logged.
const figuresEvery = time.Minute

// figures are all counts of a service at one moment.
type figures struct {
	Tracker tracker.Figures
	UDP     udp.Figures
	HTTP    http.Figures
	Store   swarm.Totals

	WebSocket websocket.Figures
	Browsers  swarm.Totals // which are not in the store

	Remote *metrics.RemoteStore `json:",omitempty"` // what it did, if it is on a network

	Sources []locality.SourceFigures `json:",omitempty"` // of locations, in the order in which they are asked
	Lookups locality.LookupFigures   // of locations

	Access  accessFigures
	Catalog catalogFigures
	Process processFigures
}

// catalogFigures count torrents.
type catalogFigures struct{ Listed, Active int }

// processFigures tell what this process uses now.
type processFigures struct {
	Memory     int64 // bytes
	Goroutines int
}

func (s *service) figures() figures {
	f := figures{Tracker: s.tracker.Figures(), UDP: s.udp.Figures().Plus(s.groupFigures()), HTTP: s.http.Figures(), Store: s.totals()}
	f.WebSocket, _ = s.websocketFigures()
	f.Browsers = s.browserTotals()
	f.Remote = remoteFigures(s.store)
	f.Access = accessFigures{Lists: s.lists.Figures(), Tokens: s.tokens.Figures()}
	f.Catalog = catalogFigures{Listed: s.catalog.Len(), Active: s.catalog.LenActive()}
	f.Process = processFigures{Memory: memoryInUse(), Goroutines: runtime.NumGoroutine()}
	if s.locator != nil {
		f.Sources, f.Lookups = s.locator.Figures(), s.locator.Lookups()
	}
	return f
}

// logFigures logs what happened in each minute, until ctx ends, and then what
// happened in the last part of one.
func (s *service) logFigures(ctx context.Context) {
	ticker := time.NewTicker(figuresEvery)
	defer ticker.Stop()
	var last figures // none yet: what was announced before this goroutine ran counts too
	since := time.Now()
	for {
		ended := false
		select {
		case <-ctx.Done():
			ended = true
		case <-ticker.C:
		}
		now, at := s.figures(), time.Now()
		s.logSources(now.Sources, last.Sources)
		s.log.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "figures", attributes(&now, &last, at.Sub(since))...)
		if now.Tracker.Failed > last.Tracker.Failed {
			s.log.Error("the store failed", "error", s.tracker.LastFailure())
		}
		if ended {
			return
		}
		last, since = now, at
	}
}

// attributes returns the differences to the last figures, without those that are
// zero and say nothing by it.
func attributes(now, last *figures, span time.Duration) []slog.Attr {
	announces := now.Tracker.Announces - last.Tracker.Announces
	attrs := []slog.Attr{
		slog.Uint64("announces", announces),
		slog.Float64("announces_per_second", float64(announces*10/max(1, uint64(span.Seconds())))/10),
		slog.Int("torrents", now.Store.Torrents),
		slog.Int("peers", now.Store.Peers),
	}
	if now.Browsers.Peers > 0 {
		attrs = append(attrs, slog.Int("browsers", now.Browsers.Peers))
	}
	for _, f := range []struct {
		name      string
		now, last uint64
	}{
		{"peers_told", now.Tracker.Told, last.Tracker.Told},
		{"scrapes", now.Tracker.Scrapes, last.Tracker.Scrapes},
		{"refused", now.Tracker.Refused, last.Tracker.Refused},
		{"denied", now.Tracker.Denied, last.Tracker.Denied},
		{"networks_refused", now.Access.Lists.Networks, last.Access.Lists.Networks},
		{"clients_refused", now.Access.Lists.Clients, last.Access.Lists.Clients},
		{"tokens_refused", now.Access.Tokens.Refused(), last.Access.Tokens.Refused()},
		{"early_warned", now.Tracker.Warned, last.Tracker.Warned},
		{"early_shortened", now.Tracker.Shortened, last.Tracker.Shortened},
		{"early_refused", now.Tracker.Early, last.Tracker.Early},
		{"silenced", now.Tracker.Silenced, last.Tracker.Silenced},
		{"peers_moved", now.Tracker.Moved, last.Tracker.Moved},
		{"peers_kept", now.Tracker.Kept, last.Tracker.Kept},
		{"passive", now.Tracker.Passive, last.Tracker.Passive},
		{"limited", now.Tracker.Limited, last.Tracker.Limited},
		{"shed", now.Tracker.Shed, last.Tracker.Shed},
		{"lengthened", now.Tracker.Lengthened, last.Tracker.Lengthened},
		{"located", now.Tracker.Located, last.Tracker.Located},
		{"lookups_refused", uint64(now.Lookups.Refused), uint64(last.Lookups.Refused)},
		{"unlocated", now.Tracker.Unlocated, last.Tracker.Unlocated},
		{"probes", now.Tracker.Probes, last.Tracker.Probes},
		{"dead", now.Tracker.Dead, last.Tracker.Dead},
		{"expired", now.Tracker.Expired, last.Tracker.Expired},
		{"store_busy", now.Tracker.Busy, last.Tracker.Busy},
		{"store_failures", now.Tracker.Failed, last.Tracker.Failed},
		{"store_requests", now.asked(), last.asked()},
		{"store_throttled", now.remote().Throttled, last.remote().Throttled},
		{"store_unanswered", now.remote().Unanswered, last.remote().Unanswered},
		{"store_conflicts", now.remote().Conflicts, last.remote().Conflicts},
		{"roster_conflicts", now.remote().Rosters.Conflicts, last.remote().Rosters.Conflicts},
		{"roster_lost", now.remote().Rosters.Lost, last.remote().Rosters.Lost},
		{"udp_connects", now.UDP.Connects, last.UDP.Connects},
		{"udp_errors", now.UDP.Errors, last.UDP.Errors},
		{"udp_bad_connection_ids", now.UDP.BadConnection, last.UDP.BadConnection},
		{"udp_malformed", now.UDP.Malformed, last.UDP.Malformed},
		{"udp_overflowed", now.UDP.Overflowed, last.UDP.Overflowed},
		{"udp_read_errors", now.UDP.ReadErrors, last.UDP.ReadErrors},
		{"udp_write_errors", now.UDP.WriteErrors, last.UDP.WriteErrors},
		{"udp_panics", now.UDP.Panics, last.UDP.Panics},
		{"http_connections", now.HTTP.Connections, last.HTTP.Connections},
		{"http_handed_over", now.HTTP.HandedOver, last.HTTP.HandedOver},
		{"http_panics", now.HTTP.Panics, last.HTTP.Panics},
		{"http_failures", now.HTTP.Failures, last.HTTP.Failures},
		{"http_not_found", now.HTTP.NotFound, last.HTTP.NotFound},
		{"websocket_connections", now.WebSocket.Connections, last.WebSocket.Connections},
		{"websocket_refused", now.WebSocket.Refused, last.WebSocket.Refused},
		{"websocket_messages", now.WebSocket.Messages, last.WebSocket.Messages},
		{"websocket_offers", now.WebSocket.Offers, last.WebSocket.Offers},
		{"websocket_answers", now.WebSocket.Answers, last.WebSocket.Answers},
		{"websocket_failures", now.WebSocket.Failures, last.WebSocket.Failures},
		{"websocket_cut_off", now.WebSocket.HungUp + now.WebSocket.Slow + now.WebSocket.Silent, last.WebSocket.HungUp + last.WebSocket.Slow + last.WebSocket.Silent},
		{"websocket_panics", now.WebSocket.Panics, last.WebSocket.Panics},
	} {
		if n := f.now - f.last; n > 0 {
			attrs = append(attrs, slog.Uint64(f.name, n))
		}
	}
	return attrs
}
