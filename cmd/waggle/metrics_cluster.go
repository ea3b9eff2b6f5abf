package main

import (
	"time"

	"waggle/console/client"
	"waggle/metrics"
)

// clusterMetrics returns a cluster as Prometheus scrapes it.
func clusterMetrics(c *client.Cluster) *metrics.Cluster {
	t := &c.Totals
	out := &metrics.Cluster{
		Role: c.Role, Serving: c.Serving, Electing: c.Electing, Rows: c.Rows, UnderWay: c.UnderWay,
		Commit: asDuration(t.Commit), Ahead: asDuration(c.Ahead), Elections: t.Elections,
		Committed: t.Committed, Heard: t.Heard, Again: t.Again, Resent: t.Resent, Refused: t.Refused, Full: t.Full,
		Forged: t.Forged, Replayed: t.Replayed, Bad: t.Bad, Strange: t.Strange, Lost: t.Lost, Failed: t.Failed,
	}
	var slowest time.Duration
	for i := range c.Members {
		switch c.Members[i].Role {
		case client.ClusterNewcomer:
			out.Newcomers++
		case client.ClusterSlave:
			out.Slaves++
		case client.ClusterMaster:
			out.Masters++
		}
		slowest = max(slowest, asDuration(c.Members[i].Lag))
	}
	out.Lag = slowest
	return out
}
