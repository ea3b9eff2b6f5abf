package core

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

func TestAnotherVersionIsRefusedInWordsThatTellWhatToDo(t *testing.T) {
	for version, words := range map[byte]string{
		0: "update the other tracker, puppet", 2: "update this tracker, which is linked with puppet",
	} {
		p := newPuppet(t, Options{})
		p.link = p.node.Open(p.now, LinkOptions{Name: "puppet", Receive: true})
		h := hello{origin: 3, clock: p.now.UnixMilli()}
		b := h.message()
		b[4] = version
		p.node.Receive(p.now, p.link, append(b, "what a later version adds"...))
		p.shut(ReasonVersion, words)
		said := p.said(kindBye)
		if len(said) != 1 {
			t.Fatal("the other end is not told")
		}
		if y, err := readBye(said[0]); err != nil || !strings.Contains(y.words, words) {
			t.Errorf("the other end is told %+v, %v", y, err)
		}
	}
}

func TestTheOtherEndsWordsAreTold(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.node.Receive(p.now, p.link, (&bye{code: ReasonVersion, words: "update it"}).message())
	p.shut(ReasonVersion, "update it")
	if len(p.said(kindBye)) != 0 {
		t.Error("a bye was answered with a bye")
	}
	p.greetAll(LinkOptions{})
	p.node.Receive(p.now, p.link, (&bye{words: "red \x1b[31m\xff\nalert"}).message())
	p.shut(ReasonShut, "closed the link: red ?[31m??alert")
}

func TestALinkWithItselfIsRefused(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greet(LinkOptions{}, hello{origin: p.node.o.Origin, wants: modeAll})
	p.shut(ReasonSelf, "drop it")
}

func TestSilenceClosesALinkWithin10Seconds(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.wait(7900 * time.Millisecond)
	if len(p.closed) != 0 {
		t.Fatal("closed too early")
	}
	p.wait(time.Second)
	p.shut(ReasonSilent, "half open")
}

func TestSilenceInsteadOfAGreetingClosesALink(t *testing.T) {
	p := newPuppet(t, Options{})
	p.link = p.node.Open(p.now, LinkOptions{Name: "mute"})
	p.wait(9 * time.Second)
	p.shut(ReasonSilent, "half open")
}

func TestALinkThatAcknowledgesNothingIsClosed(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.local(1, swarm.PeerPut)
	for range 100 {
		p.wait(100 * time.Millisecond)
		p.say(kindAck, binary.BigEndian.AppendUint32(nil, 0)) // it talks, but hears nothing
	}
	p.shut(ReasonSilent, "acknowledged nothing")
}

func TestALostMessageIsHealedAtOnce(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.said(kindAsk)
	p.seq++ // lost
	p.change(someHash, p.putOf(1))
	asks := p.said(kindAsk)
	if len(asks) != 1 || p.node.Links()[0].Gaps != 1 || !p.node.Links()[0].Healing {
		t.Fatalf("%d asks, %+v", len(asks), p.node.Links()[0])
	}
	if a, err := readAsk(asks[0]); err != nil || a.what != askBuckets {
		t.Errorf("%+v, %v", a, err)
	}
	if p.node.Figures().Peers != 1 {
		t.Error("what comes after the gap is not taken")
	}
	p.seq-- // the same again
	before := p.node.Links()[0].ChangesIn
	p.change(someHash, p.putOf(2))
	if p.node.Links()[0].ChangesIn != before {
		t.Error("a repeated message was taken")
	}
}

// At most 1 MiB flies, what waits is one change a peer, and no more than may.
func TestWhatIsNotAcknowledgedIsBounded(t *testing.T) {
	const most = 30_000
	p := newPuppet(t, Options{MaxWaiting: most})
	p.greetAll(LinkOptions{})
	p.said(kindAsk)
	bytes, waited := 0, 0
	for round := range 8 {
		for i := range 25_000 {
			p.local(i, swarm.PeerPut)
			if i%5000 == 0 {
				p.now = p.now.Add(50 * time.Millisecond)
				p.node.Tick(p.now)
			}
		}
		for _, b := range p.sent {
			bytes += len(b)
		}
		p.sent = nil
		waited = max(waited, p.node.Links()[0].Waiting)
		if round > 2 && p.node.Links()[0].Overflows != 0 {
			t.Fatal("changes of one peer wait more than once")
		}
	}
	if bytes > maxWindow+fullMessage*4 || waited > most || waited < 1000 {
		t.Errorf("%d bytes fly, %d changes waited", bytes, waited)
	}
	// More peers than may wait: all are dropped, and the other end is told to heal.
	for i := range 2 * most {
		p.local(1_000_000+i, swarm.PeerPut)
	}
	if f := p.node.Links()[0]; f.Overflows == 0 || f.Waiting > most {
		t.Fatalf("%+v", f)
	}
	if !slices.ContainsFunc(p.events, func(e Event) bool { return e.Kind == Overflowed }) {
		t.Error("nobody is told")
	}
	p.sent = nil
	p.pass(3 * time.Second)
	told := false
	for _, b := range p.said(kindHeartbeat) {
		h, err := readHeartbeat(b)
		told = told || err == nil && h.flags&beatDropped != 0
	}
	if !told {
		t.Error("the other end is not told to heal")
	}
}

func TestARefreshOfAPeerThatIsNotKnownMakesTheNodeAsk(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.answerNothing()
	p.change(someHash, p.putOf(1))
	p.said(kindAsk)
	refresh := p.putOf(1)
	refresh.what, refresh.check, refresh.stamp = whatRefresh, check(&refresh.id, refresh.key), refresh.stamp+1
	p.change(someHash, refresh)
	if asks := p.said(kindAsk); len(asks) != 0 || p.node.Figures().Peers != 1 {
		t.Errorf("a refresh of a known peer: %d asks", len(asks))
	}
	other := refresh
	other.check++
	other.stamp++
	p.change(someHash, other)
	if asks := p.said(kindAsk); len(asks) != 1 {
		t.Errorf("a refresh of another client: %d asks", len(asks))
	}
}

func TestTheOtherEndsOverflowIsHealedAtOnce(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.answerNothing()
	h := heartbeat{clock: p.now.UnixMilli(), flags: beatTold}
	p.say(kindHeartbeat, h.append(nil))
	if asks := p.said(kindAsk); len(asks) != 0 {
		t.Error("equal digests are compared")
	}
	h.flags = beatDropped
	p.say(kindHeartbeat, h.append(nil))
	if asks := p.said(kindAsk); len(asks) != 1 {
		t.Error("what the other end has dropped is not asked for")
	}
}

func TestDigestsThatDifferInVainAreComparedLessAndLess(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.answerNothing()
	h := heartbeat{flags: beatTold, told: 99}
	heals := 0
	for range 300 {
		p.pass(2 * time.Second)
		h.clock = p.now.UnixMilli()
		p.say(kindHeartbeat, h.append(nil))
		if p.node.Links()[0].Healing {
			heals++
			p.answerNothing()
		}
	}
	if heals < 5 || heals > 8 {
		t.Errorf("%d healings in 10 minutes", heals)
	}
}

// answerNothing ends the first healing of a link: the puppet has nothing.
func (p *puppet) answerNothing() {
	p.t.Helper()
	for _, b := range p.said(kindAsk) {
		a, err := readAsk(b)
		if err != nil || a.what != askBuckets {
			p.t.Fatalf("%+v, %v", a, err)
		}
		var none digests
		body := answer{heal: a.heal, number: a.number}.append(nil)
		p.say(kindBuckets, appendPairs(append(body, 0), &none, &none))
	}
	if p.node.Links()[0].Healing {
		p.t.Fatal("the healing goes on")
	}
}

func TestALinkBringsNoMorePeersThanItMay(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{MaxPeers: 10})
	for i := range 30 {
		p.change(someHash, p.putOf(i))
	}
	said := 0
	for _, e := range p.events {
		if e.Kind == Capped {
			said++
		}
	}
	if f := p.node.Links()[0]; f.Peers != 10 || f.Capped != 20 || said != 1 || len(p.store) != 10 {
		t.Errorf("%+v, said %d times, %d in the store", f, said, len(p.store))
	}
	p.now = p.now.Add(time.Second)
	for i := range 5 {
		p.change(someHash, p.goneOf(i))
	}
	p.pass(time.Second)
	p.change(someHash, p.putOf(31))
	if f := p.node.Links()[0]; f.Peers != 6 {
		t.Errorf("after five have left: %+v", f)
	}
}

func TestANodeKeepsNoMorePeersThanItMay(t *testing.T) {
	p := newPuppet(t, Options{MaxPeers: 10})
	p.greetAll(LinkOptions{})
	for i := range 30 {
		p.change(someHash, p.putOf(i))
		p.local(100+i, swarm.PeerPut)
	}
	if f := p.node.Figures(); f.Peers != 10 || f.NoRoom == 0 {
		t.Errorf("%+v", f)
	}
	for i := range 100 { // those that left are bounded too
		p.change(someHash, p.goneOf(1000+i))
	}
	if f := p.node.Figures(); f.Departed > 10 {
		t.Errorf("%+v", f)
	}
}

func TestALinkThatFloodsIsClosedForAMinute(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{MaxChanges: 10})
	for i := range 102 {
		if len(p.closed) == 0 {
			p.change(someHash, p.putOf(i))
		}
	}
	p.shut(ReasonRate, "raise its limit")
	p.closed = nil
	p.wait(30 * time.Second)
	p.node.Open(p.now, LinkOptions{Name: "puppet"})
	p.shut(ReasonRate, "in a minute")
	p.closed = nil
	p.wait(31 * time.Second)
	p.greetAll(LinkOptions{MaxChanges: 10})
	if len(p.closed) != 0 || !p.node.Links()[0].Up {
		t.Errorf("it may not come back: %v", p.closed)
	}
}

func TestANodeSendsNoFasterThanTheOtherEndTakes(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greet(LinkOptions{Send: true}, hello{wants: modeAll, rate: 100})
	for i := range 5000 {
		p.local(i, swarm.PeerPut)
	}
	p.pass(10 * time.Second)
	if got := len(p.changes()); got < 800 || got > 1000 {
		t.Errorf("%d changes in 10 s", got)
	}
}

func TestTooMuchThatCannotBeReadClosesALink(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	for range maxGarbled + 1 {
		p.say(kind(99), []byte("?"))
	}
	p.shut(ReasonGarbled, "damages")
}

func TestANeighbourThatConnectsAgainReplacesItself(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	first := p.link
	p.change(someHash, p.putOf(1))
	p.greetAll(LinkOptions{})
	p.shut(ReasonReplaced, "another one")
	if p.link == first || p.node.Links()[0].Peers != 1 || !p.node.Links()[0].Up {
		t.Errorf("%+v", p.node.Links())
	}
}

func TestARevokedLinkTakesItsPeersWithIt(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{Name: "bad"})
	for i := range 20 {
		p.change(someHash, p.putOf(i))
	}
	p.greetAll(LinkOptions{Name: "good"})
	p.change(someHash, p.putOf(100))
	p.local(200, swarm.PeerPut)
	p.pass(time.Second)
	p.sent = nil
	if peers := p.node.Revoke(p.now, "bad"); peers != 20 {
		t.Errorf("%d peers are revoked", peers)
	}
	p.shut(ReasonRevoked, "another invitation")
	p.pass(time.Second)
	gone := 0
	for _, c := range p.changes() {
		if c.what == whatGone {
			gone++
		}
	}
	if f := p.node.Figures(); f.Peers != 2 || p.removed != 20 || gone != 20 || len(p.store) != 1 {
		t.Errorf("%+v, %d removed, %d told, store %v", f, p.removed, gone, p.store)
	}
	if p.node.Revoke(p.now, "nobody") != 0 {
		t.Error("a link that never was has peers")
	}
}

func TestFilesTravelWhereTheyMay(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	f := FileMessage{Op: 3, Hash: someHash, Data: []byte("d4:infoe")}
	if p.node.SendFile(p.now, p.link, f) {
		t.Error("a file was sent without the right")
	}
	p.say(kindFile, f.append(nil))
	if len(p.files) != 0 {
		t.Error("a file was taken without the right")
	}
	p.greetAll(LinkOptions{FilesIn: true, FilesOut: true, Torrents: []bittorrent.InfoHash{someHash}})
	p.say(kindFile, f.append(nil))
	sent := p.node.SendFile(p.now, p.link, f)
	if said := p.said(kindFile); !sent || len(said) != 1 || len(p.files) != 1 || string(p.files[0].Data) != "d4:infoe" {
		t.Errorf("sent %v, taken %v", sent, p.files)
	}
	if p.node.SendFile(p.now, p.link, FileMessage{Hash: bittorrent.InfoHash{9}}) {
		t.Error("a file of a torrent that may not cross the link was sent")
	}
	for range 1000 { // what waits for a slow link is bounded
		if !p.node.SendFile(p.now, p.link, FileMessage{Hash: someHash, Data: make([]byte, MaxFileData)}) {
			return
		}
	}
	t.Error("a thousand files wait")
}
