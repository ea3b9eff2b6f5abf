//go:build function

package main

import (
	"waggle/config"
	"waggle/console/client"
	"waggle/metrics"
	"waggle/store/memory"
	"waggle/tracker"
)

// telling is empty: a function does nothing between its events, and refuses to be told to.
type telling struct{}

func (*service) hearGone(*memory.Options) {}

func (*service) openEvents(*tracker.Options) error { return nil }

func (*service) tellGone() {}

func (*service) reloadEvents(config.Config) (use func(), err error) { return func() {}, nil }

func (*service) closeEvents() error { return nil }

func (*service) shownEvents() *client.OverviewEvents { return nil }

func (*service) eventMetrics() *metrics.Events { return nil }
