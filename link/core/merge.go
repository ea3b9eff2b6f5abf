package core

import (
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// take makes an entry what a change says, which has won: in the table, the digests,
// the store, and for all links but the one that it came through.
func (n *Node) take(i uint32, c *change, via uint16) {
	e := n.entry(i)
	t := n.torrent(e.torrent)
	place := e.placeOf(t.seed)
	was, wasVia := e.state, e.via
	var before uint64
	if was == live || was == counts {
		before = e.digest(place)
	}
	n.uncount(e, t)
	whole := c.what == whatPut && (was != live || e.id != c.id || e.key != c.key)
	e.stamp, e.origin, e.via = c.stamp, c.origin, via
	seen := n.ago(c.age)
	e.kept = e.kept && c.what == whatPut && seen <= e.seen+claimSlack
	e.seen = seen
	switch c.what {
	case whatGone:
		e.state = gone
		e.left, e.uploaded, e.downloaded = int64(e.seen), 0, 0
		e.seen = n.ago(c.age + c.older)
	case whatCount:
		e.state = counts
	default:
		e.state, e.kind, e.id, e.key = live, c.kind, c.id, c.key
		e.left, e.uploaded, e.downloaded = c.left, c.uploaded, c.downloaded
	}
	n.recount(e, t)
	var after uint64
	if e.state != gone {
		after = e.digest(place)
	}
	if wasVia == via {
		n.tally(t, via, before^after)
	} else {
		n.tally(t, wasVia, before)
		n.tally(t, via, after)
	}
	n.mark(i, t, whole)
	n.tell(e, t, was)
}

// tell lets the store know what does not come from it.
func (n *Node) tell(e *entry, t *torrent, was uint8) {
	switch {
	case e.state == counts:
		n.completed(e.torrent)
	case e.via == viaHere || !n.holds(&t.hash):
	case e.state == live:
		n.put(e, t.hash)
	case was == live:
		n.host.Remove(t.hash, e.addrPort())
	}
}

func (n *Node) put(e *entry, h bittorrent.InfoHash) {
	if !n.holds(&h) {
		return
	}
	silent := time.Duration(n.now-e.seen) * time.Second / ticks
	n.peer = swarm.Peer{
		ID: e.id, Addr: e.addrPort(), Key: e.key, Kind: e.kind,
		Uploaded: e.uploaded, Downloaded: e.downloaded, Left: e.left,
		Last: time.UnixMilli(n.wall).Add(-silent),
	}
	n.host.Put(h, &n.peer)
}

func (n *Node) completed(t uint32) {
	r := n.torrent(t)
	if r.total > 0 && n.holds(&r.hash) {
		n.host.Completed(r.hash, uint32(min(r.total, 1<<32-1)))
	}
}

// uncount takes an entry out of the sums that it is in, and recount puts it in.
func (n *Node) uncount(e *entry, t *torrent) { n.addUp(e, t, -1) }
func (n *Node) recount(e *entry, t *torrent) { n.addUp(e, t, 1) }

func (n *Node) addUp(e *entry, t *torrent, by int) {
	to := n.broughtBy(e)
	switch e.state {
	case live:
		n.live += by
		t.live += uint32(by)
		if to != nil {
			to.peers += by
		}
	case gone:
		n.departed += by
		if to != nil {
			to.departed += by
		}
	case counts:
		n.counters += by
		t.total += uint64(by) * uint64(e.stamp)
		if to != nil {
			to.counters += by
		}
	}
}

// broughtBy returns through whose link an entry came, in any of its lives; nil: it was
// made here.
func (n *Node) broughtBy(e *entry) *neighbour { return n.neighbours[e.via>>1] }

// tally adds a digest to those of the node and its links, or takes it out.
func (n *Node) tally(t *torrent, via uint16, d uint64) {
	bucket := t.hash[0]
	n.all[bucket] ^= d
	if via != viaHere && via&viaFormer == 0 {
		n.neighbours[via>>1].from[bucket] ^= d
	}
	for _, s := range n.listed {
		if s.to.slot != via && s.tells(&t.hash) {
			s.told[bucket] ^= d
		}
	}
}

// forget takes an entry out of the table, without a word to anybody.
func (n *Node) forget(i uint32) {
	e := n.entry(i)
	t := n.torrent(e.torrent)
	if e.state == live || e.state == counts {
		n.tally(t, e.via, e.digest(e.placeOf(t.seed)))
	}
	n.uncount(e, t)
	if e.state == counts {
		t.counters--
	}
	for _, s := range n.sessions {
		s.waiting.drop(i)
	}
	n.dropEntry(i)
}

// verdict is what became of a change that was heard.
type verdict uint8

const (
	taken   verdict = iota
	older           // something newer was known
	known           // it was known, or is too old to keep
	unknown         // it takes more than it says to record it: the node lacks something
	dropped         // by a bound, or from the future
)

// hear takes in a change from a link. t is the number of its torrent, 0 where that
// is unknown still, and is set once it is known.
func (n *Node) hear(s *session, t *uint32, h bittorrent.InfoHash, c *change) verdict {
	if c.what != whatCount && c.stamp.milli() > n.wall+maxAhead {
		return n.refuseStamp(s, c)
	}
	i := n.find(*t, &c.addr, c.port)
	expired := c.age > uint64(n.lifetime+graceTicks)
	if i == 0 {
		switch {
		case c.what == whatRefresh:
			return unknown
		case expired && c.what != whatCount:
			return known
		case !n.hasRoom(s, *t, c.what, nil):
			return dropped
		}
		n.take(n.add(t, h, c), c, s.to.slot)
		return taken
	}
	e := n.entry(i)
	switch {
	case beats(e.stamp, e.origin, c.stamp, c.origin):
		return older
	case e.stamp == c.stamp && e.origin == c.origin, expired && (c.what == whatPut || c.what == whatRefresh):
		return known
	}
	if c.what == whatRefresh {
		if check(&e.id, e.key) != c.check {
			return unknown
		}
		c.what, c.id, c.key = whatPut, e.id, e.key
	}
	if e.state != counts && n.owns(e) && (n.heardLater(e, c) || n.isOwnAgain(e, c)) {
		n.insist(i, c.stamp)
		return taken
	}
	if !n.hasRoom(s, *t, c.what, e) {
		return dropped
	}
	n.take(i, c, s.to.slot)
	return taken
}

// owns reports whether it was to this node that the peer announced latest, or left,
// as far as this node can know.
func (n *Node) owns(e *entry) bool {
	return e.origin == n.o.Origin || e.kept || len(n.o.Former) > 0 && slices.Contains(n.o.Former, e.origin)
}

// isOwnAgain reports whether a change tells what a life before had said of a peer that
// the own store has kept: it is this node's still, and not the link's that brings it.
func (n *Node) isOwnAgain(e *entry, c *change) bool {
	return e.kept && e.via == viaHere && c.what == whatPut && slices.Contains(n.o.Former, c.origin)
}

// add makes the entry that a change is about, and its torrent.
func (n *Node) add(t *uint32, h bittorrent.InfoHash, c *change) uint32 {
	if *t == 0 {
		*t = n.addTorrent(h)
	}
	if c.what == whatCount {
		n.torrent(*t).counters++
	}
	return n.addEntry(*t, &c.addr, c.port)
}

// heardLater reports whether what this node knows of a peer is later than a change,
// whatever the stamps say. A peer that left another tracker when it came here, as far
// as ages can tell, has come.
func (n *Node) heardLater(e *entry, c *change) bool {
	at, seen := n.ago(c.age+c.older), e.seen
	if e.kept {
		seen -= min(seen, uint32(n.o.Doubt*ticks/time.Second))
	}
	switch {
	case e.state == live && c.what == whatGone:
		return at <= seen+moveSlack
	case e.state == gone:
		return at+moveSlack+evidenceSlack < seen
	}
	return at+evidenceSlack < seen
}

// evidenceSlack is by how much ages that went over a link are off, in ticks, beside the
// time that a message takes at least, which nobody can tell from a clock that is off:
// moveSlack is more than that. Two trackers that contradict each other must not both be
// right, so what one of them forgives, the other adds.
const (
	evidenceSlack = 2
	moveSlack     = 5
)

// claimSlack is by how much what two stores kept of one announce may be apart, in
// ticks: they keep whole seconds.
const claimSlack = 15

// insist tells again what this node said of a peer, because another node, whose
// clock is ahead, said something with a greater stamp that happened before. The stamp
// is no greater than that takes: it is no news.
func (n *Node) insist(i uint32, beaten Stamp) {
	e := n.entry(i)
	w := n.changeOf(e)
	w.origin = n.o.Origin
	w.stamp = beaten + 1
	n.figures.Insisted++
	n.take(i, &w, viaHere)
	n.mark(i, n.torrent(e.torrent), true) // others may have forgotten the client
}

// changeOf returns the change that makes another node's entry like this one.
func (n *Node) changeOf(e *entry) change {
	c := change{
		addr: e.addr, port: e.port, stamp: e.stamp, origin: e.origin, age: n.since(e.seen),
		kind: e.kind, id: e.id, key: e.key, left: e.left, uploaded: e.uploaded, downloaded: e.downloaded,
	}
	switch e.state {
	case gone:
		removed := uint32(e.left)
		c.what, c.kind, c.age, c.older = whatGone, 0, n.since(removed), uint64(removed-e.seen)
		c.id, c.key, c.left = bittorrent.PeerID{}, 0, 0
	case counts:
		c.what, c.kind = whatCount, 0
	}
	return c
}

// refuseStamp leaves out a change from the future. A neighbour that took it, by its
// own clock, against the rules is not listened to any more.
func (n *Node) refuseStamp(s *session, c *change) verdict {
	n.figures.Refused++
	s.figures.Refused++
	if c.stamp.milli() > n.wall+max(s.skew, s.nearest)+maxAhead+clockSlack {
		n.close(s, Reason{Code: ReasonClock, Words: "the link sends changes that are more than 26 h in the future by " +
			"its own clock: set the clocks of both trackers"})
		return dropped
	}
	if !s.refusedSaid {
		s.refusedSaid = true
		n.event(s, Event{Kind: StampRefused, Words: "changes more than 26 h in the future are left out: " +
			"a tracker behind this link has a wrong clock"})
	}
	return dropped
}
