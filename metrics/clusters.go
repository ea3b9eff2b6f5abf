package metrics

// ClusterTable is every metric of clusters, in the order of docs/metrics.md, where it follows
// [Table]. They are there where the tracker is an instance of one.
var ClusterTable = absentWhere(func(s *Snapshot) bool { return s.Cluster == nil }, []Metric{
	{
		Name: "waggle_cluster_role", Type: Gauge, Unit: truth, Labels: []string{"role"},
		Help: "1 for what this instance of a cluster is, 0 for what it is not: newcomer (it looks for others, or joins), slave, master, left (until it is started again)",
		collect: func(s *Snapshot, e *emitter) {
			for _, role := range []string{"newcomer", "slave", "master", "left"} {
				e.value(zeroOrOne(s.Cluster.Role == role), role)
			}
		},
	},
	ofCluster("waggle_cluster_serving", Gauge, truth, "1 while announces are taken in", func(c *Cluster) float64 { return zeroOrOne(c.Serving) }),
	ofCluster("waggle_cluster_electing", Gauge, truth, "1 while a master is elected, and nobody is answered", func(c *Cluster) float64 { return zeroOrOne(c.Electing) }),
	ofCluster("waggle_cluster_elections_total", Counter, "", "Elections that this instance took part in", func(c *Cluster) float64 { return float64(c.Elections) }),
	{
		Name: "waggle_cluster_members", Type: Gauge, Labels: []string{"role"},
		Help: "Other instances that are alive, by what they are: newcomer, slave, master",
		collect: func(s *Snapshot, e *emitter) {
			e.value(float64(s.Cluster.Newcomers), "newcomer")
			e.value(float64(s.Cluster.Slaves), "slave")
			e.value(float64(s.Cluster.Masters), "master")
		},
	},
	ofCluster("waggle_cluster_rows", Gauge, "", "Peers that the cluster knows, those that have left lately and counts of completed downloads included: what cluster.max_rows bounds",
		func(c *Cluster) float64 { return float64(c.Rows) }),
	ofCluster("waggle_cluster_requests_in_progress", Gauge, "", "Requests that are not committed by all yet", func(c *Cluster) float64 { return float64(c.UnderWay) }),
	ofCluster("waggle_cluster_committed_total", Counter, "", "Requests that this instance has recorded", func(c *Cluster) float64 { return float64(c.Committed) }),
	ofCluster("waggle_cluster_commit_seconds", Gauge, inSeconds, "How long a request takes a master until all have recorded it, on average of about the last hundred",
		func(c *Cluster) float64 { return c.Commit.Seconds() }),
	ofCluster("waggle_cluster_lag_seconds", Gauge, inSeconds, "How long it takes the slowest slave of this master to record a request, on average of about the last hundred",
		func(c *Cluster) float64 { return c.Lag.Seconds() }),
	ofCluster("waggle_cluster_waited_total", Counter, "", "Requests that a slave heard, or that came while there was no master", func(c *Cluster) float64 { return float64(c.Heard) }),
	ofCluster("waggle_cluster_asked_again_total", Counter, "", "Requests that were committed before, and that their peers have sent again", func(c *Cluster) float64 { return float64(c.Again) }),
	ofCluster("waggle_cluster_sent_again_total", Counter, "", "Requests and commits that were sent again to a member that seemed to have missed them", func(c *Cluster) float64 { return float64(c.Resent) }),
	{
		Name: "waggle_cluster_refused_total", Type: Counter, Labels: []string{"reason"},
		Help: "What there was no room for, by reason: busy (requests, as too many were under way), full (peers, as there are cluster.max_rows)",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.Cluster.Refused, "busy")
			e.count(s.Cluster.Full, "full")
		},
	},
	{
		Name: "waggle_cluster_dropped_total", Type: Counter, Labels: []string{"reason"},
		Help: "Packets of others that were not taken, by reason: forged (sealed with another secret, or of another cluster), replayed (they came before, or far too late), malformed (none of a cluster's), strange (they came late, or from strangers), overflow (they came faster than they were taken)",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.Cluster.Forged, "forged")
			e.count(s.Cluster.Replayed, "replayed")
			e.count(s.Cluster.Bad, "malformed")
			e.count(s.Cluster.Strange, "strange")
			e.count(s.Cluster.Lost, "overflow")
		},
	},
	ofCluster("waggle_cluster_send_failures_total", Counter, "", "Packets to others that could not be sent", func(c *Cluster) float64 { return float64(c.Failed) }),
	ofCluster("waggle_cluster_ahead_seconds", Gauge, inSeconds, "By how much the time of the cluster is ahead of this instance's clock", func(c *Cluster) float64 { return c.Ahead.Seconds() }),
})

// ofCluster makes a metric of a cluster without labels.
func ofCluster(name string, is Type, unit, help string, read func(*Cluster) float64) Metric {
	return Metric{Name: name, Type: is, Unit: unit, Help: help, collect: func(s *Snapshot, e *emitter) { e.value(read(s.Cluster)) }}
}
