package core

import (
	"errors"
	"fmt"
	"time"

	"waggle/bittorrent"
)

// LinkOptions say what the other end of a connection may do.
type LinkOptions struct {
	// Name is the neighbour's, and the same whenever it connects. What came through
	// its link is known by it.
	Name string

	// Receive: what it says is taken in. Send: it is told what this node has.
	Receive, Send bool

	// Torrents are those that may cross the link; nil: all.
	Torrents []bittorrent.InfoHash

	// FilesIn and FilesOut: messages about .torrent files are taken, or sent.
	FilesIn, FilesOut bool

	// MaxPeers is the most peers that the link may bring; 0: any number.
	MaxPeers int

	// MaxChanges is the most changes a second that it may bring, over 10 s; what is
	// asked for to heal does not count. The other end is told, and keeps to it. 0: any
	// number.
	MaxChanges int
}

// Times of a session, in milliseconds.
const (
	beatEvery  = 2000
	silentFor  = 8000
	blockedFor = 60_000
)

// neighbour is the other end of a link, connected or not.
type neighbour struct {
	name       string
	slot       uint16
	origin     Origin  // its latest life; 0: none yet
	from       digests // of what came through the link in that
	session    *session
	blocked    int64 // ms until which it may not connect
	blockedWhy string
	peers      int // live, that came through the link in any life
	departed   int // the same of those that left
	counters   int
}

// session is one connection.
type session struct {
	id      LinkID
	to      *neighbour
	o       LinkOptions
	rights  map[bittorrent.InfoHash]struct{} // nil: all
	closed  bool
	opened  int64 // ms
	heard   int64 // ms, the latest message
	figures Traffic

	// Greeting.
	up       bool
	hello    hello // theirs
	skew     int64 // their clock before ours, ms
	nearest  int64 // the most that it was: messages were not under way for longer than it seems
	tellsAll bool  // up, and every change is for them

	// What is sent.
	seq         uint32 // latest sent
	flying      flights
	window      int   // bytes that may fly
	fitted      int64 // ms: when that was made less
	waiting     waiting
	overflowed  bool // what waited was dropped, and they were not told yet
	nextBeat    int64
	sendTokens  allowance
	files       [][]byte
	answers     []answering
	lastHeal    uint32    // greatest heal that they asked in
	looks       allowance // entries that may be looked at for the other end
	batchNext   bool      // before an answer
	told        digests
	theirs      map[bittorrent.InfoHash]struct{} // what they want, where they want a list
	theirNumber uint32                           // version of it

	// What is received.
	latest      uint32 // greatest sequence number
	unacked     int    // bytes since
	tokens      allowance
	garbled     int
	capped      bool
	refusedSaid bool
	ours        interests
	heal        healing
}

// Open takes in a connection that is there now, and greets the other end. One that
// the same neighbour has is closed. The connection may be closed before Open
// returns, then with its number.
func (n *Node) Open(now time.Time, o LinkOptions) LinkID {
	n.at(now)
	n.lastLink++
	s := &session{id: n.lastLink, o: o, opened: n.ms, heard: n.ms, nextBeat: n.ms + beatEvery}
	to := n.byName[o.Name]
	switch {
	case to == nil && len(n.neighbours) >= maxNeighbours:
		n.host.Close(s.id, Reason{Code: ReasonBounds, Words: "this node has had too many links: start it again"})
		return s.id
	case to == nil:
		to = &neighbour{name: o.Name, slot: uint16(2 * len(n.neighbours))}
		n.neighbours = append(n.neighbours, to)
		n.byName[o.Name] = to
	case to.blocked > n.ms:
		y := bye{code: ReasonRate, words: to.blockedWhy}
		n.host.Send(s.id, y.message())
		n.host.Close(s.id, Reason{Code: y.code, Words: y.words})
		return s.id
	case to.session != nil:
		n.close(to.session, Reason{Code: ReasonReplaced, Words: "the same neighbour has connected again: " +
			"if two trackers use one invitation, make another one"})
	}
	s.to, to.session = to, s
	if o.Torrents != nil {
		s.rights = make(map[bittorrent.InfoHash]struct{}, len(o.Torrents))
		for _, h := range o.Torrents {
			s.rights[h] = struct{}{}
		}
	}
	s.tokens = newAllowance(float64(o.MaxChanges), 10*float64(o.MaxChanges), n.ms)
	n.sessions = append(n.sessions, s)
	h := hello{
		origin: n.o.Origin, clock: n.wall, wants: n.wantsOf(s), offers: offersOf(s), rate: uint64(max(o.MaxChanges, 0)),
		name: n.o.Name, software: n.o.Software,
	}
	n.host.Send(s.id, h.message())
	return s.id
}

// Shut says that a connection is gone.
func (n *Node) Shut(now time.Time, link LinkID) {
	n.at(now)
	if s := n.session(link); s != nil {
		n.end(s, Reason{Code: ReasonShut, Words: "the connection is gone"})
	}
}

func (n *Node) session(link LinkID) *session {
	for _, s := range n.sessions {
		if s.id == link {
			return s
		}
	}
	return nil
}

// close ends a session of this node's own accord, and lets the other end know why.
func (n *Node) close(s *session, why Reason) {
	if s.closed {
		return
	}
	if !why.Told && why.Code != ReasonSilent {
		y := bye{code: why.Code, words: why.Words}
		n.host.Send(s.id, y.message())
	}
	n.end(s, why)
	n.host.Close(s.id, why)
}

// end forgets a session. What came through it stays.
func (n *Node) end(s *session, why Reason) {
	s.closed, s.up, s.tellsAll = true, false, false
	s.to.session = nil
	n.sessions = without(n.sessions, s)
	n.listed = without(n.listed, s)
	n.event(s, Event{Kind: LinkDown, Code: why.Code, Words: why.Words})
}

func without(all []*session, s *session) []*session {
	var kept []*session
	for _, other := range all {
		if other != s {
			kept = append(kept, other)
		}
	}
	return kept
}

func (n *Node) event(s *session, e Event) {
	e.Link, e.Name = s.id, s.to.name
	n.host.Happened(e)
}

// Receive takes in a message from the other end of a link. The message is the
// caller's again when Receive returns, but for the data of a [FileMessage].
func (n *Node) Receive(now time.Time, link LinkID, message []byte) {
	n.at(now)
	s := n.session(link)
	if s == nil || len(message) == 0 {
		return
	}
	s.heard = n.ms
	s.figures.BytesIn += uint64(len(message))
	body := message[1:]
	switch k := kind(message[0]); {
	case k == kindBye:
		n.hearBye(s, body)
	case k == kindHello:
		n.hearHello(s, body)
	case !s.up:
		// It is of no use before their greeting.
	case len(message) > MaxMessage || len(body) < 4:
		n.spoilt(s)
	default:
		n.receive(s, k, body)
	}
	n.flushAll(eager)
}

func (n *Node) receive(s *session, k kind, body []byte) {
	r := reader{b: body}
	seq := r.u32()
	if seq <= s.latest {
		return // a repeated one
	}
	if gap := seq != s.latest+1; gap {
		s.figures.Gaps++
		n.startHeal(s, "messages were lost")
	}
	s.latest = seq
	var err error
	switch k {
	case kindAck:
		ack := r.u32()
		if err = r.end(); err == nil {
			n.release(s, ack)
		}
	case kindHeartbeat:
		err = n.hearBeat(s, r.b)
	case kindInterest:
		err = n.hearInterest(s, r.b)
	case kindAsk:
		err = n.hearAsk(s, r.b)
	case kindBatch:
		err = n.hearBatch(s, r.b)
	case kindBuckets, kindPage, kindParts, kindListing:
		err = n.hearAnswer(s, k, r.b)
	case kindFile:
		err = n.hearFile(s, r.b)
	default:
		err = errGarbled
	}
	if err != nil && !s.closed {
		n.spoilt(s)
	}
	if k != kindAck && k != kindHeartbeat && k != kindAsk {
		s.unacked += len(body)
	}
	if s.unacked >= ackBytes && !s.closed {
		n.sendAck(s)
	}
}

// maxGarbled is the most messages of a session that cannot be read.
const maxGarbled = 8

// spoilt counts a message that cannot be read.
func (n *Node) spoilt(s *session) {
	s.garbled++
	s.figures.Garbled++
	if s.garbled > maxGarbled {
		n.close(s, Reason{Code: ReasonGarbled, Words: "too many messages of the link cannot be read: " +
			"something between the trackers damages them, or the other one is not a waggle"})
		return
	}
	n.startHeal(s, "a message cannot be read")
}

func (n *Node) hearBye(s *session, body []byte) {
	y, err := readBye(body)
	if err != nil {
		y.words = "no words"
	}
	n.close(s, Reason{Code: min(y.code, reasons), Words: "the other end closed the link: " + y.words, Told: true})
}

func (n *Node) hearHello(s *session, body []byte) {
	if s.up {
		return
	}
	h, err := readHello(body)
	var version versionError
	switch {
	case errors.As(err, &version):
		remedy := "update the other tracker, " + s.to.name
		if version > Version {
			remedy = "update this tracker, which is linked with " + s.to.name
		}
		n.close(s, Reason{Code: ReasonVersion, Words: fmt.Sprintf("%v: %s", err, remedy)})
		return
	case err != nil:
		n.close(s, Reason{Code: ReasonGarbled, Words: "the other end does not greet as a waggle does"})
		return
	case h.origin == n.o.Origin:
		n.close(s, Reason{Code: ReasonSelf, Words: "the link leads back to this tracker: drop it"})
		return
	}
	s.skew = h.clock - n.wall
	s.nearest = s.skew
	if !n.goodClock(s) {
		return
	}
	if s.to.origin != 0 && s.to.origin != h.origin {
		n.orphan(s.to)
	}
	s.to.origin, s.hello = h.origin, h
	n.establish(s)
}

// centuryMilli is about a century in milliseconds: the clock of a neighbour may say
// what a Duration does not hold.
const centuryMilli = 100 * 365 * 24 * 3600 * 1000

// goodClock closes the session if the clocks are too far apart.
func (n *Node) goodClock(s *session) bool {
	apart := max(s.skew, -s.skew)
	if apart <= maxAhead {
		return true
	}
	words := "a century or more"
	if apart < centuryMilli {
		words = (time.Duration(apart) * time.Millisecond).Round(time.Minute).String()
	}
	n.close(s, Reason{Code: ReasonClock, Words: "the clocks of the two trackers are " + words + " apart: set them"})
	return false
}

// establish begins what a session is for.
func (n *Node) establish(s *session) {
	s.up, s.window = true, maxWindow
	s.tellsAll = s.o.Send && s.rights == nil && s.hello.wants == modeAll
	s.flying.progress = n.ms
	s.looks = newAllowance(looksASecond, looksASecond*looksOver, n.ms)
	s.heal.brings = newAllowance(10*float64(s.o.MaxChanges), listedAtOnce, n.ms)
	rate := 0.9 * float64(s.hello.rate)
	s.sendTokens = newAllowance(rate, rate, n.ms)
	if !s.tellsAll {
		n.listed = append(n.listed, s)
		n.tellListed(s)
	}
	n.event(s, Event{Kind: LinkUp, Words: s.hello.name + ", " + s.hello.software})
	if n.wantsOf(s) == modeList {
		s.ours.reset()
	}
	n.startHeal(s, "the link is new")
}

// orphan makes what came through the link of a neighbour that has lived again since
// something that it is to be told like all else. It counts towards what the link may
// bring, and is revoked with it, all the same.
func (n *Node) orphan(to *neighbour) {
	for i := uint32(1); i <= n.topEntry; i++ {
		if e := n.entry(i); e.via == to.slot && e.state != free {
			e.via |= viaFormer
		}
	}
	to.from = digests{}
}

func (n *Node) hearFile(s *session, body []byte) error {
	f, err := readFile(body)
	if err != nil {
		return err
	}
	if !s.o.FilesIn || !s.may(&f.Hash) {
		s.figures.Refused++
		return nil
	}
	n.host.File(s.id, f)
	return nil
}
