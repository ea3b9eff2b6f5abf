package events

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"waggle/bittorrent"
)

// Passkeys says whose passkeys are. Identity is called by one goroutine at a time; it must not
// wait long. "": it knows no such passkey.
type Passkeys interface{ Identity(passkey string) string }

// lines writes events as JSON.
type lines struct {
	addresses bool
	passkeys  Passkeys
	key       []byte            // of hashes of passkeys that nobody knows
	known     map[string]string // hashes of passkeys, some of them
}

// mostKnown is how many hashes of passkeys are remembered.
const mostKnown = 4096

// use has passkeys hashed by a key.
func (l *lines) use(key []byte) {
	if !bytes.Equal(key, l.key) {
		l.key, l.known = key, nil
	}
}

// word is what an event is called.
func (k kind) word() string {
	switch k {
	case expired:
		return "expired"
	case forgotten:
		return "forgotten"
	case kind(bittorrent.EventNone):
		return "announced"
	}
	return bittorrent.Event(k).String()
}

// append appends an event as one line, without its end.
func (l *lines) append(b []byte, s *slot) []byte {
	b = append(b, `{"time":"`...)
	b = appendTime(b, time.Unix(0, s.at))
	b = append(b, `","event":"`...)
	b = append(b, s.kind.word()...)
	b = append(b, `","info_hash":"`...)
	b = hex.AppendEncode(b, s.hash[:])
	b = append(b, '"')
	if s.id != (bittorrent.PeerID{}) {
		b = append(b, `,"peer_id":`...)
		b = appendText(b, s.id.String()) // which leaves a backslash as it is
	}
	if l.addresses {
		b = append(b, `,"address":"`...)
		b = netip.AddrPortFrom(netip.AddrFrom16(s.ip).Unmap(), s.port).AppendTo(b)
		b = append(b, '"')
	}
	if n := s.passkey[0]; n > 0 {
		b = append(b, `,"passkey":`...)
		b = appendText(b, l.identity(s.passkey[1:1+n]))
	}
	if s.uploaded >= 0 {
		b = append(b, `,"uploaded":`...)
		b = strconv.AppendInt(b, s.uploaded, 10)
		b = append(b, `,"downloaded":`...)
		b = strconv.AppendInt(b, s.downloaded, 10)
		if s.left != bittorrent.LeftUnknown {
			b = append(b, `,"left":`...)
			b = strconv.AppendInt(b, s.left, 10)
		}
	}
	if n := s.agent[0]; n > 0 {
		b = append(b, `,"client":`...)
		b = appendText(b, string(s.agent[1:1+n]))
	}
	if s.last > 0 {
		b = append(b, `,"last_seen":"`...)
		b = appendTime(b, time.Unix(s.last, 0))
		b = append(b, '"')
	}
	return append(b, '}')
}

func appendTime(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// appendText appends a text of strangers in quotes.
func appendText(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s { // what is no UTF-8 becomes U+FFFD
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// identity is what a passkey is told as: whose it is, or a hash that only those can make who have the
// secret.
func (l *lines) identity(passkey []byte) string {
	if l.passkeys != nil {
		if id := l.passkeys.Identity(string(passkey)); id != "" {
			return id
		}
	}
	if hash, ok := l.known[string(passkey)]; ok {
		return hash
	}
	hash := HashPasskey(l.key, string(passkey))
	if len(l.known) >= mostKnown || l.known == nil {
		l.known = make(map[string]string, mostKnown)
	}
	l.known[string(passkey)] = hash
	return hash
}

// HashPasskey returns what a passkey is told as that no book knows: the first 16 bytes of
// HMAC-SHA256 of "waggle passkey " and it by a secret, in hexadecimal digits.
func HashPasskey(secret []byte, passkey string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("waggle passkey " + passkey))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
