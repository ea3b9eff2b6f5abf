package core

// tend does what is due of a session.
func (n *Node) tend(s *session) {
	switch {
	case n.ms-s.heard >= silentFor, !s.up && n.ms-s.opened >= silentFor:
		n.close(s, Reason{Code: ReasonSilent, Words: "nothing was heard of the other end for 8 s: the connection is half open, " +
			"or that tracker stands still"})
		return
	case !s.up:
		return
	case !s.flying.empty() && n.ms-s.flying.progress >= silentFor:
		n.close(s, Reason{Code: ReasonSilent, Words: "the other end has acknowledged nothing for 8 s: the connection is half " +
			"open one way, or that tracker is overloaded"})
		return
	}
	if s.unacked > 0 {
		n.sendAck(s)
	}
	if n.ms >= s.nextBeat {
		n.flush(s, 1)
		n.sendBeat(s)
	}
	if s.capped && n.hasRoomAgain(s) {
		s.capped, s.heal.quiet = false, 0
	}
	n.tendHeal(s)
}

// sendBeat sends a heartbeat.
func (n *Node) sendBeat(s *session) {
	s.nextBeat = n.ms + beatEvery
	h := heartbeat{ack: s.latest, clock: n.wall, interest: s.theirNumber, entries: uint64(n.live)}
	if s.o.Send && s.hello.wants != modeNone {
		h.told, h.all, h.flags = n.toldRoot(s), n.all.root(), beatTold
		if s.waiting.n > 0 {
			h.flags = 0
		}
		if s.tellsAll {
			h.flags |= beatAll
		}
		if s.overflowed {
			h.flags |= beatDropped
			s.overflowed = false
		}
	}
	s.unacked = 0
	n.send(s, h.append(begin(kindHeartbeat, 48)), passing)
}

func (n *Node) toldRoot(s *session) uint64 {
	if s.tellsAll {
		return n.all.root() ^ s.to.from.root()
	}
	return s.told.root()
}

// maxStrays is how many heartbeats may follow an older interest before it is sent
// again: they were under way.
const maxStrays = 2

// hearBeat compares what the other end has told with what came.
func (n *Node) hearBeat(s *session, body []byte) error {
	h, err := readHeartbeat(body)
	if err != nil {
		return err
	}
	s.figures.Theirs = int(min(h.entries, 1<<40))
	s.skew = h.clock - n.wall
	n.transit(s, h.clock)
	if !n.goodClock(s) {
		return nil
	}
	n.release(s, h.ack)
	if s.closed || !s.o.Receive {
		return nil
	}
	if !n.sameInterest(s, h.interest) {
		return nil
	}
	switch {
	case h.flags&beatDropped != 0:
		n.startHeal(s, "the other end had too much to tell")
	case h.flags&beatTold == 0 || s.heal.active || s.capped:
	case h.told == s.to.from.root() || n.comparesAll(s, h.flags) && h.all == n.all.root():
		s.heal.alarms, s.heal.quiet = 0, 0
	default:
		s.figures.Mismatches++
		n.healSoon(s, "the digests differ")
	}
	return nil
}

// comparesAll reports whether both ends should have the same.
func (n *Node) comparesAll(s *session, flags uint8) bool {
	return flags&beatAll != 0 && n.wantsOf(s) == modeAll
}

// sameInterest reports whether the other end follows this node's interest, and
// sends it again if that got lost.
func (n *Node) sameInterest(s *session, version uint32) bool {
	if n.wantsOf(s) != modeList {
		return true
	}
	if !s.ours.done() {
		return false
	}
	if version == s.ours.version {
		s.ours.strays = 0
		return true
	}
	if s.ours.strays++; s.ours.strays > maxStrays {
		s.ours.reset()
		n.startHeal(s, "the list of torrents was lost")
	}
	return false
}
