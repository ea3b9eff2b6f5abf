package core_test

import (
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/link/core"
	"waggle/swarm"
)

func TestAListedTrackerIsToldOnlyOfWhatItHolds(t *testing.T) {
	w := newWorld(t, 1)
	w.add(core.Options{})
	w.add(core.Options{Listed: true})
	w.join(w.trackers[0], w.trackers[1], open, open)
	leaf := w.trackers[1]
	leaf.node.Hold(leaf.now(), hashes[2])
	w.run(3 * time.Second)
	for i := range 4 {
		w.trackers[0].announce(hashes[i], peerAt(i, swarm.Leecher))
	}
	w.run(time.Second)
	w.wantPeers(4, 1)
	leaf.node.Hold(leaf.now(), hashes[3])
	w.run(time.Second)
	w.wantPeers(4, 2)
	in := leaf.node.Links()[0]
	if in.Refused != 0 || in.Gaps != 0 || in.Mismatches != 0 {
		t.Errorf("%+v", in)
	}
	leaf.node.Release(leaf.now(), hashes[3])
	w.run(time.Second)
	if f := leaf.node.Figures(); f.Peers != 1 {
		t.Errorf("after a release %+v", f)
	}
	w.trackers[0].announce(hashes[3], peerAt(9, swarm.Leecher))
	w.run(10 * time.Second)
	if in := leaf.node.Links()[0]; leaf.node.Figures().Peers != 1 || in.Refused != 0 || in.Mismatches != 0 {
		t.Errorf("it was told of what it has released: %+v", in)
	}
}

func TestAListedHubRelaysWhatItDoesNotHold(t *testing.T) {
	w := newWorld(t, 1)
	w.add(core.Options{})
	w.add(core.Options{Listed: true, Relay: true})
	w.add(core.Options{})
	w.join(w.trackers[0], w.trackers[1], open, open)
	w.join(w.trackers[1], w.trackers[2], open, open)
	w.run(3 * time.Second)
	w.trackers[0].announce(hashes[1], peerAt(1, swarm.Leecher))
	w.run(time.Second)
	if len(w.trackers[2].store) != 1 || len(w.trackers[1].store) != 0 {
		t.Errorf("stores of %d, %d", len(w.trackers[1].store), len(w.trackers[2].store))
	}
	hub := w.trackers[1]
	hub.node.Hold(hub.now(), hashes[1])
	if len(hub.store) != 1 {
		t.Error("what the hub relays is not in its store once it holds it")
	}
}

func TestALongListOfTorrentsIsTold(t *testing.T) {
	w := newWorld(t, 1)
	w.add(core.Options{})
	w.add(core.Options{Listed: true})
	leaf := w.trackers[1]
	for i := range 100_000 { // more than the window holds
		leaf.node.Hold(leaf.now(), bittorrent.InfoHash{1: byte(i >> 16), 2: byte(i >> 8), 3: byte(i)})
	}
	w.trackers[0].announce(bittorrent.InfoHash{3: 7}, peerAt(1, swarm.Leecher))
	w.join(w.trackers[0], leaf, open, open)
	w.run(3 * time.Second)
	w.trackers[0].announce(bittorrent.InfoHash{3: 9}, peerAt(2, swarm.Leecher))
	w.trackers[0].announce(bittorrent.InfoHash{9}, peerAt(3, swarm.Leecher))
	w.run(time.Second)
	w.wantPeers(3, 2)
}

func TestALinkThatMayOnlyReceiveBringsNothing(t *testing.T) {
	w := newWorld(t, 1)
	hub, leaf := w.add(core.Options{}), w.add(core.Options{})
	only := open
	only.Receive = false // by the hub
	w.join(hub, leaf, only, open)
	w.run(3 * time.Second)
	hub.announce(hashes[1], peerAt(1, swarm.Leecher))
	leaf.announce(hashes[1], peerAt(2, swarm.Leecher))
	w.run(time.Minute)
	w.wantPeers(1, 2)
	if f := leaf.node.Links()[0]; f.Mismatches != 0 || f.Heals != 1 {
		t.Errorf("%+v", f)
	}
}

func TestALinkThatMayOnlySendIsToldNothing(t *testing.T) {
	w := newWorld(t, 1)
	hub, leaf := w.add(core.Options{}), w.add(core.Options{})
	only := open
	only.Send = false // by the hub
	w.join(hub, leaf, only, open)
	w.run(3 * time.Second)
	hub.announce(hashes[1], peerAt(1, swarm.Leecher))
	leaf.announce(hashes[1], peerAt(2, swarm.Leecher))
	w.run(time.Minute)
	w.wantPeers(2, 1)
}

func TestOnlyTorrentsThatMayCrossALinkDo(t *testing.T) {
	w := newWorld(t, 1)
	hub, leaf := w.add(core.Options{}), w.add(core.Options{})
	some := open
	some.Torrents = []bittorrent.InfoHash{hashes[1], hashes[2]}
	for i := range 4 {
		hub.announce(hashes[i], peerAt(i, swarm.Leecher))
	}
	w.join(hub, leaf, some, open)
	w.run(3 * time.Second)
	for i := range 4 {
		leaf.announce(hashes[i], peerAt(10+i, swarm.Leecher))
	}
	hub.announce(hashes[1], peerAt(20, swarm.Leecher))
	w.run(time.Minute)
	w.wantPeers(4+2+1, 4+2+1)
	for _, tr := range w.trackers {
		if f := tr.node.Links()[0]; f.Mismatches != 0 || f.Refused != 0 {
			t.Errorf("tracker %d: %+v", tr.at, f)
		}
	}
}
