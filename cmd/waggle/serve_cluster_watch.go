//go:build !function

package main

import (
	"log/slog"
	"time"

	"waggle/cluster"
	"waggle/cluster/carrier"
)

// clusterMoment is what an instance has counted.
type clusterMoment struct {
	node    cluster.Figures
	carried carrier.Figures
	peers   carrier.GroupFigures
}

func (s *service) clusterMoment() *clusterMoment {
	m := &clusterMoment{node: s.instance.State().Figures, carried: s.carrier.Figures()}
	if s.peers != nil {
		m.peers = s.peers.socket.Figures()
	}
	return m
}

// clusterTroubles are what is wrong in a cluster if it is counted. The instance itself tells of its
// network, of packets of strangers, and of too many peers.
var clusterTroubles = [...]struct {
	words string
	count func(*clusterMoment) uint64
}{
	{
		"packets of the cluster came before, or far too late, and are left out: the network doubles them, or somebody has recorded them",
		func(m *clusterMoment) uint64 { return m.carried.Replayed },
	},
	{
		"requests of peers come faster than they are taken in, and are lost: their peers ask again",
		func(m *clusterMoment) uint64 { return m.peers.Lost },
	},
	{
		"more requests come than the cluster commits: there is no room for some, whose peers ask again",
		func(m *clusterMoment) uint64 { return m.node.Refused },
	},
}

// calm is how long a trouble stays away until it is told of again.
const calm = 10 * time.Minute

// clusterWatch tells of troubles, of each once as long as it goes on.
type clusterWatch [len(clusterTroubles)]struct {
	count uint64
	grew  time.Time
}

func (w *clusterWatch) look(now time.Time, m *clusterMoment, log *slog.Logger) {
	for i := range clusterTroubles {
		seen, n := &w[i], clusterTroubles[i].count(m)
		if n <= seen.count {
			continue
		}
		if seen.grew.IsZero() || now.Sub(seen.grew) >= calm {
			log.Warn(clusterTroubles[i].words, "count", n-seen.count)
		}
		seen.count, seen.grew = n, now
	}
}
