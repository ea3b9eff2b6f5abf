package core_test

import (
	"testing"
	"time"

	"waggle/link/core"
	"waggle/swarm"
)

// chain links trackers in a row.
func chain(t *testing.T, size int) *world {
	w := newWorld(t, 1)
	for i := range size {
		w.add(core.Options{})
		if i > 0 {
			w.join(w.trackers[i-1], w.trackers[i], open, open)
		}
	}
	w.run(3 * time.Second)
	return w
}

func (w *world) wantPeers(want ...int) {
	w.t.Helper()
	for i, tr := range w.trackers {
		if got := tr.node.Figures().Peers; got != want[i] || len(tr.store) != want[i] {
			w.t.Errorf("tracker %d has %d peers, %d in its store, want %d", i, got, len(tr.store), want[i])
		}
	}
}

func TestAPeerOfOneTrackerIsAPeerOfAll(t *testing.T) {
	w := chain(t, 4)
	w.trackers[0].announce(hashes[1], peerAt(1, swarm.Leecher))
	w.trackers[3].announce(hashes[1], peerAt(2, swarm.Seeder))
	w.trackers[2].complete(hashes[1])
	w.run(400 * time.Millisecond)
	w.wantPeers(2, 2, 2, 2)
	p := w.trackers[0].store[place{hash: hashes[1], addr: peerAt(2, 0).Addr}]
	want := peerAt(2, swarm.Seeder)
	want.Last = p.Last
	if p != want || w.trackers[0].now().Sub(p.Last) > time.Second || w.trackers[0].counted[hashes[1]] != 1 {
		t.Errorf("got %+v, want %+v", p, want)
	}
	w.trackers[3].gone(place{hash: hashes[1], addr: peerAt(2, 0).Addr})
	w.run(400 * time.Millisecond)
	w.wantPeers(1, 1, 1, 1)
}

func TestAPeerThatMovesToAnotherTrackerIsItsFromThenOn(t *testing.T) {
	w := chain(t, 3)
	w.trackers[0].announce(hashes[1], peerAt(1, swarm.Leecher))
	w.run(time.Second)
	w.trackers[2].announce(hashes[1], peerAt(1, swarm.Leecher))
	w.run(time.Second)
	for i, want := range []int{0, 0, 1} {
		if got := w.trackers[i].node.Figures().Owned; got != want {
			t.Errorf("tracker %d owns %d peers, want %d", i, got, want)
		}
	}
	w.trackers[1].gone(place{hash: hashes[1], addr: peerAt(1, 0).Addr}) // round-robin DNS
	w.run(time.Second)
	w.wantPeers(0, 0, 0)
}

// The peers of a tracker that dies stay for their lifetime, also with those that
// learn of them meanwhile.
func TestPeersOfADeadTrackerLiveUntilTheirLifetimeEnds(t *testing.T) {
	w := chain(t, 3)
	w.trackers[0].announce(hashes[1], peerAt(1, swarm.Leecher))
	w.run(time.Second)
	w.wires[0].cut = true
	w.wires[0].shut(nil)
	w.trackers[2].crash(false)
	w.run(w.lifetime - time.Minute)
	if len(w.trackers[1].store) != 1 || len(w.trackers[2].store) != 1 {
		t.Errorf("%d and %d peers before their lifetime ends", len(w.trackers[1].store), len(w.trackers[2].store))
	}
	w.run(time.Minute + 50*time.Second) // a tracker that lived would have told by now
	if w.trackers[1].node.Figures().Peers != 1 {
		t.Error("a tracker that did not have the peer has removed it within a minute of its lifetime")
	}
	w.run(20 * time.Second)
	w.wantPeers(0, 0, 0)
}

// A tracker that is cut off for five minutes, while peers come, go and complete on
// both sides, agrees with the rest 5 s after the link's return.
func TestASplitOfFiveMinutesHealsWithinFiveSeconds(t *testing.T) {
	w := chain(t, 4)
	const peers = 4000
	churn := func(from, to int) {
		for i := from; i < to; i++ {
			tr := w.trackers[i%4]
			tr.announce(hashes[i%3], peerAt(i, swarm.Leecher))
			if i%7 == 0 {
				tr.complete(hashes[i%3])
			}
			if i > 100 && i%3 == 0 {
				for back := range 4 {
					w.trackers[back].gone(place{hash: hashes[(i-90)%3], addr: peerAt(i-90, 0).Addr})
				}
			}
			if i%20 == 0 {
				w.run(200 * time.Millisecond)
			}
		}
	}
	churn(0, peers/2)
	w.wires[1].cut = true
	w.wires[1].shut(nil)
	churn(peers/2, peers)
	w.run(5 * time.Minute)
	w.wires[1].cut = false
	for !w.wires[1].connected {
		w.run(10 * time.Millisecond)
	}
	t.Logf("agreed %v after the link's return", w.agree(5*time.Second))
	total := uint32(0)
	for i := range 3 {
		total += w.trackers[0].node.Total(hashes[i])
	}
	if want := uint32((peers + 6) / 7); total != want {
		t.Errorf("%d downloads are counted, want %d", total, want)
	}
}

func TestAHalfOpenLinkIsNoticedAndHealed(t *testing.T) {
	for _, oneWay := range []bool{true, false} {
		w := chain(t, 3)
		wi := w.wires[0]
		wi.ends[0].silent, wi.ends[1].silent = true, !oneWay
		w.trackers[0].announce(hashes[1], peerAt(1, swarm.Leecher))
		w.trackers[2].announce(hashes[1], peerAt(2, swarm.Leecher))
		number := wi.number
		w.run(10 * time.Second)
		if down := w.trackers[0].happened(core.LinkDown); wi.connected && wi.number == number || len(down) == 0 {
			t.Fatalf("one way %v: not noticed within 10 s", oneWay)
		}
		wi.ends[0].silent, wi.ends[1].silent = false, false
		w.run(12 * time.Second)
		w.wantPeers(2, 2, 2)
	}
}

func TestAFrozenTrackerIsShownAndCatchesUp(t *testing.T) {
	w := chain(t, 3)
	w.trackers[1].frozen = true
	w.trackers[0].announce(hashes[1], peerAt(1, swarm.Leecher))
	w.run(time.Minute)
	if len(w.trackers[0].happened(core.LinkDown)) == 0 {
		t.Error("nobody noticed")
	}
	w.trackers[1].frozen = false
	w.run(12 * time.Second)
	w.wantPeers(1, 1, 1)
}

func TestMoreThanASlowLinkTakesIsHealedLater(t *testing.T) {
	w := newWorld(t, 1)
	for range 2 {
		w.add(core.Options{MaxWaiting: 300})
	}
	wi := w.join(w.trackers[0], w.trackers[1], open, open)
	wi.perSecond = 50_000
	w.run(3 * time.Second)
	// More than the window holds, and more than may wait.
	for i := range 20_000 {
		p := peerAt(i%1000, swarm.Leecher)
		p.Key = uint32(i)
		w.trackers[0].announce(hashes[1], p)
		if i%1000 == 0 {
			w.run(100 * time.Millisecond)
		}
	}
	w.run(time.Second)
	if len(w.trackers[0].happened(core.Overflowed)) == 0 {
		t.Error("nothing overflowed")
	}
	w.agree(time.Minute)
	if healed := w.trackers[1].happened(core.Healed); healed[len(healed)-1].Entries == 0 {
		t.Errorf("%+v", healed)
	}
}

func TestOnePeerOfALargeTorrentIsHealedWithoutTheRest(t *testing.T) {
	w := chain(t, 2)
	for i := range 5000 {
		w.trackers[0].announce(hashes[1], peerAt(i, swarm.Leecher))
		if i%500 == 0 {
			w.run(100 * time.Millisecond)
		}
	}
	w.run(5 * time.Second)
	w.weather.loss = 1
	w.trackers[0].announce(hashes[1], peerAt(5001, swarm.Leecher))
	w.run(500 * time.Millisecond)
	w.weather.loss = 0
	before := w.wires[0].ends[0].bytes
	t.Logf("healed within %v", w.agree(3*time.Second))
	if sent := w.wires[0].ends[0].bytes - before; sent > 20_000 {
		t.Errorf("%d bytes for one peer", sent)
	}
}

// A loop that somebody has made by mistake: nothing goes round, and nothing is
// compared in vain while all is quiet.
func TestALoopDoesNoHarm(t *testing.T) {
	w := chain(t, 3)
	w.join(w.trackers[2], w.trackers[0], open, open)
	w.run(3 * time.Second)
	for i := range 100 {
		w.trackers[i%3].announce(hashes[i%8], peerAt(i, swarm.Leecher))
		w.trackers[i%3].complete(hashes[0])
	}
	w.run(10 * time.Second)
	if w.trackers[1].node.Total(hashes[0]) != 100 {
		t.Errorf("%d downloads", w.trackers[1].node.Total(hashes[0]))
	}
	w.agree(0)
	bytes := func() (sum int) {
		for _, wi := range w.wires {
			sum += wi.ends[0].bytes + wi.ends[1].bytes
		}
		return sum
	}
	before := bytes()
	w.run(5 * time.Minute)
	if sent := bytes() - before; sent > 6*150*60 {
		t.Errorf("%d bytes in five quiet minutes", sent)
	}
	w.wantPeers(100, 100, 100)
}

func TestClocksAnHourApartDoNoHarm(t *testing.T) {
	w := newWorld(t, 1)
	for i := range 3 {
		w.add(core.Options{})
		w.trackers[i].clock = time.Duration(i-1) * time.Hour
		w.trackers[i].crash(false)
	}
	w.join(w.trackers[0], w.trackers[1], open, open)
	w.join(w.trackers[1], w.trackers[2], open, open)
	w.run(3 * time.Second)
	at := place{hash: hashes[1], addr: peerAt(1, 0).Addr}
	for range 3 {
		for _, tr := range []int{2, 0, 1} {
			w.trackers[tr].announce(hashes[1], peerAt(1, swarm.Leecher))
			w.run(10 * time.Minute)
			w.wantPeers(1, 1, 1)
		}
	}
	w.trackers[1].gone(at)
	w.run(time.Second)
	w.wantPeers(0, 0, 0)
	w.trackers[2].announce(hashes[1], peerAt(2, swarm.Leecher))
	w.run(time.Second)
	w.wires[1].cut = true
	w.wires[1].shut(nil)
	w.run(w.lifetime - 10*time.Second)
	if len(w.trackers[0].store) != 1 || len(w.trackers[1].store) != 1 {
		t.Error("a peer of a tracker that is gone did not live as long as it should")
	}
	w.run(2 * time.Minute)
	w.wantPeers(0, 0, 0)
}

func TestARestartedHubLearnsWhatItsLeavesKnow(t *testing.T) {
	w := newWorld(t, 1)
	hub := w.add(core.Options{})
	for range 3 {
		w.join(hub, w.add(core.Options{}), open, open)
	}
	w.run(3 * time.Second)
	for i := range 400 {
		w.trackers[i%4].announce(hashes[i%8], peerAt(i, swarm.Leecher))
		w.trackers[i%4].complete(hashes[3])
	}
	w.run(time.Second)
	hub.crash(false)
	w.run(4 * time.Second)
	w.wantPeers(400, 400, 400, 400)
	if hub.counted[hashes[3]] != 400 {
		t.Errorf("the hub counts %d downloads", hub.counted[hashes[3]])
	}
	w.agree(0)
}

func TestQuietTrackersCompareAndFindNothing(t *testing.T) {
	w := chain(t, 3)
	for i := range 300 {
		w.trackers[i%3].announce(hashes[i%8], peerAt(i, swarm.Leecher))
	}
	w.run(5 * time.Minute)
	for _, tr := range w.trackers {
		for _, l := range tr.node.Links() {
			if l.Heals != 1 || l.Mismatches != 0 || l.Waiting != 0 || l.Flying != 0 {
				t.Errorf("tracker %d: %+v", tr.at, l)
			}
		}
	}
}

// Torrents whose hashes begin alike are compared a page at a time.
func TestManyTorrentsAreComparedPageByPage(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.add(core.Options{}), w.add(core.Options{})
	for i := range 4000 {
		h := hashes[0]
		h[1], h[2] = byte(i>>8), byte(i)
		if tr := w.trackers[i%2]; i%5 != 0 {
			tr.announce(h, peerAt(1, swarm.Leecher))
		} else {
			tr.complete(h)
		}
	}
	w.join(a, b, open, open)
	w.run(5 * time.Second)
	if a.node.DigestOfAll() != b.node.DigestOfAll() || a.node.Figures().Torrents != 4000 {
		t.Fatalf("%+v and %+v", a.node.Figures(), b.node.Figures())
	}
	h := hashes[0]
	h[1], h[2] = 14, 3 // in the fourth page
	w.weather.loss = 1
	a.announce(h, peerAt(2, swarm.Leecher))
	w.run(300 * time.Millisecond)
	w.weather.loss = 0
	w.run(3 * time.Second)
	if a.node.DigestOfAll() != b.node.DigestOfAll() || b.node.Digest(h) != a.node.Digest(h) {
		t.Error("what was lost is not healed")
	}
	if l := b.node.Links()[0]; l.LastHeal.Entries != 1 || l.ListedIn > 2010 {
		t.Errorf("%+v", l)
	}
}

// What the origin of a peer does not know any more, and has forgotten that it left,
// is gone.
func TestTheOriginsWordEndsItsPeers(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.add(core.Options{MaxPeers: 40}), w.add(core.Options{})
	w.join(a, b, open, open)
	w.run(3 * time.Second)
	for i := range 10 {
		a.announce(hashes[1], peerAt(200+i, swarm.Leecher))
	}
	w.run(time.Second)
	w.wires[0].cut = true
	w.wires[0].shut(nil)
	for i := range 100 { // so many leave that they are remembered for a minute only
		a.announce(hashes[1], peerAt(i, swarm.Leecher))
		a.gone(place{hash: hashes[1], addr: peerAt(i, 0).Addr})
	}
	for i := range 10 {
		a.gone(place{hash: hashes[1], addr: peerAt(200+i, 0).Addr})
	}
	w.run(3 * time.Minute)
	if f := a.node.Figures(); f.Departed > 40 {
		t.Fatalf("%+v", f)
	}
	a.announce(hashes[1], peerAt(101, swarm.Leecher))
	w.wires[0].cut = false
	w.run(5 * time.Second)
	if got := b.has(hashes[1]); len(got) != 1 || len(b.store) != 1 {
		t.Errorf("%v", got)
	}
}
