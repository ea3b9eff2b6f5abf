package core

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// restore gives the node a peer that its store has kept.
func (p *puppet) restore(i int, ago time.Duration) {
	p.node.Restore(p.now, someHash, &swarm.Peer{
		Addr: netip.AddrPortFrom(netip.AddrFrom16(addrOf(i)).Unmap(), 6881), ID: bittorrent.PeerID{3, byte(i)},
		Kind: swarm.Leecher, Last: p.now.Add(-ago),
	})
}

func TestWhatAStoreHasKeptGivesWayToWhatOthersKnow(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.restore(1, time.Minute)
	p.restore(2, 2*time.Hour)
	if f := p.node.Figures(); f.Peers != 1 {
		t.Fatalf("%+v", f)
	}
	// It stopped half a minute ago at a tracker whose clock is an hour behind.
	gone := p.goneOf(1)
	gone.stamp, gone.age = stampOf(p.now.Add(-time.Hour-30*time.Second).UnixMilli()), 30*ticks
	p.change(someHash, gone)
	if f := p.node.Figures(); f.Peers != 0 || p.removed != 1 {
		t.Errorf("%+v", f)
	}
	p.restore(1, time.Minute)
	if p.node.Figures().Peers != 0 {
		t.Error("older news of a peer that left brought it back")
	}
}

func TestWhatAStoreHasKeptIsNotLostToOlderNews(t *testing.T) {
	p := newPuppet(t, Options{Former: []Origin{55}})
	p.greetAll(LinkOptions{})
	p.restore(1, time.Minute)
	p.restore(2, time.Minute)
	// What another store has kept of the first, and what the life before had said of
	// the second.
	same := p.putOf(1)
	same.stamp, same.age = stampOf(p.now.UnixMilli()-weakMilli), 60*ticks
	p.change(someHash, same)
	former := p.putOf(2)
	former.origin, former.age = 55, 50*ticks
	p.change(someHash, former)
	if f := p.node.Figures(); f.Peers != 2 || f.Owned != 1 || f.Insisted != 1 { // the second is this node's again
		t.Fatalf("%+v", f)
	}
	for i := 1; i <= 2; i++ { // they left elsewhere two minutes ago, by a clock that is ahead
		gone := p.goneOf(i)
		gone.origin, gone.age, gone.stamp = 99, 120*ticks, stampOf(p.now.Add(time.Hour).UnixMilli())
		p.change(someHash, gone)
	}
	if f := p.node.Figures(); f.Peers != 2 || f.Owned != 2 || f.Insisted != 3 {
		t.Errorf("%+v", f)
	}
}

// A store that does not write every announce takes the latest time that a peer can have been seen:
// that is no reason to take it from the tracker that it announced to.
func TestPeersThatAStoreHasKeptStayThoseOfWhomTheyAnnouncedTo(t *testing.T) {
	p := newPuppet(t, Options{Doubt: 10 * time.Minute})
	p.greetAll(LinkOptions{})
	p.restore(1, time.Minute)
	p.restore(2, time.Minute)
	theirs := p.putOf(1)
	theirs.age = 8 * 60 * ticks
	p.change(someHash, theirs)
	ours := p.putOf(2)
	ours.age = 20 * 60 * ticks
	p.change(someHash, ours)
	if f := p.node.Figures(); f.Peers != 2 || f.Owned != 1 || f.Insisted != 1 {
		t.Errorf("%+v", f)
	}
}

func TestOlderNewsOfAPeerThatLeftDoesNotBringItBack(t *testing.T) {
	p := newPuppet(t, Options{Lifetime: time.Minute})
	p.greetAll(LinkOptions{})
	old := p.putOf(1)
	p.local(1, swarm.PeerPut)
	p.pass(time.Second)
	p.local(1, swarm.PeerGone)
	p.pass(time.Minute + 50*time.Second) // somebody may have it still, for nine seconds
	old.age = 111 * ticks
	p.change(someHash, old)
	if f := p.node.Figures(); f.Peers != 0 || f.Departed != 1 {
		t.Errorf("%+v", f)
	}
}

func TestNewsThatIsOlderThanALifetimeIsNoNews(t *testing.T) {
	p := newPuppet(t, Options{Lifetime: time.Minute})
	p.greetAll(LinkOptions{})
	p.change(someHash, p.putOf(1))
	p.pass(time.Second)
	for i := range 2 {
		c := p.putOf(1 + i)
		c.age, c.left = 121*ticks, 5
		p.change(someHash, c)
	}
	if f := p.node.Figures(); f.Peers != 1 || len(p.store) != 1 {
		t.Errorf("%+v", f)
	}
	for _, peer := range p.store {
		if peer.Left != 1000 {
			t.Errorf("%+v", peer)
		}
	}
}

// What was under way for long is as old as it is.
func TestAgesCountTheTimeUnderWay(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	c := p.putOf(1)
	p.now = p.now.Add(5 * time.Second)
	b := binary.AppendUvarint(nil, uint64(p.now.Add(-5*time.Second).UnixMilli())) // when it was sent
	b = binary.AppendUvarint(append(b, someHash[:]...), 1)
	var o origins
	o.reset()
	p.say(kindBatch, c.append(b, p.now.Add(-5*time.Second).UnixMilli(), &o))
	for _, peer := range p.store {
		if ago := p.now.Sub(peer.Last); ago < 4900*time.Millisecond || ago > 5100*time.Millisecond {
			t.Errorf("seen %v ago", ago)
		}
	}
	if len(p.store) != 1 {
		t.Error("no peer came")
	}
	// A clock that is set back is not taken for a long way.
	c = p.putOf(2)
	c.stamp = stampOf(p.now.Add(-time.Hour).UnixMilli())
	b = binary.AppendUvarint(nil, uint64(p.now.Add(-time.Hour).UnixMilli()))
	b = binary.AppendUvarint(append(b, someHash[:]...), 1)
	o.reset()
	p.say(kindBatch, c.append(b, p.now.Add(-time.Hour).UnixMilli(), &o))
	for _, peer := range p.store {
		if ago := p.now.Sub(peer.Last); ago > 6*time.Second {
			t.Errorf("seen %v ago", ago)
		}
	}
}

func TestLessFliesOverASlowLink(t *testing.T) {
	s := &session{window: maxWindow}
	for now := int64(0); now < 60_000; now += 1000 {
		s.fit(slowLag+1, now)
	}
	if s.window != minWindow {
		t.Errorf("%d bytes", s.window)
	}
	for range 100 {
		s.fit(10, 60_000)
	}
	if s.window != maxWindow {
		t.Errorf("%d bytes", s.window)
	}
}

func TestHealingTakesNoMoreThanItMay(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{MaxChanges: 100})
	s := p.node.session(p.link)
	p.answerNothing()
	s.heal.brings.tokens = -5000 // they have listed more than they may
	p.node.startHeal(s, "a test")
	p.pass(4 * time.Second)
	if asks := p.said(kindAsk); len(asks) != 0 {
		t.Errorf("%d asks", len(asks))
	}
	p.pass(2 * time.Second)
	if asks := p.said(kindAsk); len(asks) != 1 {
		t.Errorf("%d asks when there is room", len(asks))
	}
	s.looks.tokens, s.looks.at = -2*looksASecond, p.node.ms // they have asked for more than they may
	p.say(kindAsk, (&ask{heal: 1, number: 1, what: askPage, begin: true}).append(nil))
	p.pass(time.Second)
	if answers := p.said(kindPage); len(answers) != 0 {
		t.Errorf("%d answers", len(answers))
	}
	p.pass(2 * time.Second)
	if answers := p.said(kindPage); len(answers) != 1 {
		t.Errorf("%d answers when there is room", len(answers))
	}
}
