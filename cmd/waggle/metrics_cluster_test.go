//go:build !function

package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"waggle/console/client"
	"waggle/metrics"
)

func TestClusterIsScrapedAsTheConsoleShowsIt(t *testing.T) {
	got := clusterMetrics(&client.Cluster{
		Role: client.ClusterMaster, Serving: true, Electing: true, Rows: 1, UnderWay: 2, Ahead: -1.5,
		Members: []client.ClusterMember{
			{Role: client.ClusterSlave, Lag: 0.25}, {Role: client.ClusterSlave, Lag: 0.5}, {Role: client.ClusterSlave}, {Role: client.ClusterNewcomer}, {Role: client.ClusterNewcomer}, {Role: client.ClusterMaster},
		},
		Totals: client.ClusterTotals{
			Committed: 3, Heard: 4, Again: 5, Resent: 6, Refused: 7, Full: 8, Bad: 9, Strange: 10, Forged: 11, Replayed: 12, Lost: 13, Failed: 14, Commit: 0.125, Elections: 15,
		},
	})
	want := &metrics.Cluster{
		Role: "master", Serving: true, Electing: true, Rows: 1, UnderWay: 2, Ahead: -1500 * time.Millisecond,
		Newcomers: 2, Slaves: 3, Masters: 1, Lag: 500 * time.Millisecond, Commit: 125 * time.Millisecond,
		Committed: 3, Heard: 4, Again: 5, Resent: 6, Refused: 7, Full: 8, Bad: 9, Strange: 10, Forged: 11, Replayed: 12, Lost: 13, Failed: 14, Elections: 15,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\nhave %+v\nwant %+v", got, want)
	}
}

func TestInstanceOfAClusterHasItsMetrics(t *testing.T) {
	flags, _ := clusterFlags(t)
	s := startServe(t, append(flags, "--store", "memory:")...)
	text := s.scrape(t, `waggle_cluster_role{role="newcomer"} 1`)
	for _, m := range metrics.ClusterTable {
		if !strings.Contains(text, "# TYPE "+m.Name+" ") {
			t.Errorf("%s is missing", m.Name)
		}
	}
	text = s.scrape(t, `waggle_cluster_role{role="master"} 1`)
	for _, want := range []string{`waggle_cluster_serving 1`, `waggle_cluster_members{role="slave"} 0`} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}
