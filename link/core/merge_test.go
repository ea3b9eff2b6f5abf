package core

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// The same changes, in any order and any number of times, through any link, make
// the same table.
func TestOrderOfChangesDoesNotMatter(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		var changes []change
		for range 2 + r.IntN(12) {
			i := r.IntN(2)
			c := change{
				what: whatPut, kind: swarm.Kind(r.IntN(3)), addr: addrOf(i), port: 6881, origin: Origin(10 + r.IntN(3)),
				stamp: stampOf(1_800_000_000_000 + int64(r.IntN(4))), id: bittorrent.PeerID{byte(r.IntN(3))}, left: int64(r.IntN(9)),
			}
			if r.IntN(3) == 0 {
				c = change{what: whatGone, addr: c.addr, port: c.port, origin: c.origin, stamp: c.stamp}
			}
			if r.IntN(4) == 0 {
				c = change{what: whatCount, origin: c.origin, addr: counterAddr(c.origin), stamp: Stamp(1 + r.IntN(5))}
			}
			// One origin says one thing at a time.
			same := false
			for _, o := range changes {
				same = same || o.what != whatCount && c.what != whatCount && o.addr == c.addr && o.stamp == c.stamp && o.origin == c.origin
			}
			if !same {
				changes = append(changes, c)
			}
		}
		var want map[netip.AddrPort]Held
		var digest uint64
		for try := range 6 {
			p := newPuppet(t, Options{})
			p.greetAll(LinkOptions{Name: "a"})
			a := p.node.session(p.link)
			p.greetAll(LinkOptions{Name: "b"})
			b := p.node.session(p.link)
			for range 1 + r.IntN(3) {
				r.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
				for i := range changes {
					c := changes[i]
					number := p.node.lookup(someHash)
					p.node.hear([]*session{a, b}[r.IntN(2)], &number, someHash, &c)
				}
			}
			got := map[netip.AddrPort]Held{}
			for peer := range p.node.Peers(someHash) {
				peer.Link = ""
				got[peer.Addr] = peer
			}
			if try == 0 {
				want, digest = got, p.node.Digest(someHash)
			}
			if len(got) != len(want) || p.node.Digest(someHash) != digest || p.node.DigestOfAll() != digest {
				t.Fatalf("seed %d: %v, before %v", seed, got, want)
			}
			for addr := range want {
				if got[addr] != want[addr] {
					t.Fatalf("seed %d: %+v, before %+v", seed, got[addr], want[addr])
				}
			}
			if len(p.store) != len(got) {
				t.Fatalf("seed %d: the store has %d peers, the node %d", seed, len(p.store), len(got))
			}
		}
	}
}

func TestStampsOfANodeGrowEvenIfItsClockIsSetBack(t *testing.T) {
	p := newPuppet(t, Options{})
	n := p.node
	n.at(p.now)
	first := n.newStamp(n.wall, 0)
	if !first.Time().Equal(p.now) {
		t.Errorf("the stamp says %v, the clock %v", first.Time(), p.now)
	}
	n.at(p.now.Add(-time.Hour))
	if second := n.newStamp(n.wall, 0); second < first {
		t.Errorf("%x, then %x", first, second)
	}
	if third := n.newStamp(n.wall, first+500); third != first+501 {
		t.Errorf("after %x comes %x", first+500, third)
	}
	// A clock that was years ahead does not spoil stamps for ever.
	n.at(p.now.Add(10000 * time.Hour))
	n.newStamp(n.wall, 0)
	n.at(p.now)
	if last := n.newStamp(n.wall, 0); last.Time().After(p.now.Add(27 * time.Hour)) {
		t.Errorf("stamped %v at %v", last.Time(), p.now)
	}
}

func TestAClockThatIsSetDoesNotEndPeers(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.change(someHash, p.putOf(1))
	before := time.Now() // with a monotonic clock
	n := New(before, Options{Origin: 9, Lifetime: time.Minute}, p)
	n.Local(before, &swarm.Change{InfoHash: someHash, Peer: swarm.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:1")}})
	n.at(before.Add(time.Second).Round(0).Add(-2 * time.Hour)) // set back: waits
	n.Tick(before.Add(2 * time.Second))
	if n.Figures().Peers != 1 {
		t.Error("the peer is gone")
	}
}

func TestChangesFromTheFutureAreLeftOut(t *testing.T) {
	p := newPuppet(t, Options{})
	// The clock of the other end is 25 h ahead, and a tracker behind it 50 h.
	ahead := 25 * time.Hour
	p.greet(LinkOptions{Receive: true, Send: true}, hello{wants: modeAll, offers: modeAll, clock: p.now.Add(ahead).UnixMilli()})
	c := p.putOf(1)
	c.stamp, c.origin = stampOf(p.now.Add(ahead).UnixMilli()), 78
	p.change(someHash, c)
	c = p.putOf(2)
	c.stamp, c.origin = stampOf(p.now.Add(50*time.Hour).UnixMilli()), 78
	p.change(someHash, c)
	if f := p.node.Figures(); f.Peers != 1 || f.Refused != 1 || len(p.closed) != 0 {
		t.Fatalf("%+v, closed %v", f, p.closed)
	}
	// The next announce of the first here wins all the same.
	p.local(1, swarm.PeerPut)
	if p.node.Figures().Owned != 1 {
		t.Error("the peer that announces here is not here")
	}
}

func TestALinkThatLiesAboutTimeIsClosed(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	c := p.putOf(1)
	c.stamp = stampOf(p.now.Add(27 * time.Hour).UnixMilli())
	p.change(someHash, c)
	p.shut(ReasonClock, "set the clocks")
	if p.node.Figures().Peers != 0 {
		t.Error("the change was taken")
	}
}

func TestClocksADayApartAreToldWhatToDo(t *testing.T) {
	for _, apart := range []time.Duration{-27 * time.Hour, 27 * time.Hour} {
		p := newPuppet(t, Options{})
		p.greet(LinkOptions{Receive: true}, hello{wants: modeAll, offers: modeAll, clock: p.now.Add(apart).UnixMilli()})
		p.shut(ReasonClock, "27h0m0s apart: set them")
		if byes := p.said(kindBye); len(byes) != 1 {
			t.Error("the other end is not told")
		}
	}
}

// A peer that moves to a tracker whose clock is behind, while that is cut off, is
// the one that lives there, since it was heard of later.
func TestANodeInsistsOnWhatItHeardLater(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.local(1, swarm.PeerPut)
	p.pass(time.Second)
	p.said(kindBatch)
	c := p.putOf(1) // stamped an hour ahead, heard of 30 s ago
	c.stamp, c.age = stampOf(p.now.Add(time.Hour).UnixMilli()), 30*ticks
	p.change(someHash, c)
	p.pass(time.Second)
	got := p.changes()
	if len(got) != 1 || got[0].origin != p.node.o.Origin || got[0].stamp != c.stamp+1 || len(p.store) != 0 {
		t.Errorf("%+v, store %v", got, p.store)
	}
	gone := p.goneOf(1) // it expired there: it was heard of here since
	gone.stamp, gone.older = got[0].stamp+9, 3600*ticks
	p.change(someHash, gone)
	if p.node.Figures().Owned != 1 {
		t.Error("a peer that is there was removed because it expired elsewhere")
	}
	gone.stamp, gone.older = gone.stamp+99, 0 // it stopped there just now
	p.change(someHash, gone)
	if p.node.Figures().Peers != 0 || p.removed != 1 {
		t.Error("a peer that stopped elsewhere is still there")
	}
}

func TestAStoreThatForgetsAPeerOfAnotherTrackerTellsNobody(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.greetAll(LinkOptions{Name: "second"})
	s := p.node.sessions[0]
	number := p.node.lookup(someHash)
	for i := 1; i <= 2; i++ {
		c := p.putOf(i)
		p.node.hear(s, &number, someHash, &c)
	}
	p.local(1, swarm.PeerGone) // it stopped here
	if f := p.node.Figures(); f.Peers != 1 || f.Departed != 1 {
		t.Errorf("after a stop %+v", f)
	}
	p.pass(time.Hour)
	p.local(2, swarm.PeerGone) // it expired here
	if f := p.node.Figures(); f.Peers != 1 {
		t.Errorf("after its expiry here: %+v", f)
	}
	p.pass(3 * time.Minute)
	if f := p.node.Figures(); f.Peers != 0 || f.Departed != 0 || f.Expired != 1 {
		t.Errorf("a lifetime and three minutes later: %+v", f)
	}
}

func TestCompletedCountsAddUpOnce(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	done := func() { p.node.Local(p.now, &swarm.Change{Kind: swarm.DownloadCount, InfoHash: someHash}) }
	done()
	done()
	theirs := change{what: whatCount, origin: 77, stamp: 5, addr: counterAddr(77)}
	less := theirs
	less.stamp = 3
	p.change(someHash, theirs, less, theirs)
	if p.counted[someHash] != 7 || p.node.Total(someHash) != 7 {
		t.Errorf("%d", p.counted[someHash])
	}
	done()
	if p.counted[someHash] != 8 {
		t.Errorf("%d", p.counted[someHash])
	}
	// Another life, which knows the counters of the first, goes on from there.
	next := newPuppet(t, Options{Counter: p.node.o.Counter})
	for c := range p.node.Counters() {
		next.node.Count(next.now, c.Hash, c.Origin, c.Count)
	}
	next.node.Local(p.now, &swarm.Change{Kind: swarm.DownloadCount, InfoHash: someHash})
	if next.node.Total(someHash) != 9 {
		t.Errorf("%d", next.node.Total(someHash))
	}
	// They are kept after the last peer, but not for ever.
	p.node.at(p.now.Add(29 * 24 * time.Hour))
	for range 50 {
		p.now = p.now.Add(time.Second)
		p.node.sweptMs = 0
		p.node.sweep()
	}
	if p.node.Total(someHash) != 8 {
		t.Error("counters are gone after 29 days")
	}
	p.node.at(p.now.Add(31 * 24 * time.Hour))
	p.node.sweptMs = 0
	p.node.sweep()
	if f := p.node.Figures(); f.Counters != 0 || f.Torrents != 0 {
		t.Errorf("after 31 days: %+v", f)
	}
}

func TestATorrentHasABoundedNumberOfCounters(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.countOf(2 * maxCounters)
	if f := p.node.Figures(); f.Counters != maxCounters || p.node.Total(someHash) != maxCounters {
		t.Errorf("%+v, total %d", f, p.node.Total(someHash))
	}
}
