package main

import (
	"context"
	"log/slog"
	"time"

	"waggle/frontend/http"
	"waggle/frontend/udp"
	"waggle/tracker"
)

// figuresEvery is how often a line of figures is logged.
const figuresEvery = time.Minute

// figures are all counts of a service at one moment.
type figures struct {
	tracker tracker.Figures
	udp     udp.Figures
	http    http.Figures
}

func (s *service) figures() figures {
	return figures{s.tracker.Figures(), s.udp.Figures(), s.http.Figures()}
}

// logFigures logs what happened in each minute, until ctx ends, and then what
// happened in the last part of one.
func (s *service) logFigures(ctx context.Context) {
	ticker := time.NewTicker(figuresEvery)
	defer ticker.Stop()
	last, since := s.figures(), time.Now()
	for {
		ended := false
		select {
		case <-ctx.Done():
			ended = true
		case <-ticker.C:
		}
		now, at := s.figures(), time.Now()
		s.log.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "figures", s.attributes(now, last, at.Sub(since))...)
		if now.tracker.Failed > last.tracker.Failed {
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
func (s *service) attributes(now, last figures, span time.Duration) []slog.Attr {
	announces := now.tracker.Announces - last.tracker.Announces
	attrs := []slog.Attr{
		slog.Uint64("announces", announces),
		slog.Float64("announces_per_second", float64(announces*10/max(1, uint64(span.Seconds())))/10),
	}
	if totals, err := s.store.Totals(context.Background()); err == nil {
		attrs = append(attrs, slog.Int("torrents", totals.Torrents), slog.Int("peers", totals.Peers))
	}
	for _, f := range []struct {
		name      string
		now, last uint64
	}{
		{"peers_told", now.tracker.Told, last.tracker.Told},
		{"scrapes", now.tracker.Scrapes, last.tracker.Scrapes},
		{"refused", now.tracker.Refused, last.tracker.Refused},
		{"expired", now.tracker.Expired, last.tracker.Expired},
		{"store_failures", now.tracker.Failed, last.tracker.Failed},
		{"udp_connects", now.udp.Connects, last.udp.Connects},
		{"udp_errors", now.udp.Errors, last.udp.Errors},
		{"udp_bad_connection_ids", now.udp.BadConnection, last.udp.BadConnection},
		{"udp_malformed", now.udp.Malformed, last.udp.Malformed},
		{"udp_read_errors", now.udp.ReadErrors, last.udp.ReadErrors},
		{"udp_write_errors", now.udp.WriteErrors, last.udp.WriteErrors},
		{"udp_panics", now.udp.Panics, last.udp.Panics},
		{"http_failures", now.http.Failures, last.http.Failures},
		{"http_not_found", now.http.NotFound, last.http.NotFound},
	} {
		if n := f.now - f.last; n > 0 {
			attrs = append(attrs, slog.Uint64(f.name, n))
		}
	}
	return attrs
}
