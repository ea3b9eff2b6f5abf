//go:build function

package main

import (
	"context"

	"waggle/console"
	"waggle/frontend"
	"waggle/frontend/udp"
	"waggle/swarm"
)

// clustering is empty: a function has a store on a network, by which it is one of many.
type clustering struct{}

func (s *service) announced() swarm.Store { return s.store }

func (*service) joinCluster(context.Context) error { return nil }

func (*service) openPeers() error { return nil }

func (*service) closePeers() error { return nil }

func (*service) closeCluster() error { return nil }

func (*service) keepCluster(context.Context) {}

func (*service) clusterHealth() error { return nil }

func (*service) groupURLs() []string { return nil }

func (*service) groupFigures() (f udp.Figures) { return f }

func (*service) groupLatencies() (l frontend.Latencies) { return l }

func (*service) shownCluster() console.Cluster { return nil }
