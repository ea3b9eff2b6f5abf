package redis

import (
	"net/netip"
	"testing"
	"time"

	"waggle/swarm"
)

func TestHostsThatWaitAndAreRememberedAreBounded(t *testing.T) {
	h := newHosts(nil)
	see := func(n int) {
		h.see(&swarm.Announce{From: netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), Now: time.Unix(1_800_000_000, 0)})
	}
	for n := range hostQueue + 10 {
		see(n)
		see(n)
	}
	if len(h.queue) != hostQueue || len(h.lately) != hostQueue {
		t.Errorf("%d wait and %d are remembered", len(h.queue), len(h.lately))
	}
	some := h.take()
	see(hostQueue) // it was left out, so it is no news
	if len(some) != hostBatch || len(h.queue) != hostQueue-hostBatch+1 {
		t.Errorf("%d are taken and %d wait", len(some), len(h.queue))
	}
	h.miss(some)
	for see(0); len(h.queue) > 0; some = h.take() {
	}
	if last := some[len(some)-1].ip; last != netip.AddrFrom4([4]byte{10, 0, 0, 0}) {
		t.Errorf("the last is %v", last)
	}
	for n := range hostsHour + 5000 {
		see(hostQueue + n)
		_ = h.take()
	}
	if len(h.lately) != hostsHour {
		t.Errorf("%d are remembered of an hour", len(h.lately))
	}
}
