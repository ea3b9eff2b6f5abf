package main

import (
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

func TestAnnounceThroughTheCatalogueAllocatesNothing(t *testing.T) {
	c, err := catalog.Open(t.Context(), catalog.Options{Store: catalog.NewMemory(1 << 20)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	body, active := metainfo(t, "active")
	inactiveBody, inactive := metainfo(t, "inactive")
	for name, b := range map[string][]byte{"a.torrent": body, "b.torrent": inactiveBody} {
		if _, err := c.Add(t.Context(), name, b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Deactivate(t.Context(), inactive); err != nil {
		t.Fatal(err)
	}
	settings := tracker.Settings{Interval: time.Minute, PeerLifetime: time.Hour, NumWant: 5, MaxNumWant: 5}
	tr := tracker.New(memory.New(memory.Options{}), settings, tracker.Options{Gate: c})
	a := &swarm.Announce{From: netip.AddrFrom4([4]byte{10, 0, 0, 1}), Now: time.Unix(1, 0)}
	a.Port, a.Left = 1, 1
	r := new(swarm.Reply)
	for name, h := range map[string]bittorrent.InfoHash{"active": active, "inactive": inactive, "unknown": {1}} {
		a.InfoHash = h
		if n := testing.AllocsPerRun(100, func() {
			r.Reset()
			_ = tr.Announce(t.Context(), a, r)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
