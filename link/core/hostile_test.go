package core

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// What one link says must not make messages that another cannot read.
func TestAgesThatNobodyReadsAreNotPassedOn(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{Name: "good"})
	p.local(1, swarm.PeerPut)
	p.greetAll(LinkOptions{Name: "bad"})
	count := change{what: whatCount, origin: 9, addr: counterAddr(9), stamp: 3, age: maxAge}
	gone := p.goneOf(1)
	gone.stamp, gone.age, gone.older = stampOf(p.now.Add(time.Hour).UnixMilli()), 0, maxAge
	p.node.entry(1).origin = 9 // announced elsewhere
	p.change(someHash, count, gone)
	p.said(kindBatch)
	p.node.mark(2, p.node.torrent(1), true)
	p.pass(3 * time.Second)
	if got := p.changes(); len(got) != 2 { // fails where it cannot be read
		t.Errorf("%+v", got)
	}
}

func TestARevokedLinkTakesThePeersOfAllItsLivesWithIt(t *testing.T) {
	p := newPuppet(t, Options{})
	o := LinkOptions{Receive: true, Send: true, MaxPeers: 10}
	for life := range 3 {
		p.greet(o, hello{wants: modeAll, offers: modeAll, origin: Origin(100 + life)})
		for i := range 6 {
			p.change(someHash, p.putOf(10*life+i))
		}
	}
	if l := p.node.Links()[0]; l.Peers != 10 || len(p.store) != 10 {
		t.Errorf("it has brought %d peers in three lives, %d in the store, and may bring 10", l.Peers, len(p.store))
	}
	for peer := range p.node.Peers(someHash) {
		if peer.Link != "puppet" {
			t.Errorf("%+v", peer)
		}
	}
	if n := p.node.Revoke(p.now, "puppet"); n != 10 || len(p.store) != 0 || p.node.Figures().Peers != 0 {
		t.Errorf("%d are revoked, %d are left", n, len(p.store))
	}
}

func TestALinkThatClaimsThePeersOfOthersIsCapped(t *testing.T) {
	p := newPuppet(t, Options{})
	for i := range 20 {
		p.local(i, swarm.PeerPut)
	}
	p.greetAll(LinkOptions{MaxPeers: 5})
	p.now = p.now.Add(time.Minute)
	for i := range 20 {
		p.change(someHash, p.putOf(i))
	}
	if f := p.node.Figures(); f.Owned != 15 || f.Peers != 20 || p.node.Links()[0].Capped != 15 {
		t.Errorf("%+v, %+v", f, p.node.Links()[0])
	}
	p.now = p.now.Add(time.Second)
	p.change(someHash, p.putOf(0)) // one that it has brought
	if capped := p.node.Links()[0].Capped; capped != 15 {
		t.Errorf("%d are capped", capped)
	}
}

func TestALinkDoesNotTakeTheRoomOfOthers(t *testing.T) {
	p := newPuppet(t, Options{MaxPeers: 10})
	p.greetAll(LinkOptions{})
	for i := range 20 {
		h := bittorrent.InfoHash{byte(i)}
		p.change(h, change{what: whatCount, origin: 5, addr: counterAddr(5), stamp: 1}, p.goneOf(i))
	}
	if f := p.node.Figures(); f.Counters != 5 || f.Departed != 5 {
		t.Errorf("%+v", f)
	}
}

func TestDownloadsOfThisNodeAreCountedHoweverManyOthersCount(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.countOf(2 * maxCounters)
	p.node.Local(p.now, &swarm.Change{Kind: swarm.DownloadCount, InfoHash: someHash})
	if got := p.node.Total(someHash); got != maxCounters+1 {
		t.Errorf("%d", got)
	}
	for _, e := range p.events {
		if e.Kind == TableFull {
			t.Error("it is said that there are too many peers")
		}
	}
}

// askedFor has the node ask for torrents of the bucket of a hash, of which the puppet says
// that it has them, and returns the ask.
func (p *puppet) askedFor(hashes ...bittorrent.InfoHash) ask {
	p.t.Helper()
	s := p.node.session(p.link)
	p.node.startHeal(s, "a test")
	p.node.flush(s, 1)
	next := func(want asked) (a ask) {
		p.t.Helper()
		asks := p.said(kindAsk)
		a, err := readAsk(asks[len(asks)-1])
		if err != nil || a.what != want {
			p.t.Fatalf("%+v, %v", a, err)
		}
		return a
	}
	a := next(askBuckets)
	told, none := s.to.from, digests{}
	told[hashes[0][0]] ^= 1
	p.say(kindBuckets, appendPairs(append(answer{heal: a.heal, number: a.number}.append(nil), 0), &told, &none))
	a = next(askPage)
	page := append(answer{heal: a.heal, number: a.number}.append(nil), 0)
	for _, h := range hashes {
		one := paged{hash: h, pair: pair{told: 99, all: 98}, size: 1}
		page = one.append(page)
	}
	p.say(kindPage, page)
	return next(askTorrents)
}

// list answers an ask with torrents of which there is nothing.
func (p *puppet) list(a ask, hashes ...bittorrent.InfoHash) {
	b := append(answer{heal: a.heal, number: a.number}.append(nil), answerMore)
	b = binary.AppendUvarint(b, uint64(p.now.UnixMilli()))
	for _, h := range hashes {
		b = append(append(b, h[:]...), 1) // no entries, and these are all
	}
	p.say(kindListing, b)
}

// listPeers answers an ask with some peers of a torrent.
func (p *puppet) listPeers(a ask, peers int) {
	b := append(answer{heal: a.heal, number: a.number}.append(nil), 0)
	b = binary.AppendUvarint(b, uint64(p.now.UnixMilli()))
	b = binary.AppendUvarint(append(b, someHash[:]...), uint64(peers)<<1)
	var o origins
	o.reset()
	for i := range peers {
		c := p.putOf(i)
		b = c.append(b, p.now.UnixMilli(), &o)
	}
	p.say(kindListing, b)
}

func TestOnlyWhatWasAskedForIsComparedAndOnce(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{})
	p.answerNothing()
	first, second, other := bittorrent.InfoHash{7, 1}, bittorrent.InfoHash{7, 2}, bittorrent.InfoHash{8, 1}
	for _, h := range []bittorrent.InfoHash{first, second, other} {
		p.change(h, p.putOf(1))
	}
	p.now = p.now.Add(time.Second)
	a := p.askedFor(first, second)
	looks := p.node.session(p.link).looks.tokens
	p.list(a, first, first, first)
	p.list(a, second)
	if got := p.node.Figures().Peers; got != 2 {
		t.Errorf("%d peers, want 2: after what was not asked for nothing counts", got)
	}
	if used := looks - p.node.session(p.link).looks.tokens; used > 1 {
		t.Errorf("%v entries were looked at", used)
	}
	a = p.askedFor(first, second)
	p.list(a, first)
	p.list(a, second, other)
	if got := p.node.Figures().Peers; got != 1 {
		t.Errorf("%d peers, want the one that was not asked for", got)
	}
}

// A listing that was under way when the healing began anew is no flood.
func TestAListingThatComesLateDoesNotCloseALink(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{MaxChanges: 10})
	p.answerNothing()
	a := p.askedFor(someHash)
	p.node.startHeal(p.node.session(p.link), "messages were lost")
	p.listPeers(a, 200)
	if len(p.closed) != 0 || p.node.Figures().Peers != 200 {
		t.Fatalf("%v, %d peers", p.closed, p.node.Figures().Peers)
	}
	a.heal += 1000 // what nobody asked for
	p.listPeers(a, 200)
	p.shut(ReasonRate, "raise its limit")
}

func TestALinkThatListsWithoutEndIsClosed(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greetAll(LinkOptions{MaxChanges: 10})
	p.answerNothing()
	a := p.askedFor(someHash)
	p.node.session(p.link).heal.brings.tokens = -listedAtOnce + 5
	p.list(a, someHash)
	if len(p.closed) != 0 {
		t.Fatal("closed too early")
	}
	p.listPeers(a, 20)
	p.shut(ReasonRate, "drop it")
}

func TestALinkThatSaysWhatItWantsOverAndOverIsClosed(t *testing.T) {
	p := newPuppet(t, Options{})
	for i := range 1000 {
		p.local(i, swarm.PeerPut)
	}
	p.greet(LinkOptions{Send: true}, hello{wants: modeList})
	want := func(version int) {
		p.say(kindInterest, (&interest{version: uint32(version), op: interestSet, hashes: someHash[:]}).append(nil))
	}
	for version := range 1000 {
		want(version)
	}
	if len(p.closed) != 0 {
		t.Fatal("closed too early")
	}
	p.node.session(p.link).looks.tokens = -looksASecond*looksOver + 5000
	for version := 1000; version < 1010 && len(p.closed) == 0; version++ {
		want(version)
	}
	p.shut(ReasonRate, "drop it")
}

// A bucket is sorted for each page, even where nothing of it is listed.
func TestAsksThatListNothingCountToo(t *testing.T) {
	p := newPuppet(t, Options{})
	for i := range 300 {
		p.node.Local(p.now, &swarm.Change{Kind: swarm.DownloadCount, InfoHash: bittorrent.InfoHash{5, byte(i), byte(i >> 8)}})
	}
	p.greetAll(LinkOptions{})
	looks := p.node.session(p.link).looks.tokens
	last := bittorrent.InfoHash{5, 0xff, 0xff, 0xff}
	p.say(kindAsk, (&ask{heal: 1, number: 1, what: askPage, bucket: 5, after: last}).append(nil))
	if used := looks - p.node.session(p.link).looks.tokens; used < 300 {
		t.Errorf("%v looks", used)
	}
}

// A node that is full, linked with one that has more, is at peace.
func TestANodeThatIsFullDoesNotCompareOverAndOver(t *testing.T) {
	p := newPuppet(t, Options{MaxPeers: 10})
	p.greetAll(LinkOptions{MaxPeers: 100})
	p.answerNothing()
	for i := range 20 {
		p.change(someHash, p.putOf(i))
	}
	h := heartbeat{flags: beatTold, told: 99}
	for range 30 {
		p.pass(2 * time.Second)
		h.clock = p.now.UnixMilli()
		p.say(kindHeartbeat, h.append(nil))
		if p.node.Links()[0].Healing {
			t.Fatal("it compares")
		}
	}
	p.now = p.now.Add(time.Second)
	for i := range 5 {
		p.change(someHash, p.goneOf(i))
	}
	p.pass(time.Second)
	h.clock = p.now.UnixMilli()
	p.say(kindHeartbeat, h.append(nil))
	if !p.node.Links()[0].Healing {
		t.Error("it does not compare when there is room again")
	}
}

func TestAClockThatIsCenturiesOffIsRefused(t *testing.T) {
	for _, off := range []int64{1 << 64 / 1_000_000, 300 * 365 * 24 * 3600 * 1000, maxMilli / 2} {
		p := newPuppet(t, Options{})
		p.greet(LinkOptions{Receive: true}, hello{wants: modeAll, offers: modeAll, clock: p.now.UnixMilli() + off})
		p.shut(ReasonClock, "a century or more apart: set them")
	}
}

func TestARateWithoutSenseIsNone(t *testing.T) {
	p := newPuppet(t, Options{})
	p.greet(LinkOptions{Send: true}, hello{wants: modeAll, rate: math.MaxUint64})
	p.local(1, swarm.PeerPut)
	p.pass(time.Second)
	if got := p.changes(); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsForgottenWhileItWaitsTakesNoRoomForEver(t *testing.T) {
	p := newPuppet(t, Options{MaxWaiting: 100})
	p.greetAll(LinkOptions{})
	p.local(1, swarm.PeerPut)
	s := p.node.session(p.link)
	for range 10_000 {
		p.node.wait(s, 1, true)
		s.waiting.drop(1)
	}
	if size := len(s.waiting.queue); size > 101 {
		t.Errorf("%d wait", size)
	}
}
