package bench

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
	"unicode/utf8"

	"waggle/bittorrent"
)

// signal is a message of WebTorrent's tracker protocol, as a tracker sends it. Its
// fields are parts of what was read, as they were written in JSON.
type signal struct {
	action   []byte
	infoHash []byte
	peerID   []byte
	offerID  []byte
	offer    []byte
	answer   []byte
	files    []byte
	complete []byte
	interval []byte
	failure  []byte
}

// errJSON is the fault of a message that cannot be read.
var errJSON = errors.New("a message that is no object of JSON")

// parse reads a message. What is nested in it is passed over, not checked.
func (s *signal) parse(b []byte) error {
	*s = signal{}
	i := space(b, 0)
	if i == len(b) || b[i] != '{' {
		return errJSON
	}
	if i = space(b, i+1); i < len(b) && b[i] == '}' {
		return nil
	}
	for {
		name, next := value(b, i)
		if next == 0 || name[0] != '"' {
			return errJSON
		}
		if i = space(b, next); i == len(b) || b[i] != ':' {
			return errJSON
		}
		what, next := value(b, space(b, i+1))
		if next == 0 {
			return errJSON
		}
		if field := s.field(name[1 : len(name)-1]); field != nil {
			*field = what
		}
		i = space(b, next)
		switch {
		case i == len(b) || (b[i] != ',' && b[i] != '}'):
			return errJSON
		case b[i] == '}':
			return nil
		}
		i = space(b, i+1)
	}
}

func (s *signal) field(name []byte) *[]byte {
	switch string(name) {
	case "action":
		return &s.action
	case "info_hash":
		return &s.infoHash
	case "peer_id":
		return &s.peerID
	case "offer_id":
		return &s.offerID
	case "offer":
		return &s.offer
	case "answer":
		return &s.answer
	case "files":
		return &s.files
	case "complete":
		return &s.complete
	case "interval":
		return &s.interval
	case "failure reason":
		return &s.failure
	}
	return nil
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// value returns the value that begins at i, and where it ends; 0 where it does not.
func value(b []byte, i int) (of []byte, end int) {
	start, depth := i, 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skipString(b, i); i == 0 {
				return nil, 0
			}
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			if depth--; depth < 0 {
				return nil, 0
			}
			i++
		case ',', ':', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return nil, 0
			}
			i++
			continue
		default:
			for i < len(b) && !ends[b[i]] {
				i++
			}
		}
		if depth == 0 {
			return b[start:i], i
		}
	}
	return nil, 0
}

// ends are the bytes that end a number or a word.
var ends = [256]bool{',': true, ':': true, ' ': true, '\n': true, '\t': true, '\r': true, '"': true, '{': true, '}': true, '[': true, ']': true}

// skipString returns where the string that begins at i ends; 0 where it does not.
func skipString(b []byte, i int) int {
	for first := i + 1; ; {
		n := bytes.IndexByte(b[i+1:], '"')
		if n < 0 {
			return 0
		}
		i += 1 + n
		escapes := i
		for escapes > first && b[escapes-1] == '\\' {
			escapes--
		}
		if (i-escapes)%2 == 0 {
			return i + 1
		}
	}
}

// is tells whether a value is the string of so many plain letters.
func is(value []byte, word string) bool {
	return len(value) == len(word)+2 && value[0] == '"' && string(value[1:len(value)-1]) == word
}

// appendBinary appends bytes as the string of JSON that this protocol makes of them:
// each is a code point.
func appendBinary(dst, src []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range src {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			dst = append(dst, 0xc0|c>>6, 0x80|c&0x3f)
		}
	}
	return append(dst, '"')
}

// parseBinary reads the string of twenty code points that appendBinary writes.
func parseBinary(value []byte) (of [20]byte, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return of, false
	}
	value = value[1 : len(value)-1]
	n := 0
	for ; len(value) > 0 && n < len(of); n++ {
		switch c := value[0]; {
		case c == '\\':
			r, size := escaped(value)
			if size == 0 {
				return of, false
			}
			of[n], value = r, value[size:]
		case c < utf8.RuneSelf:
			of[n], value = c, value[1:]
		case len(value) < 2 || c&0xfe != 0xc2 || value[1]&0xc0 != 0x80:
			return of, false
		default:
			of[n], value = c<<6|value[1]&0x3f, value[2:]
		}
	}
	return of, n == len(of) && len(value) == 0
}

// escaped reads an escape sequence; size is 0 where it is none of a byte.
func escaped(b []byte) (c byte, size int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case '"', '\\', '/':
		return b[1], 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		if len(b) < 6 {
			return 0, 0
		}
		var r [1]byte
		if b[2] != '0' || b[3] != '0' {
			return 0, 0
		}
		if _, err := hex.Decode(r[:], b[4:6]); err != nil {
			return 0, 0
		}
		return r[0], 6
	}
	return 0, 0
}

// SDP of the size and the shape that browsers make, without trickle: four candidates,
// of addresses that are for examples.
const (
	sdpOf = `v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\n` +
		`a=msid-semantic: WMS\r\nm=application 52807 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 192.0.2.2\r\n` +
		`a=candidate:1467250027 1 udp 2122260223 192.0.2.2 52807 typ host generation 0 network-id 1\r\n` +
		`a=candidate:1853887674 1 udp 2122194687 2001:db8::2 40145 typ host generation 0 network-id 2\r\n` +
		`a=candidate:842163049 1 udp 1677729535 198.51.100.7 52807 typ srflx raddr 192.0.2.2 rport 52807 generation 0 network-id 1\r\n` +
		`a=candidate:435653019 1 tcp 1518280447 192.0.2.2 9 typ host tcptype active generation 0 network-id 1\r\n` +
		`a=ice-ufrag:OnLW\r\na=ice-pwd:usOXsh77jHfSBWBbjzdUBGqw\r\n` +
		`a=fingerprint:sha-256 B6:A1:6E:08:CC:54:5C:0F:11:51:AB:3A:67:37:20:FB:5A:05:9F:D5:91:03:E6:A6:14:F9:D9:14:86:67:29:2C\r\n`
	sdpEnd = `\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n"}`

	offerSDP  = `{"type":"offer","sdp":"` + sdpOf + `a=setup:actpass` + sdpEnd
	answerSDP = `{"type":"answer","sdp":"` + sdpOf + `a=setup:active` + sdpEnd
)

// appendAnnounce appends an announce, with an offer for each of the ids, as npm's
// bittorrent-tracker writes it.
func appendAnnounce(dst []byte, a *bittorrent.AnnounceRequest, offers [][20]byte) []byte {
	dst = append(dst, `{"numwant":`...)
	dst = strconv.AppendInt(dst, int64(len(offers)), 10)
	dst = append(dst, `,"uploaded":0,"downloaded":0,"left":`...)
	dst = strconv.AppendInt(dst, a.Left, 10)
	if name := a.Event.String(); a.Event != bittorrent.EventNone {
		dst = append(dst, `,"event":"`...)
		dst = append(append(dst, name...), '"')
	}
	dst = append(dst, `,"action":"announce","info_hash":`...)
	dst = appendBinary(dst, a.InfoHash[:])
	dst = append(dst, `,"peer_id":`...)
	dst = appendBinary(dst, a.PeerID[:])
	dst = append(dst, `,"offers":[`...)
	for i := range offers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"offer":`+offerSDP+`,"offer_id":`...)
		dst = appendBinary(dst, offers[i][:])
		dst = append(dst, '}')
	}
	return append(dst, `]}`...)
}

// appendAnswer appends the answer to an offer that was relayed.
func appendAnswer(dst []byte, infoHash bittorrent.InfoHash, peerID bittorrent.PeerID, offer *signal) []byte {
	dst = append(dst, `{"action":"announce","info_hash":`...)
	dst = appendBinary(dst, infoHash[:])
	dst = append(dst, `,"peer_id":`...)
	dst = appendBinary(dst, peerID[:])
	dst = append(dst, `,"to_peer_id":`...)
	dst = append(dst, offer.peerID...)
	dst = append(dst, `,"answer":`+answerSDP+`,"offer_id":`...)
	dst = append(dst, offer.offerID...)
	return append(dst, '}')
}

// appendScrape appends a scrape.
func appendScrape(dst []byte, hashes []bittorrent.InfoHash) []byte {
	dst = append(dst, `{"action":"scrape","info_hash":[`...)
	for i := range hashes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendBinary(dst, hashes[i][:])
	}
	return append(dst, `]}`...)
}
