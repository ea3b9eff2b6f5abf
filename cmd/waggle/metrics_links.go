package main

import (
	"time"

	"waggle/console/client"
	"waggle/metrics"
)

// linkMetrics returns links as Prometheus scrapes them.
func linkMetrics(all *client.Links) *metrics.Links {
	out := &metrics.Links{Own: all.Own, Relayed: all.Relayed, Links: make([]metrics.Link, len(all.Links))}
	for i := range all.Links {
		l := &all.Links[i]
		out.Links[i] = metrics.Link{
			Name: l.Name, Role: l.Role, Up: l.State == client.LinkActive || l.State == client.LinkHealing,
			Peers: l.Peers, Waiting: l.Waiting, Lag: asDuration(l.Lag), Capped: l.Capped,
			ChangesIn: l.Totals.ChangesIn, ChangesOut: l.Totals.ChangesOut, BytesIn: l.Totals.BytesIn, BytesOut: l.Totals.BytesOut, Heals: l.Totals.Heals,
		}
		if l.LastHeal != nil {
			out.Links[i].LastHeal = asDuration(l.LastHeal.Took)
		}
	}
	return out
}

func asDuration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
