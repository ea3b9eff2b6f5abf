package core

// hasRoom reports whether a change may come through the link. t is the number of its
// torrent, or 0; e is what is known of its peer or counter, or nil.
func (n *Node) hasRoom(s *session, t uint32, w what, e *entry) bool {
	half := (n.o.MaxPeers + 1) / 2 // no link alone takes the room of others
	switch {
	case w == whatGone:
		return e != nil || n.departed < n.o.MaxPeers && s.to.departed < half
	case w == whatCount && (e != nil || n.counters < n.o.MaxPeers && s.to.counters < half && n.counts(t) < maxCounters):
		return true
	case w == whatCount:
		n.figures.NoRoom++
		return false
	}
	there := e != nil && e.state == live
	if !there && n.isFull() {
		n.noRoom()
		s.capped = true
		return false
	}
	if s.o.MaxPeers == 0 || s.to.peers < s.o.MaxPeers || there && n.broughtBy(e) == s.to {
		return true
	}
	s.figures.Capped++
	if !s.capped {
		s.capped = true
		n.event(s, Event{Kind: Capped, Words: "the link has brought as many peers as it may: new ones are left out " +
			"until others leave; raise its limit, or revoke it if they are not real"})
	}
	return false
}

// counts returns how many counters a torrent has; 0 is none.
func (n *Node) counts(t uint32) uint32 {
	if t == 0 {
		return 0
	}
	return n.torrent(t).counters
}

// isFull reports whether the node keeps as many peers as it may.
func (n *Node) isFull() bool {
	return n.live >= n.o.MaxPeers || n.live+n.departed >= 3*n.o.MaxPeers
}

// isRoomy reports whether the node keeps clearly less peers than it may, so that what
// follows from being full does not follow over and over.
func (n *Node) isRoomy() bool {
	return n.live*10 < n.o.MaxPeers*9 && (n.live+n.departed)*10 < 3*n.o.MaxPeers*9
}

// hasRoomAgain reports whether a link that had as many peers as it may, or whose node
// had, has clearly less.
func (n *Node) hasRoomAgain(s *session) bool {
	return n.isRoomy() && (s.o.MaxPeers == 0 || s.to.peers*10 < s.o.MaxPeers*9)
}

// noRoom leaves out a peer of this node, or of any link.
func (n *Node) noRoom() {
	n.figures.NoRoom++
	if !n.full {
		n.full = true
		n.host.Happened(Event{Kind: TableFull, Words: "this node keeps as many peers as it may: " +
			"new ones are not told to linked trackers until others leave; raise the limit of peers"})
	}
}
