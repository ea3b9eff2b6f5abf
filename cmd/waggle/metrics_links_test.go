package main

import (
	"reflect"
	"testing"
	"time"

	"waggle/console/client"
	"waggle/metrics"
)

func TestLinksAreScrapedAsTheConsoleShowsThem(t *testing.T) {
	got := linkMetrics(&client.Links{Own: 1, Relayed: 2, Links: []client.Link{
		{
			Name: "world", Role: client.RoleHub, State: client.LinkHealing, Peers: 3, Waiting: 4, Lag: 0.5, Capped: 6, LastHeal: &client.Heal{Took: 0.25},
			Totals: client.LinkTotals{ChangesIn: 7, ChangesOut: 8, BytesIn: 9, BytesOut: 10, Heals: 11},
		},
		{Name: "fra", Role: client.RoleLeaf, State: client.LinkSplit},
	}})
	want := &metrics.Links{Own: 1, Relayed: 2, Links: []metrics.Link{
		{
			Name: "world", Role: "hub", Up: true, Peers: 3, Waiting: 4, Lag: 500 * time.Millisecond, Capped: 6, LastHeal: 250 * time.Millisecond,
			ChangesIn: 7, ChangesOut: 8, BytesIn: 9, BytesOut: 10, Heals: 11,
		},
		{Name: "fra", Role: "leaf"},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\nhave %+v\nwant %+v", got, want)
	}
}
