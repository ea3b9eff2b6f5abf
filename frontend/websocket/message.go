package websocket

import "waggle/bittorrent"

// Faults of a message.
const (
	errJSON     bittorrent.Error = "a message is one JSON object"
	errAction   bittorrent.Error = "action: want announce or scrape"
	errInfoHash bittorrent.Error = "info_hash: want a string of 20 characters, each of them a byte"
	errPeerID   bittorrent.Error = "peer_id: want a string of 20 characters, each of them a byte"
	errToPeerID bittorrent.Error = "to_peer_id: want a string of 20 characters, each of them a byte"
	errOffers   bittorrent.Error = "offers: want a list of objects with an object offer and a string offer_id"
	errAnswer   bittorrent.Error = "answer: want an object"
	errOfferID  bittorrent.Error = "offer_id: want a string, beside an answer"
	errNumber   bittorrent.Error = "uploaded, downloaded and left: want whole numbers of bytes"
)

// action is what a message asks for.
type action uint8

const (
	unknown action = iota
	announce
	scrape
)

// maxOffers is how many offers of one announce are passed on: a client with more than
// that at a time has other things to do.
const maxOffers = 10

// offer is what a browser may connect to another with, as it was written.
type offer struct{ body, id []byte }

// message is what a client sends. Its slices lie in the text that it was parsed from;
// what it has of its own is used again by the next parse.
type message struct {
	action     action
	hashes     []bittorrent.InfoHash // one of an announce
	peer       bittorrent.PeerID
	uploaded   int64
	downloaded int64
	left       int64
	event      bittorrent.Event
	offers     []offer // of an announce, at most maxOffers

	answer  []byte // to an offer; nil: this is none
	offerID []byte // that it answers
	to      bittorrent.PeerID

	seen  uint16 // fields that were there
	wrong error  // with the first that was
}

// isAnswer tells whether the message answers an offer.
func (m *message) isAnswer() bool { return m.answer != nil }

// parse reads a message. A session description is not looked into, but for being JSON.
// At most maxHashes torrents can be scraped. The error is a [bittorrent.Error]; action
// and torrents are as far as they were understood.
func (m *message) parse(in []byte, maxHashes int) error {
	*m = message{hashes: m.hashes[:0], offers: m.offers[:0], left: bittorrent.LeftUnknown}
	s := scanner{left: in}
	if !s.members(func(name []byte) bool { return m.field(&s, name, maxHashes) }) || s.next() != 0 {
		return errJSON
	}
	if m.wrong != nil {
		return m.wrong
	}
	return m.check()
}

// check says what is missing in a message whose fields are right.
func (m *message) check() error {
	switch {
	case m.action == unknown:
		return errAction
	case m.action == scrape && len(m.hashes) == 0:
		return bittorrent.ErrScrapeEmpty
	case m.action == scrape:
		return nil
	case len(m.hashes) != 1:
		return errInfoHash
	case m.seen&hasPeerID == 0:
		return errPeerID
	case m.isAnswer() && m.offerID == nil:
		return errOfferID
	case m.isAnswer() && m.seen&hasToPeerID == 0:
		return errToPeerID
	}
	return nil
}

// Fields that are read, each at most once.
const (
	hasAction = 1 << iota
	hasInfoHash
	hasPeerID
	hasUploaded
	hasDownloaded
	hasLeft
	hasEvent
	hasOffers
	hasAnswer
	hasOfferID
	hasToPeerID
)

// field reads the value of a field. ok is false where it is not JSON; what is wrong with
// a value that is JSON is kept, and the rest read for the action and the torrent.
func (m *message) field(s *scanner, name []byte, maxHashes int) (ok bool) {
	bit := fieldOf(plain(name))
	if bit == hasOffers && m.seen&bit == 0 && s.next() == '[' {
		m.seen |= bit
		return m.readOffers(s)
	}
	raw, ok := s.value()
	switch {
	case !ok || bit == 0 || string(raw) == "null":
		return ok
	case m.seen&bit != 0:
		m.fault(bittorrent.ErrRepeated)
		return true
	}
	m.seen |= bit
	switch bit {
	case hasAction:
		m.setAction(raw)
	case hasInfoHash:
		m.setHashes(raw, maxHashes)
	case hasPeerID:
		m.setBytes(m.peer[:], raw, errPeerID)
	case hasToPeerID:
		m.setBytes(m.to[:], raw, errToPeerID)
	case hasUploaded:
		m.setNumber(&m.uploaded, raw)
	case hasDownloaded:
		m.setNumber(&m.downloaded, raw)
	case hasLeft:
		m.setNumber(&m.left, raw)
	case hasEvent:
		m.setEvent(raw)
	case hasOffers:
		m.fault(errOffers)
	case hasAnswer:
		m.setAnswer(raw)
	case hasOfferID:
		if m.offerID = raw; raw[0] != '"' {
			m.fault(errOfferID)
		}
	}
	return true
}

// fieldOf returns the bit of a field; 0: it is passed over.
func fieldOf(name string) uint16 {
	switch name {
	case "action":
		return hasAction
	case "info_hash":
		return hasInfoHash
	case "peer_id":
		return hasPeerID
	case "uploaded":
		return hasUploaded
	case "downloaded":
		return hasDownloaded
	case "left":
		return hasLeft
	case "event":
		return hasEvent
	case "offers":
		return hasOffers
	case "answer":
		return hasAnswer
	case "offer_id":
		return hasOfferID
	case "to_peer_id":
		return hasToPeerID
	}
	return 0
}

// fault keeps what is wrong, if it is the first.
func (m *message) fault(err bittorrent.Error) {
	if m.wrong == nil {
		m.wrong = err
	}
}

func (m *message) setAction(raw []byte) {
	switch text, _ := textOf(raw); plain(text) {
	case "announce":
		m.action = announce
	case "scrape":
		m.action = scrape
	default:
		m.fault(errAction)
	}
}

func (m *message) setBytes(dst, raw []byte, err bittorrent.Error) {
	if text, ok := textOf(raw); !ok || !decode(dst, text) {
		m.fault(err)
	}
}

// setHashes takes one torrent, or a list of them. Which of the two an action takes is
// known when all fields are.
func (m *message) setHashes(raw []byte, most int) {
	s := scanner{left: raw}
	add := func() (ok bool) {
		raw, _ := s.value()
		var h bittorrent.InfoHash
		text, ok := textOf(raw)
		if !ok || !decode(h[:], text) {
			m.fault(errInfoHash)
			return false
		}
		if len(m.hashes) == most {
			m.fault(bittorrent.ErrScrapeLimit)
			return false
		}
		m.hashes = append(m.hashes, h)
		return true
	}
	if raw[0] == '[' {
		s.elements(add)
	} else {
		add()
	}
}

// setNumber takes a whole number; one below 0 stands for none, or for nobody knows.
func (m *message) setNumber(n *int64, raw []byte) {
	value, ok := whole(raw)
	switch {
	case !ok:
		m.fault(errNumber)
	case value >= 0:
		*n = value
	}
}

// setEvent takes a word that the protocol has not for no event, as over HTTP.
func (m *message) setEvent(raw []byte) {
	text, _ := textOf(raw)
	switch plain(text) {
	case "started":
		m.event = bittorrent.EventStarted
	case "stopped":
		m.event = bittorrent.EventStopped
	case "completed":
		m.event = bittorrent.EventCompleted
	case "paused":
		m.event = bittorrent.EventPaused
	}
}

func (m *message) setAnswer(raw []byte) {
	switch {
	case raw[0] == '{':
		m.answer = raw
	case string(raw) != "false":
		m.fault(errAnswer)
	}
}

// readOffers reads a list of offers.
func (m *message) readOffers(s *scanner) (ok bool) {
	return s.elements(func() bool {
		if s.next() != '{' {
			m.fault(errOffers)
			return s.skip(maxDepth)
		}
		var o offer
		ok := s.members(func(name []byte) bool {
			raw, ok := s.value()
			switch {
			case !ok:
			case raw[0] == '{' && plain(name) == "offer":
				o.body = raw
			case raw[0] == '"' && plain(name) == "offer_id":
				o.id = raw
			}
			return ok
		})
		switch {
		case o.body == nil || o.id == nil:
			m.fault(errOffers)
		case len(m.offers) < maxOffers:
			m.offers = append(m.offers, o)
		}
		return ok
	})
}

// textOf returns a string that is a well-formed value without its quotes.
func textOf(raw []byte) (text []byte, ok bool) {
	if raw[0] != '"' {
		return nil, false
	}
	return raw[1 : len(raw)-1], true
}
