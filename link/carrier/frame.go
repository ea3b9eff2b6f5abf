package carrier

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"
)

// version is that of the frames. A hub refuses leaves of another in words.
const version = 1

// What a frame is. All begin with this byte and the number of the session.
const (
	knock   byte = 1 // leaf to hub: let me in; control
	welcome byte = 2 // hub to leaf: the session is open; control
	refuse  byte = 3 // hub to leaf: it is not; control
	data    byte = 4 // a piece of a message: position, flags, bytes
	beat    byte = 5 // I am here: what was taken in, what was sent
	bye     byte = 6 // the session is over; control
)

const (
	flagFirst byte = 1 << iota
	flagLast
)

const (
	headerSize = 1 + 8
	dataHeader = headerSize + 8 + 1
	beatSize   = headerSize + 8 + 8

	maxControl = 192 << 10 // bytes of a control's JSON
	maxWords   = 500       // bytes of words that are taken from the other side
)

// Window is the most bytes, with [FrameCost] for each frame, that a side may have sent
// beyond what the other has taken in.
const Window = 4 << 20

// FrameCost is what a frame counts for beside its bytes; pieceSize is the most bytes of
// a message in a frame. Messages are longer, payloads of NATS may not be.
const (
	FrameCost = 256
	pieceSize = 128 << 10
)

// MaxMessage is the most bytes of a message.
const MaxMessage = 1<<20 + 64<<10

// control is what frames that open and close a session say, in JSON.
type control struct {
	Version int     `json:"version,omitempty"` // knock
	Life    uint64  `json:"life,omitempty"`    // knock: of the leaf's process
	Client  uint64  `json:"client,omitempty"`  // knock: what the hub's NATS calls the leaf's connection
	Name    string  `json:"name,omitempty"`    // welcome: of the hub
	Rights  *Rights `json:"rights,omitempty"`  // welcome
	Words   string  `json:"words,omitempty"`   // refuse, bye
	Wait    int     `json:"wait,omitempty"`    // refuse, bye: seconds before the next knock
}

// longest is the most that a wait can be.
const longest = time.Hour

func (c *control) wait() time.Duration {
	return min(max(time.Duration(c.Wait), 0), longest/time.Second) * time.Second
}

// frame is one that arrived.
type frame struct {
	kind    byte
	session uint64

	position uint64 // data: the cost of all frames before; beat: of what was taken in
	sent     uint64 // beat: the cost of all frames that were sent
	flags    byte   // data
	body     []byte // data

	control *control // of the others
}

// cost is what the frame counts for in the window.
func (f *frame) cost() uint64 { return uint64(len(f.body)) + FrameCost }

var errFrame = errors.New("what arrived is no frame of a link")

// parseFrame reads a frame, whose body is part of b.
func parseFrame(b []byte) (f frame, err error) {
	if len(b) < headerSize {
		return f, errFrame
	}
	f.kind, f.session = b[0], binary.BigEndian.Uint64(b[1:])
	if f.session == 0 {
		return f, errFrame
	}
	switch rest := b[headerSize:]; f.kind {
	case data:
		return f, f.parseData(rest)
	case beat:
		if len(rest) != beatSize-headerSize {
			return f, errFrame
		}
		f.position, f.sent = binary.BigEndian.Uint64(rest), binary.BigEndian.Uint64(rest[8:])
		return f, nil
	case knock, welcome, refuse, bye:
		return f, f.parseControl(rest)
	}
	return f, errFrame
}

func (f *frame) parseData(rest []byte) error {
	if len(rest) < dataHeader-headerSize || len(rest) > dataHeader-headerSize+pieceSize {
		return errFrame
	}
	f.position, f.flags, f.body = binary.BigEndian.Uint64(rest), rest[8], rest[9:]
	if f.flags&^(flagFirst|flagLast) != 0 {
		return errFrame
	}
	return nil
}

func (f *frame) parseControl(rest []byte) error {
	c := new(control)
	f.control = c
	if len(rest) > maxControl || json.Unmarshal(rest, c) != nil {
		return errFrame
	}
	c.Words = clean(c.Words)
	if c.Name != "" && CheckName(c.Name) != nil || c.Rights != nil && c.Rights.Check() != nil {
		return errFrame
	}
	return nil
}

// clean returns words of the other side as a log can take them: on one line, and short.
func clean(words string) string {
	return cut(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, words), maxWords)
}

func appendHeader(b []byte, kind byte, session uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, kind), session)
}

func appendData(b []byte, session, position uint64, flags byte, body []byte) []byte {
	b = binary.BigEndian.AppendUint64(appendHeader(b, data, session), position)
	return append(append(b, flags), body...)
}

func appendBeat(b []byte, session, taken, sent uint64) []byte {
	b = binary.BigEndian.AppendUint64(appendHeader(b, beat, session), taken)
	return binary.BigEndian.AppendUint64(b, sent)
}

// newControl returns a frame.
func newControl(kind byte, session uint64, c *control) []byte {
	text, _ := json.Marshal(c) // no field of it can fail to be written
	return append(appendHeader(nil, kind, session), text...)
}

// costOf returns what a message counts for in the window.
func costOf(message []byte) uint64 {
	pieces := max((len(message)+pieceSize-1)/pieceSize, 1)
	return uint64(len(message) + pieces*FrameCost)
}
