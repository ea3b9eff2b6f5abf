//go:build !function

package main

import (
	"context"
	"errors"
	"time"

	"waggle/cluster"
	"waggle/console"
	"waggle/console/client"
)

// shownCluster is the cluster as the console has it; nil: there is none.
func (s *service) shownCluster() console.Cluster {
	if s.instance == nil {
		return nil
	}
	return clusterConsole{s}
}

// clusterConsole is the cluster of a service in the words of the console.
type clusterConsole struct{ *service }

// The methods are documented at [console.Cluster].

func (c clusterConsole) Show() client.Cluster {
	state, carried := c.instance.State(), c.carrier.Figures()
	f := &state.Figures
	v := client.Cluster{
		Role: state.Role.String(), ID: idText(state.ID), Address: c.carrier.Address().String(),
		Serving: state.Serving && !state.Electing, Electing: state.Electing,
		Peers: state.Peers, Rows: state.Rows, UnderWay: state.UnderWay, Ahead: state.Ahead.Seconds(),
		Totals: client.ClusterTotals{
			Committed: f.Committed, Heard: f.Heard, Again: f.Again, Resent: f.Resent, Refused: f.Refused, Full: f.Full, Elections: f.Elections,
			Bad: f.Bad + carried.Malformed, Strange: f.Strange + carried.Strange + carried.Unproven,
			Forged: carried.Forged, Replayed: carried.Replayed, Lost: carried.Lost + carried.Crowded,
			Failed: carried.Failed, Fault: carried.Fault, Commit: f.Took.Seconds(),
		},
	}
	if g := c.config.Cluster.Group; g != "" {
		v.Group = string(g)
	}
	if g := c.config.Cluster.Peers; g != "" {
		v.PeersGroup = string(g)
	}
	switch {
	case c.instance.Ended():
		v.Role, v.Serving, v.Electing = client.ClusterLeft, false, false
		return v
	case state.Role == cluster.Master:
		v.Master = v.Address
	case state.Master.IsValid():
		v.Master = state.Master.String()
	}
	v.Members = shownMembers(state.Members, time.Now())
	return v
}

func idText(id cluster.ID) string {
	if id == (cluster.ID{}) {
		return ""
	}
	return id.String()
}

func shownMembers(members []cluster.Member, now time.Time) []client.ClusterMember {
	shown := make([]client.ClusterMember, len(members))
	for i := range members {
		m := &members[i]
		shown[i] = client.ClusterMember{
			IP: m.Addr.Addr().String(), Port: int(m.Addr.Port()), ID: idText(m.ID), Role: m.Role.String(),
			Keepalive: max(now.Sub(m.Heard), 0).Seconds(), State: m.State, Sequence: m.Done, Lag: m.Lag.Seconds(),
		}
	}
	return shown
}

func (c clusterConsole) StepDown(ctx context.Context) error {
	state := c.instance.State()
	others := 0
	for i := range state.Members {
		if state.Members[i].ID != (cluster.ID{}) {
			others++
		}
	}
	switch {
	case state.Role != cluster.Master:
		return clusterConflict("this instance is no master, and need not step down; waggle cluster says which one is")
	case others == 0:
		return clusterConflict("there is no other instance that could take over: start one first")
	}
	return c.instance.StepDown(ctx)
}

func clusterConflict(words string) error {
	return &linkError{errors.New(words), console.ErrClusterConflict}
}

func (c clusterConsole) Leave(context.Context) error {
	c.instance.Close()
	c.log.Warn("this instance has left the cluster, and turns clients away until it is started again")
	return nil
}
