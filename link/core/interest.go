package core

import (
	"bytes"
	"slices"

	"waggle/bittorrent"
)

// maxInterest is the most torrents that an end may list.
const maxInterest = 1_000_000

// maxOps is the most changes of an interest that wait; beyond it all of it is sent.
const maxOps = 4096

// interests is what this end wants of a session, as far as it was not sent.
type interests struct {
	version uint32
	list    []bittorrent.InfoHash // all of it, in order
	sent    int                   // of list; -1: not yet begun
	whole   bool                  // list is to be sent
	ops     []interestChange
	strays  int // heartbeats in a row that said another version
}

type interestChange struct {
	op   interestOp
	hash bittorrent.InfoHash
}

func (i *interests) done() bool { return !i.whole && len(i.ops) == 0 }

// reset sends all of the interest, as it is when the first of it is sent.
func (i *interests) reset() {
	i.list, i.ops, i.whole, i.sent, i.strays = nil, i.ops[:0], true, -1, 0
}

// begin lists the interest.
func (i *interests) begin(n *Node, s *session) {
	i.sent = 0
	source := n.held
	if !n.o.Listed || n.o.Relay {
		source = s.rights
	}
	for h := range source {
		if n.wants(s, &h) {
			i.list = append(i.list, h)
		}
	}
	slices.SortFunc(i.list, func(a, b bittorrent.InfoHash) int { return bytes.Compare(a[:], b[:]) })
}

// wantsOf returns how much this node wants through a link.
func (n *Node) wantsOf(s *session) mode {
	switch {
	case !s.o.Receive:
		return modeNone
	case s.rights == nil && (!n.o.Listed || n.o.Relay):
		return modeAll
	}
	return modeList
}

func offersOf(s *session) mode {
	switch {
	case !s.o.Send:
		return modeNone
	case s.rights == nil:
		return modeAll
	}
	return modeList
}

// wants reports whether this node takes in what a link says of a torrent.
func (n *Node) wants(s *session, h *bittorrent.InfoHash) bool {
	if !s.o.Receive || !s.may(h) {
		return false
	}
	return n.o.Relay || n.holds(h)
}

// may reports whether a torrent may cross the link.
func (s *session) may(h *bittorrent.InfoHash) bool {
	if s.rights == nil {
		return true
	}
	_, ok := s.rights[*h]
	return ok
}

// tells reports whether the other end is told of a torrent.
func (s *session) tells(h *bittorrent.InfoHash) bool {
	if s.tellsAll {
		return true
	}
	if !s.up || !s.o.Send || s.hello.wants == modeNone || !s.may(h) {
		return false
	}
	if s.hello.wants == modeAll {
		return true
	}
	_, ok := s.theirs[*h]
	return ok
}

// wantAll changes the interest in a torrent on all links.
func (n *Node) wantAll(h bittorrent.InfoHash, op interestOp) {
	for _, s := range n.sessions {
		if !s.up || !s.o.Receive || !s.may(&h) {
			continue
		}
		switch {
		case s.ours.whole && s.ours.sent < 0:
			// It will be in the list.
		case len(s.ours.ops) >= maxOps:
			s.ours.reset()
		default:
			s.ours.ops = append(s.ours.ops, interestChange{op: op, hash: h})
		}
	}
}

// sendInterest sends the next message of the interest, and reports whether there
// was one.
func (n *Node) sendInterest(s *session) bool {
	o := &s.ours
	m := interest{version: o.version + 1, op: interestSet}
	switch {
	case o.whole:
		if o.sent >= 0 {
			m.op = interestMore
		} else {
			o.begin(n, s)
		}
		next := min(o.sent+interestChunk, len(o.list))
		for _, h := range o.list[o.sent:next] {
			m.hashes = append(m.hashes, h[:]...)
		}
		if o.sent = next; next == len(o.list) {
			o.whole, o.list = false, nil
		}
	case len(o.ops) > 0:
		m.op = o.ops[0].op
		taken := 0
		for ; taken < min(len(o.ops), interestChunk) && o.ops[taken].op == m.op; taken++ {
			m.hashes = append(m.hashes, o.ops[taken].hash[:]...)
		}
		o.ops = append(o.ops[:0], o.ops[taken:]...)
	default:
		return false
	}
	o.version++
	n.send(s, m.append(begin(kindInterest, len(m.hashes)+16)), windowed)
	return true
}

// hearInterest takes in what the other end wants.
func (n *Node) hearInterest(s *session, body []byte) error {
	m, err := readInterest(body)
	if err != nil || s.hello.wants != modeList {
		return errGarbled
	}
	if m.op != interestSet && m.version != s.theirNumber+1 {
		return nil // one was lost: their heartbeats and ours tell
	}
	s.theirNumber = m.version
	if m.op == interestSet || s.theirs == nil {
		s.theirs, s.told = map[bittorrent.InfoHash]struct{}{}, digests{}
	}
	for b := m.hashes; len(b) > 0; b = b[hashLen:] {
		h := bittorrent.InfoHash(b)
		_, had := s.theirs[h]
		switch {
		case m.op == interestRemove && had:
			n.tellTorrent(s, h)
			delete(s.theirs, h)
		case m.op != interestRemove && !had:
			s.theirs[h] = struct{}{}
			n.tellTorrent(s, h)
			if m.op == interestAdd {
				n.markTorrent(s, h)
			}
		}
	}
	switch {
	case len(s.theirs) > maxInterest:
		n.close(s, Reason{Code: ReasonBounds, Words: "the link asks for more than a million torrents by name: " +
			"let that tracker hold all torrents"})
	case s.looks.room(n.ms) < -max(looksASecond*looksOver, 8*int(n.topEntry)):
		n.block(s, "the link says over and over which torrents it wants: it may come back in a minute; "+
			"if it is no mistake of that tracker, drop it")
	}
	return nil
}

// tellListed computes what was told from scratch, where it is not everything.
func (n *Node) tellListed(s *session) {
	s.told = digests{}
	switch {
	case !s.o.Send || s.hello.wants != modeAll:
	case s.rights != nil:
		for h := range s.rights {
			n.tellTorrent(s, h)
		}
	}
}

// tellTorrent puts a torrent into the digests of what was told, or takes it out.
func (n *Node) tellTorrent(s *session, h bittorrent.InfoHash) {
	if t := n.lookup(h); t != 0 && s.tells(&h) {
		told, _, _ := n.sum(t, s.to.slot)
		s.looks.take(int(n.torrent(t).size))
		s.told[h[0]] ^= told
	}
}

// sum returns the digests of a torrent's entries but those through a link, of all,
// and how many the first are of, those that left included.
func (n *Node) sum(t uint32, via uint16) (told, all uint64, size int) {
	r := n.torrent(t)
	for i := r.first; i != 0; {
		e := n.entry(i)
		i = e.next
		if e.via != via {
			size++
		}
		if e.state == gone {
			continue
		}
		d := e.digest(e.placeOf(r.seed))
		all ^= d
		if e.via != via {
			told ^= d
		}
	}
	return told, all, size
}

// markTorrent makes all that a torrent has wait for a link.
func (n *Node) markTorrent(s *session, h bittorrent.InfoHash) {
	t := n.lookup(h)
	if t == 0 || !s.tells(&h) {
		return
	}
	for i := n.torrent(t).first; i != 0; i = n.entry(i).next {
		if n.entry(i).via != s.to.slot {
			n.wait(s, i, true)
		}
	}
}
