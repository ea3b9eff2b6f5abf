package core

import (
	"testing"
	"time"

	"waggle/swarm"
)

// The store forgets what it has not heard of for a lifetime by its clock, when news of it
// are on their way, or because that clock was set.
func TestAPeerThatTheStoreForgetsIsNotSaidToHaveStopped(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.change(someHash, p.putOf(1))
	gone := swarm.Change{Kind: swarm.PeerGone, InfoHash: someHash}
	gone.Peer.Addr, gone.Peer.Last = p.entryOf(1).addrPort(), p.now.Add(-time.Hour)
	p.node.Local(p.now, &gone)
	if f := p.node.Figures(); f.Peers != 1 || len(p.store) != 1 {
		t.Fatalf("%+v", f)
	}
	gone.Peer.Last = p.now
	p.node.Local(p.now, &gone)
	if f := p.node.Figures(); f.Peers != 0 {
		t.Errorf("after a stop: %+v", f)
	}
}

// Nobody's clock tells the order of two events that are some milliseconds apart.
func TestAPeerThatLeftElsewhereWhenItCameHereHasCome(t *testing.T) {
	for after, stays := range map[time.Duration]bool{0: true, 400 * time.Millisecond: true, 2 * time.Second: false} {
		p := newPuppet(t, Options{})
		p.greetAll(LinkOptions{})
		p.local(1, swarm.PeerPut)
		p.pass(after)
		gone := p.goneOf(1)
		gone.stamp = stampOf(p.now.Add(time.Hour).UnixMilli())
		p.change(someHash, gone)
		if f := p.node.Figures(); (f.Owned == 1) != stays || (f.Insisted == 1) != stays {
			t.Errorf("it left %v after it came: %+v", after, f)
		}
	}
}

// Of two trackers that contradict each other one gives in, whatever part of a tick they
// are apart: a peer announced at the first, whose clock is ahead, and stopped at the
// second a little later.
func TestTwoTrackersDoNotContradictEachOtherForEver(t *testing.T) {
	for between := time.Duration(0); between < 2*time.Second; between += 20 * time.Millisecond {
		for phase := time.Duration(0); phase < 100*time.Millisecond; phase += 30 * time.Millisecond {
			a, b := newPuppet(t, Options{}), newPuppet(t, Options{})
			b.node.o.Origin++
			a.greetAll(LinkOptions{})
			b.greetAll(LinkOptions{})
			b.now = b.now.Add(phase)
			a.local(1, swarm.PeerPut)
			b.local(1, swarm.PeerPut)
			a.now, b.now = a.now.Add(time.Minute), b.now.Add(time.Minute)
			a.local(1, swarm.PeerPut)
			a.entryOf(1).stamp += 1 << 40
			a.now, b.now = a.now.Add(between), b.now.Add(between)
			b.local(1, swarm.PeerGone)
			for range 6 {
				a.node.at(a.now)
				b.change(someHash, a.node.changeOf(a.entryOf(1)))
				a.change(someHash, b.node.changeOf(b.entryOf(1)))
				a.now, b.now = a.now.Add(7*time.Millisecond), b.now.Add(7*time.Millisecond)
			}
			n := a.node.Figures().Insisted + b.node.Figures().Insisted
			if n > 1 || a.node.Figures().Peers != b.node.Figures().Peers || between > time.Second && a.node.Figures().Peers != 0 {
				t.Errorf("%v apart, of ticks %v: they insisted %d times, %d and %d peers",
					between, phase, n, a.node.Figures().Peers, b.node.Figures().Peers)
			}
		}
	}
}

func (p *puppet) entryOf(i int) *entry {
	addr := addrOf(i)
	return p.node.entry(p.node.find(p.node.lookup(someHash), &addr, 6881))
}
