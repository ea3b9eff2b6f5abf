package core

import (
	"encoding/binary"
	"slices"
)

// Bounds of what is under way, in bytes.
const (
	maxWindow = 1 << 20  // not acknowledged
	minWindow = 32 << 10 // the same over a slow link
	ackBytes  = 64 << 10 // received before they are acknowledged at once
)

// eager is how many changes wait before they are sent without waiting for others.
const eager = 512

// batchLen is the most changes of a batch.
const batchLen = 512

// maxFiles is the most messages about files that wait for a link.
const maxFiles = 64

// way is how a message counts.
type way uint8

const (
	windowed way = iota // until it is acknowledged
	passing             // not: it is small, and few
)

// begin makes a message of about so many bytes.
func begin(k kind, size int) []byte {
	b := make([]byte, 0, size+8)
	return append(b, byte(k), 0, 0, 0, 0)
}

// send sends a message with the next sequence number.
func (n *Node) send(s *session, b []byte, w way) {
	s.seq++
	binary.BigEndian.PutUint32(b[1:], s.seq)
	s.figures.BytesOut += uint64(len(b))
	if w == windowed {
		s.flying.add(s.seq, len(b), n.ms)
	}
	n.host.Send(s.id, b)
}

// release takes in an acknowledgement.
func (n *Node) release(s *session, ack uint32) {
	took := s.flying.land(min(ack, s.seq), n.ms)
	if took >= 0 {
		s.figures.lag(took)
		s.fit(took, n.ms)
		n.flush(s, eager)
	}
}

// slowLag is for how long a message may be under way before less is let fly, and
// fastLag before more is, in milliseconds.
const (
	slowLag = 2000
	fastLag = 500
)

// fit lets so much fly that a slow link does not hold it for long: what waits here
// instead is told as it is then, and once.
func (s *session) fit(took, now int64) {
	switch {
	case took > slowLag && now-s.fitted > slowLag:
		s.window, s.fitted = max(s.window/2, minWindow), now
	case took < fastLag:
		s.window = min(s.window+minWindow, maxWindow)
	}
}

// transit returns for how many milliseconds longer than others a message was under
// way that was sent at this time by the clock of the other end.
func (n *Node) transit(s *session, clock int64) int64 {
	skew := clock - n.wall
	late := s.nearest - skew
	if late < 0 || late > maxTransit {
		s.nearest, late = skew, 0 // or a clock was set
	}
	return late
}

// maxTransit bounds that, in milliseconds.
const maxTransit = 60_000

func (n *Node) sendAck(s *session) {
	b := binary.BigEndian.AppendUint32(begin(kindAck, 4), s.latest)
	s.unacked = 0
	n.send(s, b, passing)
}

// mark makes an entry that changed wait for all links that are told of it.
func (n *Node) mark(i uint32, t *torrent, whole bool) {
	via := n.entry(i).via
	for _, s := range n.sessions {
		if s.up && s.to.slot != via && s.tells(&t.hash) {
			n.wait(s, i, whole)
		}
	}
}

// wait makes an entry wait for a link. Where too many do, all are dropped: the other
// end is told to heal.
func (n *Node) wait(s *session, i uint32, whole bool) {
	if s.waiting.size() < n.o.MaxWaiting {
		s.waiting.add(i, whole)
		return
	}
	s.waiting.clear()
	s.figures.Overflows++
	if !s.overflowed {
		s.overflowed = true
		n.event(s, Event{Kind: Overflowed, Words: "changes come faster than the link takes them: " +
			"what waited is compared when there is room"})
	}
}

// flushAll sends what waits for any link, if as many do.
func (n *Node) flushAll(least int) {
	for _, s := range n.sessions {
		if s.waiting.n >= least || len(s.answers) > 0 || len(s.files) > 0 || !s.ours.done() || s.heal.ready() {
			n.flush(s, least)
		}
	}
}

// flush sends what waits for a link as far as the window allows.
func (n *Node) flush(s *session, least int) {
	for s.up && s.flying.bytes < s.window {
		sent := n.sendInterest(s) || n.sendFile(s)
		// Neither changes nor answers keep the other waiting.
		s.batchNext = !s.batchNext
		if s.batchNext {
			sent = n.sendBatch(s, least) || n.sendAnswer(s) || sent
		} else {
			sent = n.sendAnswer(s) || n.sendBatch(s, least) || sent
		}
		if !sent {
			break
		}
	}
	if s.up && s.overflowed && s.flying.bytes < s.window/2 {
		n.sendBeat(s)
	}
	n.pump(s)
}

func (n *Node) sendFile(s *session) bool {
	if len(s.files) == 0 {
		return false
	}
	n.send(s, s.files[0], windowed)
	s.files = append(s.files[:0], s.files[1:]...)
	return true
}

// sendBatch sends the next batch, if as many changes wait.
func (n *Node) sendBatch(s *session, least int) bool {
	if s.waiting.n < least || s.waiting.n == 0 {
		return false
	}
	most := min(batchLen, s.sendTokens.room(n.ms))
	if most <= 0 {
		return false
	}
	// Sorted by torrent, so that each hash is written once. Bit 0: all of it.
	n.pairs = n.pairs[:0]
	for len(n.pairs) < most {
		i, whole := s.waiting.next()
		if i == 0 {
			break
		}
		pair := uint64(n.entry(i).torrent)<<32 | uint64(i)<<1
		if whole {
			pair |= 1
		}
		n.pairs = append(n.pairs, pair)
	}
	slices.Sort(n.pairs)
	b := begin(kindBatch, 64*len(n.pairs)+64)
	b = binary.AppendUvarint(b, uint64(n.wall))
	n.origins.reset()
	changes := 0
	for first := 0; first < len(n.pairs); {
		t := uint32(n.pairs[first] >> 32)
		last := first + 1
		for last < len(n.pairs) && uint32(n.pairs[last]>>32) == t {
			last++
		}
		if r := n.torrent(t); s.tells(&r.hash) {
			b = append(b, r.hash[:]...)
			b = binary.AppendUvarint(b, uint64(last-first))
			for _, pair := range n.pairs[first:last] {
				b = n.appendEntry(b, uint32(pair>>1)&(1<<31-1), pair&1 != 0)
			}
			changes += last - first
		}
		first = last
	}
	if changes == 0 {
		return true
	}
	s.sendTokens.take(changes)
	s.figures.ChangesOut += uint64(changes)
	s.figures.BatchBytes += uint64(len(b))
	n.send(s, b, windowed)
	return true
}

// appendEntry writes an entry; not whole: as a refresh, where it is a peer.
func (n *Node) appendEntry(b []byte, i uint32, whole bool) []byte {
	e := n.entry(i)
	c := n.changeOf(e)
	if !whole && c.what == whatPut {
		c.what, c.check = whatRefresh, check(&e.id, e.key)
	}
	return c.append(b, n.wall, &n.origins)
}

// hearBatch takes in changes.
func (n *Node) hearBatch(s *session, body []byte) error {
	r := reader{b: body}
	base := r.milli(r.uvarint())
	late := uint64(n.transit(s, base)) * ticks / 1000
	heard := 0
	lacks := false
	n.origins.reset()
	for len(r.b) > 0 && !s.closed {
		h := r.hash()
		count := r.uvarint()
		wanted := n.wants(s, &h)
		t := n.lookup(h)
		for ; count > 0 && !r.bad && !s.closed; count-- {
			c := &n.heard
			c.read(&r, base, &n.origins)
			if r.bad {
				break
			}
			heard++
			c.age += late
			switch {
			case !wanted:
				s.figures.Refused++
			case n.hear(s, &t, h, c) == unknown:
				lacks = true
			}
		}
	}
	s.figures.ChangesIn += uint64(heard)
	if !s.closed {
		n.charge(s, heard)
	}
	if lacks && !s.closed && !s.capped && !s.heal.active {
		n.healSoon(s, "a peer is not known here")
	}
	return r.end()
}

// charge counts changes towards what the link may bring.
func (n *Node) charge(s *session, changes int) {
	room := s.tokens.room(n.ms)
	s.tokens.take(changes)
	if changes <= room {
		return
	}
	n.block(s, "more changes came through the link than it may bring: it may come back in a minute; "+
		"raise its limit if they are real")
}

// block closes a link for a minute.
func (n *Node) block(s *session, words string) {
	s.to.blocked, s.to.blockedWhy = n.ms+blockedFor, words
	n.close(s, Reason{Code: ReasonRate, Words: words})
}
