package bench

import (
	"bytes"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// Kinds of WebSocket frames (RFC 6455, section 5.2).
const (
	continuation = 0x0
	text         = 0x1
	binaryFrame  = 0x2
	closing      = 0x8
	ping         = 0x9
	pong         = 0xA

	lastFrame = 0x80 // of a message
	masked    = 0x80
)

// frame is what a server sends. Its payload is part of what was read.
type frame struct {
	kind    byte
	last    bool
	payload []byte
}

// Faults of what a server sends.
var (
	errMasked   = errors.New("a masked frame, which no server may send")
	errReserved = errors.New("a frame with bits of an extension that nobody asked for")
	errKind     = errors.New("a frame of an unknown kind")
	errControl  = errors.New("a control frame that is in parts or has more than 125 bytes")
	errLong     = errors.New("a message of more than 1 MiB")
	errParts    = errors.New("parts of messages out of order")
	errAccept   = errors.New("a handshake with a wrong Sec-WebSocket-Accept")
)

// readFrame reads the first frame in b, and returns how many bytes it takes; 0 where
// more have to come.
func readFrame(b []byte) (f frame, used int, err error) {
	if len(b) < 2 {
		return f, 0, nil
	}
	f.kind, f.last = b[0]&0x0f, b[0]&lastFrame != 0
	size, head := uint64(b[1]&0x7f), 2
	switch {
	case b[0]&0x70 != 0:
		return f, 0, errReserved
	case b[1]&masked != 0:
		return f, 0, errMasked
	case f.kind > binaryFrame && (f.kind < closing || f.kind > pong):
		return f, 0, errKind
	case f.kind >= closing && (size > 125 || !f.last):
		return f, 0, errControl
	}
	switch {
	case size == 126 && len(b) < 4, size == 127 && len(b) < 10:
		return f, 0, nil
	case size == 126:
		size, head = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case size == 127:
		size, head = binary.BigEndian.Uint64(b[2:]), 10
	}
	if size > maxBody {
		return f, 0, errLong
	}
	if len(b) < head+int(size) {
		return f, 0, nil
	}
	f.payload = b[head : head+int(size)]
	return f, head + int(size), nil
}

// masker writes frames as a client has to. Its mask is the same for all of them: what
// a load sends need not be hidden from anyone.
type masker struct {
	key    [4]byte
	spread [4096]byte // the key, over and over
}

func newMasker(random *rand.Rand) *masker {
	m := &masker{}
	binary.BigEndian.PutUint32(m.key[:], random.Uint32())
	for i := range m.spread {
		m.spread[i] = m.key[i%len(m.key)]
	}
	return m
}

// frameHead is the room that begin leaves for the head of a frame: the longest that
// there is below 64 KiB.
const frameHead = 8

// begin leaves room for the head of a frame. Its payload is appended to what it
// returns, and end is told where it began.
func (m *masker) begin(b []byte) []byte { return append(b, make([]byte, frameHead)...) }

// end completes the frame that begins at start, and returns b with it.
func (m *masker) end(b []byte, start int, kind byte) []byte {
	payload := b[start+frameHead:]
	for left := payload; len(left) > 0; {
		left = left[subtle.XORBytes(left, left, m.spread[:]):]
	}
	if len(payload) > 1<<16-1 {
		return m.long(b, start, kind)
	}
	head := 6
	if len(payload) > 125 {
		head = frameHead
		b[start+1] = masked | 126
		binary.BigEndian.PutUint16(b[start+2:], uint16(len(payload)))
	} else {
		b[start+1] = masked | byte(len(payload))
		copy(b[start+head:], payload)
		b = b[:start+head+len(payload)]
	}
	b[start] = lastFrame | kind
	copy(b[start+head-4:], m.key[:])
	return b
}

// long makes room for the head of a frame of 64 KiB or more, which is masked already.
func (m *masker) long(b []byte, start int, kind byte) []byte {
	const more = 14 - frameHead
	size := len(b) - start - frameHead
	b = append(b, make([]byte, more)...)
	copy(b[start+14:], b[start+frameHead:][:size])
	b[start], b[start+1] = lastFrame|kind, masked|127
	binary.BigEndian.PutUint64(b[start+2:], uint64(size))
	copy(b[start+10:], m.key[:])
	return b
}

// handshake is how a load asks for WebSocket, and what it is to be answered.
type handshake struct {
	request []byte
	accept  []byte
}

// magic is what RFC 6455 has a server append to the key.
const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

func newHandshake(e *endpoint, random *rand.Rand) *handshake {
	var nonce [16]byte
	binary.BigEndian.PutUint64(nonce[:], random.Uint64())
	binary.BigEndian.PutUint64(nonce[8:], random.Uint64())
	key := base64.StdEncoding.EncodeToString(nonce[:])
	sum := sha1.Sum([]byte(key + magic))
	return &handshake{
		request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: waggle-bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", e.announce, e.host, key),
		accept: []byte(base64.StdEncoding.EncodeToString(sum[:])),
	}
}

var acceptName = []byte("sec-websocket-accept")

// read reads the answer to a handshake, and returns how many bytes it takes; 0 where
// more have to come.
func (h *handshake) read(b []byte) (used int, err error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		if len(b) > maxHead {
			return 0, errHead
		}
		return 0, nil
	}
	line, rest, _ := bytes.Cut(b[:end], lineEnd)
	if !bytes.HasPrefix(line, http11) || len(line) < len(http11)+3 {
		return 0, errNotHTTP
	}
	status, err := strconv.Atoi(string(line[len(http11):][:3]))
	if err != nil {
		return 0, errNotHTTP
	}
	if status != 101 {
		return 0, fmt.Errorf("connecting: status %d", status)
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, lineEnd)
		name, value, _ := bytes.Cut(line, colon)
		if bytes.EqualFold(name, acceptName) && bytes.Equal(bytes.TrimSpace(value), h.accept) {
			return end + len(headEnd), nil
		}
	}
	return 0, errAccept
}
